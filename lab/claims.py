"""Claims of a discovery: the questions, and the claim over their answers. Pure.

Read `QUESTIONS` (what must be shown, the cheapest refutation first), `unasked` (candidates that wait), `settled` (the
claim so far, and whether asking goes on), `claim_text`, `asking_seconds` (what a question costs). Running is
`lab/confirming.py`; who has reached which rung, `lab/evidence_ladder.py`.

A claim stands only if every comparison holds at the error of the home's confirmation. That is an intersection-union
test: neither more questions nor stopping at the first failure makes a false claim more likely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from move37.lab.comparisons import unchecked
from move37.lab.numbers import scale_of
from move37.lab.records import Claim, Comparison, Experiment, ExperimentStatus, Metric, Role

BASELINE, FAMILY, ABLATION = "baseline", "family", "ablation"
LONGER, WIDER, HELD_OUT, SECOND_CORPUS = "longer", "wider", "held_out", "second_corpus"
QUESTIONS = (BASELINE, FAMILY, ABLATION, HELD_OUT, SECOND_CORPUS, WIDER, LONGER)
WORDS = {
    BASELINE: "beats the two best baselines on fresh seeds",
    FAMILY: "beats the best of its own family and of the best baseline's, tuned as hard",
    ABLATION: "beats itself without its new part",
    HELD_OUT: "holds on sealed text",
    SECOND_CORPUS: "holds on a second corpus",
    WIDER: "holds at twice the width",
    LONGER: "holds at four times the steps",
}
# Which families a comparison was made with stands beside it: those of older claims were fewer.
_MADE = WORDS | {FAMILY: "beats the best of a family, tuned as hard"}
RUN_SECONDS = 30.0  # of one whole training with its scoring on one core, measured on the seven baselines
# Cost of a question for each seed, in such runs: the candidate's own at 500 steps are trained once for all of them, a
# family's also pays for its tuning (of a second family as well, where the home has not kept it), an ablation's for both
# sides' rates, and sealed text is only scored.
RUNS = {
    BASELINE: 3.0, FAMILY: 3.0, ABLATION: 3.0, HELD_OUT: 0.5, SECOND_CORPUS: 4.0, WIDER: 6.0, LONGER: 8.0,
}  # fmt: skip
# Question -> how many times as many fresh seeds it is asked on. On another text runs scatter more, and nobody has
# measured how much: with five seeds +.062 could not be distinguished from zero (docs/decisions/93).
MORE_SEEDS: Mapping[str, int] = {SECOND_CORPUS: 2}
# Question -> multiples of each arm's own learning rate, tried on the screening seed before any fresh one. What is best
# falls with the width (Yang et al. 2022, 2203.03466), for each mixer by its own amount: docs/decisions/91. An ablation
# was never tuned: at its candidate's rate it could lose by the rate alone (docs/decisions/97).
RETUNED: Mapping[str, tuple[float, ...]] = {ABLATION: (1.0, 0.5, 2.0), WIDER: (1.0, 0.5, 0.25)}
SEEDS = 5  # fresh ones of a question, unless the user or the noise asks for more


def unasked(experiments: Sequence[Experiment]) -> tuple[Experiment, ...]:
    """Candidates that beat every rival on fresh seeds and whose claim is not settled, the clearest first."""
    found = [
        e
        for e in experiments
        if e.role is Role.CANDIDATE
        and e.status in (ExperimentStatus.MEASURED, ExperimentStatus.PROMOTED)
        and e.claim is None
        and e.verdict is not None
        and e.verdict.comparisons
        and all(c.holds for c in e.verdict.comparisons)
    ]
    return tuple(sorted(found, key=lambda e: -(e.verdict.low or 0.0) if e.verdict else 0.0))


def shortfall(experiment: Experiment) -> Comparison | None:
    """Of the fresh comparisons with baselines that do not hold the one with the least gain; None without such.

    On another text, at another width, after more steps: what is left of a gain there is what a mixer is worth. That it
    is no better than itself without its new part says nothing about the whole.
    """
    found = [*(experiment.claim.comparisons if experiment.claim else ())]
    found += experiment.verdict.comparisons if experiment.verdict else ()
    return min((c for c in found if c.question != ABLATION and not c.holds), key=lambda c: c.effect, default=None)


def asking_seconds(question: str, *, seeds: int, run_seconds: float = RUN_SECONDS) -> float:
    """Core-seconds that a question is expected to take, where one whole run of the candidate takes `run_seconds`."""
    return seeds * RUNS[question] * run_seconds


def run_seconds(experiment: Experiment, metric: Metric) -> float:
    """CPU seconds of one whole run: the experiment's own fresh ones, else what the baselines took when it was built."""
    own = [m.cpu_seconds for m in experiment.measurements if m.metric == metric.name and m.fresh and m.cpu_seconds]
    return sum(own) / len(own) if own else RUN_SECONDS


