"""What may be said about a candidate: measurements -> `Verdict` with one sentence. Pure.

Read in this order: `screen_verdict` (selecting seeds: no claim), `confirm_verdict` (fresh seeds against
the two best baselines, at an error that all confirmations of a home share).

No verdict is a discovery: that needs a claim whose every comparison holds (`lab/claims.py`).
Not covered: choosing who is compared (`lab/halving.py`), what tables show of a number (`lab/summary.py`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from move37.lab.comparisons import DIVERGED, NO_NUMBER, Rival, compare, declared_backward, unchecked
from move37.lab.effects import Conditions, conditions_of
from move37.lab.numbers import DigitScale, scale_of
from move37.lab.rates import best_rate
from move37.lab.records import Comparison, Experiment, Measurement, Metric, Verdict
from move37.lab.statistics.many import luck
from move37.lab.statistics.noise import Noise, noise_of
from move37.lab.statistics.paired import Interval
from move37.lab.statistics.power import minimum_detectable_effect
from move37.lab.tasks.registry import asks_questions

CONFIRMING = ("verdict:fresh", "claim:begun")  # stages that looked at fresh seeds
SELF_REPORTED = " Self-reported: the code that is judged could have touched these numbers."
# What a gain on fresh seeds alone does not show; a program's task has no such questions.
_LACKING = (
    " Not a discovery: its family's tuned baseline, its own ablation, longer training, a larger width and sealed text "
    "are still to be asked (`move37 confirm`)."
)


def screen_verdict(
    *,
    metric: Metric,
    candidate: Sequence[Measurement],
    baseline: Sequence[Measurement],
    baseline_id: str,
    baseline_name: str,
    tried: int,
) -> Verdict | None:
    """The lead at the most steps that both were screened at; None where there are none in common.

    Baselines that diverged and values that are no numbers are left out.
    """
    ours = _screened(candidate, metric)
    theirs = {where: arm for where, arm in _screened(baseline, metric).items() if not arm.diverged}
    common = ours.keys() & theirs.keys()
    if not common:
        return None
    where = max(common, key=lambda c: (c.steps, -c.width, -c.total_steps))
    arm, rival = ours[where], theirs[where]
    effect = metric.gain(arm.value, rival.value)
    told = arm.self_reported or rival.self_reported
    if arm.diverged:
        text = f"Rejected: training diverged (seed {arm.seeds[-1]}); one divergence rejects."
    else:
        known = arm.noise if arm.noise == rival.noise else None
        text = _screen_text(
            metric, effect, baseline_name, steps=where.steps, tried=tried, seeds=len(arm.seeds), known=known
        )
        text += (SELF_REPORTED if told else "") + unchecked(declared_backward(candidate))
    return Verdict(baseline=baseline_id, effect=effect, low=None, high=None, tried=tried, text=text, self_reported=told)


def _screen_text(
    metric: Metric, effect: float, baseline_name: str, *, steps: int, tried: int, seeds: int, known: Noise | None
) -> str:
    scale = scale_of(metric.name, (0.0, effect))
    where = f" at {steps} steps" if steps else ""
    count = "one seed" if seeds == 1 else f"{seeds} seeds"
    lead = "ahead of" if effect > 0 else "level with" if effect == 0 else "behind"
    text = f"Screened on {count}{where}: {scale.text(abs(effect))} {metric.unit} {lead} {baseline_name}"
    text += f"; {count} rank{'s' if seeds == 1 else ''}, {'it claims' if seeds == 1 else 'they claim'} nothing"
    if effect > 0 and known and tried > 1:
        lucky = luck(tried, known.run.sd / math.sqrt(seeds))
        text += f" (the best of {tried} worthless candidates would lead by {scale.text(lucky)})"
    return text + "."


def confirm_verdict(
    *,
    metric: Metric,
    candidate: Sequence[Measurement],
    rivals: Sequence[Rival],
    tried: int,
    confirmation: int,
    missing: Sequence[str] = (),
) -> Verdict | None:
    """Better only if it beats every rival on fresh seeds, at the error that the home's `confirmation`-th may spend.

    The rivals are the two best screened baselines, because the best of a seed or two is often the wrong one.
    Effect and interval are those against the rival that is beaten least clearly. `missing` adds what the preset left
    out to the sentence. None without a common fresh seed.
    """
    found = [c for r in rivals if (c := compare(metric, candidate, r, confirmation=confirmation)) is not None]
    if not found:
        return None
    comparison, told = min(found, key=lambda f: (_low(f[0]), f[0].effect))
    comparisons = tuple(c for c, _ in found)
    reported = any(c.self_reported for c in comparisons)
    return Verdict(
        baseline=comparison.rival,
        effect=comparison.effect,
        low=comparison.low,
        high=comparison.high,
        tried=tried,
        text=" ".join([_confirm_text(metric, comparisons, comparison, told, confirmation), *missing])
        + (SELF_REPORTED if reported else "")
        + unchecked(comparison.custom_backward),
        confirmation=confirmation,
        comparisons=comparisons,
        self_reported=reported,
    )


def confirmations(experiments: Sequence[Experiment]) -> int:
    """The number of verdicts and claims on fresh seeds among these experiments.

    Verdicts of older versions count as one each, whatever correction they used.
    """
    return sum(r.stage in CONFIRMING for e in experiments for r in e.stages)


def _low(comparison: Comparison) -> float:
    return -math.inf if comparison.low is None else comparison.low


def _confirm_text(
    metric: Metric, everyone: Sequence[Comparison], weakest: Comparison, told: Interval | None, confirmation: int
) -> str:
    """One sentence on the comparison that decides, and what must be known beside it."""
    scale = scale_of(metric.name, [0.0, *(n for c in everyone for n in (c.effect, c.low, c.high))])
    if weakest.low is None or weakest.high is None or told is None:
        note = weakest.note or (
            f"One fresh seed: {scale.signed(weakest.effect)} {metric.unit} against {weakest.name}; no interval."
        )
        return f"{_undecided(weakest)}{note}"
    which = f"at the error that confirmation {confirmation} of this home may spend"
    measured = f"{_bounds(weakest, scale)} {metric.unit} on {weakest.seeds} fresh seeds, {which}"
    notes = "".join(f" {c.note}" for c in everyone if c.note)
    if weakest.low > 0:
        others = [c for c in everyone if c is not weakest]
        names = " and ".join([weakest.name, *(c.name for c in others)])
        beside = "".join(f"; {_bounds(c, scale)} against {c.name}" for c in others)
        against = f" against {weakest.name}" if others else ""
        lacking = _LACKING if asks_questions(metric) else ""
        return f"Better than {names} here: {measured}{against}{beside}.{lacking}{notes}"
    if weakest.high < 0:
        return f"Worse than {weakest.name}: {measured}.{notes}"
    floor = minimum_detectable_effect(told.n, sd=told.sd, confidence=told.confidence, df=told.df)
    could = f"; {told.n} seeds find {scale.text(floor)} or more in four of five cases" if 0.0 < floor < math.inf else ""
    return f"Not distinguishable from {weakest.name}: {measured}{could}.{notes}"


def _undecided(weakest: Comparison) -> str:
    return {DIVERGED: "Rejected: ", NO_NUMBER: "Undecided: "}.get(weakest.undecided, "")


def _bounds(comparison: Comparison, scale: DigitScale) -> str:
    return f"{scale.signed(comparison.effect)} {scale.bounds(comparison.low, comparison.high, signed=True)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Screened:
    """An arm's screening runs under one set of conditions, at its best rate."""

    value: float  # mean over the seeds
    seeds: tuple[int, ...]
    diverged: bool
    noise: Noise | None  # known beforehand
    self_reported: bool


def _screened(measurements: Sequence[Measurement], metric: Metric) -> dict[Conditions, _Screened]:
    """Per conditions the best rate; one that diverged once only where there is no other."""
    runs: dict[Conditions, dict[float, list[Measurement]]] = defaultdict(lambda: defaultdict(list))
    for m in measurements:
        if m.metric == metric.name and not m.fresh and m.is_number:
            runs[conditions_of(m)][m.learning_rate].append(m)
    found = {}
    for where, by_rate in runs.items():
        best = best_rate(by_rate, higher_is_better=metric.higher_is_better)
        wild = max(by_rate.values(), key=lambda runs: metric.gain(_mean(runs), 0.0))
        chosen = wild if best is None else by_rate[best]
        found[where] = _Screened(
            value=_mean(chosen),
            seeds=tuple(m.seed for m in chosen),
            diverged=best is None,
            noise=noise_of(metric.name, chosen),
            self_reported=any(m.self_reported for m in chosen),
        )
    return found


def _mean(runs: Sequence[Measurement]) -> float:
    return math.fsum(m.value for m in runs) / len(runs)