def settled(
    candidate: str, part: str, comparisons: Sequence[Comparison], *, confirmation: int, missing: Mapping[str, str],
    core_seconds: float, family: str = "",
) -> Claim:  # fmt: skip
    """The claim over the comparisons made. `missing`: question -> why it could not be asked; empty: it does not apply.

    A question that no comparison answers and that does apply is missing.
    """
    asked = {c.question for c in comparisons}
    unanswered = [q for q in QUESTIONS if q not in asked and missing.get(q, "not asked")]
    return Claim(
        candidate=candidate,
        part=part,
        comparisons=tuple(comparisons),
        confirmation=confirmation,
        missing={q: missing.get(q, "not asked") for q in unanswered},
        core_seconds=core_seconds,
        family=family,
    )


def claim_text(claim: Claim, metric: Metric) -> str:
    """One sentence: a discovery, what refuted it, or what is not shown yet."""
    failed = [c for c in claim.comparisons if not c.holds]
    reported = " Self-reported numbers are among them." if any(c.self_reported for c in claim.comparisons) else ""
    reported += unchecked(next((c.custom_backward for c in claim.comparisons if c.custom_backward), ""))
    if failed:
        first = failed[0]
        return f"Not a discovery: {refusal(first)} ({against(first, metric)}).{reported}"
    if claim.missing:
        return f"Not a discovery yet: {'; '.join(missing_texts(claim))}.{reported}"
    least = min(claim.comparisons, key=lambda c: c.low if c.low is not None else 0.0)
    return (
        f"A discovery at this scale: {claim.part}. It holds in all {len(claim.comparisons)} comparisons, least clearly "
        f"where it {words_of(least)} ({against(least, metric)}).{reported}"
    )


def missing_texts(claim: Claim) -> tuple[str, ...]:
    """The questions that could not be asked, in words, each with its reason."""
    return tuple(": ".join(filter(None, (WORDS.get(q, q), why))) for q, why in claim.missing.items())


def words_of(comparison: Comparison) -> str:
    """What a comparison that was made shows where it holds; its rival stands beside it."""
    return _MADE.get(comparison.question, comparison.question)


def refusal(comparison: Comparison) -> str:
    """A comparison that does not hold, in words: an interval below zero shows the opposite, one around zero nothing."""
    words = words_of(comparison)
    if comparison.high is not None and comparison.high < 0:
        return f"it loses where it was to be shown that it {words}"
    return f"it is not shown that it {words}"


def claim_lesson(claim: Claim, metric: Metric) -> str:
    """The lesson of a claim: what decided it, and what was shown before that."""
    failed = {c.question for c in claim.comparisons if not c.holds}
    shown = dict.fromkeys(words_of(c) for c in claim.comparisons if c.question not in failed)
    decided = claim_text(claim, metric)
    return f"{decided} Shown: it {', '.join(shown)}." if shown and (failed or claim.missing) else decided


def against(comparison: Comparison, metric: Metric) -> str:
    """A comparison in numbers."""
    scale = scale_of(metric.name, (0.0, comparison.effect, comparison.low, comparison.high))
    bounds = scale.bounds(comparison.low, comparison.high, signed=True) or "no interval"
    text = (
        f"{scale.signed(comparison.effect)} {bounds} {metric.unit} against {comparison.name}, {comparison.seeds} seeds"
    )
    if rates := rates_of(comparison):
        text += f", each at its best rate there ({rates})"
    note = comparison.note.removesuffix(".")
    return f"{text}; {note[0].lower()}{note[1:]}" if note else text


def rates_of(comparison: Comparison) -> str:
    """The learning rates of both, where the question tuned them again; empty elsewhere."""
    sides = zip(("its own", f"{comparison.name}'s"), comparison.rates, strict=False)
    return ", ".join(f"{side} {rate:g}" for side, rate in sides)


def pairs_of(old: Claim, new: Claim) -> tuple[tuple[Comparison, Comparison, bool], ...]:
    """Each old comparison beside the same one on new seeds, and whether the new interval covers the old effect."""
    found = []
    for was in old.comparisons:
        now = next((c for c in new.comparisons if (c.question, c.rival) == (was.question, was.rival)), None)
        if now is not None:
            covered = now.low is not None and now.high is not None and now.low <= was.effect <= now.high
            found.append((was, now, covered))
    return tuple(found)
