"""The Analyst as a search: it compares numbers with the prediction by rules, and says that this proves no cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from move37.agents.messages import Results
from move37.agents.replies import Report
from move37.agents.search.catalogue import CATALOGUE
from move37.agents.search.codegen import operators_of
from move37.agents.search.plans import family_of_file, file_of_plan, was_changed
from move37.agents.search.user_replies import answered
from move37.agents.search.view import View
from move37.lab.numbers import DigitScale, effect_scale, scale_of
from move37.lab.records import Effect, GateResult, Measurement

NOISES = 2.0  # what two runs that differ in the seed alone may differ by, in standard deviations of the noise
PROBES = ("overwrite_recall", "parity", "selective_copy", "mqar")
SOLVED, UNSOLVED = 0.95, 0.8  # accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One metric at the most steps that the candidate reached, beside the best baseline at the same steps."""

    metric: str
    value: float
    steps: int
    seeds: int
    rival: str = ""  # the best baseline there; "" when none was measured
    reference: float | None = None
    gain: float | None = None  # positive is better; None where nothing says which way is better

    def __str__(self) -> str:
        of = f" (mean of {self.seeds} seeds)" if self.seeds > 1 else " (one seed)"
        scale = scale_of(self.metric, (self.value, self.reference))
        text = f"{self.metric} {scale.text(self.value)}{f' at {self.steps} steps' if self.steps else ''}{of}"
        if self.reference is None:
            return text
        if self.gain is None:
            way = "higher" if self.value > self.reference else "lower" if self.value < self.reference else "different"
            apart = scale.text(abs(self.value - self.reference))
            return f"{text}, {apart} {way} than {self.rival} at {scale.text(self.reference)}"
        way = "better" if self.gain > 0 else "worse" if self.gain < 0 else "different"
        at = f"{self.rival} at {scale.text(self.reference)}"
        return f"{text}, {scale.text(abs(self.gain))} {way} than the best baseline {at}"

    @property
    def scale(self) -> DigitScale:
        """How its differences are written."""
        return scale_of(self.metric, (0.0, self.gain))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What the rules read: the comparisons, and what was changed."""

    compared: tuple[Compared, ...]
    main: Compared | None  # of the primary metric
    effect: Effect | None  # against the parent
    gained: tuple[str, ...]  # operators that the parent has not
    lost: tuple[str, ...]
    operators: tuple[str, ...]
    family: str
    is_changed: bool  # what ran is not what was planned, and predicted
    refused: tuple[GateResult, ...]
    failure: str
    verdict: str


def analyse(view: View) -> Report:
    """What was expected, what was seen, and what to try; in rules. Raises `ValueError`: there are no results."""
    if view.results is None:
        raise ValueError("there is nothing to analyse")
    read = _read(view, view.results)
    next_step, operators = _next(view, read)
    return Report(
        expected=(view.hypothesis.predicted_effect if view.hypothesis else "") or "Nothing was proposed.",
        seen=_seen(read),
        why=_why(view, read),
        next=next_step,
        next_operators=None if view.is_program else operators,
        lesson=_lesson(read),
        symptoms=_symptoms(view, read),
        to_person=answered(view, will="This experiment is over; its words go into memory's record."),
    )


def compare(view: View, results: Results) -> tuple[Compared, ...]:
    """Every metric once, at the most steps; the tuned rate counts like any other."""
    found = []
    for metric in dict.fromkeys(m.metric for m in results.measurements):
        of = [m for m in results.measurements if m.metric == metric]
        steps, higher = max(m.steps for m in of), _higher(metric, view)
        mine = [m for m in of if m.steps == steps]
        value = _mean(mine)
        rivals: dict[str, float] = {}
        for name, theirs in results.baselines.items():
            same = [m for m in theirs if (m.metric, m.steps) == (metric, steps)]
            if same and not any(m.diverged for m in same):
                rivals[name] = _mean(same)
        best = (min if higher is False else max)(rivals, key=lambda n: rivals[n]) if rivals else ""
        reference = rivals[best] if best else None
        gain = None if reference is None or higher is None else value - reference if higher else reference - value
        seeds = len({m.seed for m in mine})
        found.append(
            Compared(metric=metric, value=value, steps=steps, seeds=seeds, rival=best, reference=reference, gain=gain)
        )
    return tuple(found)


def _read(view: View, results: Results) -> _Reading:
    compared = compare(view, results)
    # What ran, which the Debugger or a wish may have changed; the plan only where no file was written.
    source = results.source or file_of_plan(view.plan, name="", motivation="") or ""
    used = operators_of(source)
    hypothesis = view.hypothesis
    base = next((p for p in view.context.parents if hypothesis and p.id == hypothesis.base), None)
    before = operators_of(base.source) if base else ()
    return _Reading(
        compared=compared,
        main=next((c for c in compared if c.metric == view.metric), None),
        effect=results.effects.parent,
        gained=tuple(o for o in used if base and o not in before),
        lost=tuple(o for o in before if o not in used),
        operators=used,
        family=family_of_file(source) or (view.hypothesis.family if view.hypothesis else "mixer"),
        is_changed=was_changed(view.plan, results.source),
        refused=tuple(g for g in results.gates if g.passed is False),
        failure=results.failure,
        verdict=results.verdict,
    )


def _mean(measurements: Sequence[Measurement]) -> float:
    return sum(m.value for m in measurements) / len(measurements)


def _higher(metric: str, view: View) -> bool | None:
    """Whether higher is better; None for what a task reports beside its metric."""
    if metric == view.metric:
        return view.context.task.metric.higher_is_better
    return True if metric in PROBES else None


def _seen(read: _Reading) -> str:
    parts = [str(c) + "." for c in read.compared]
    if read.effect is not None:
        parts.append(f"Against its parent {read.effect.rival} {_told(read.effect)}.")
    parts += [read.verdict] if read.verdict else []
    parts += [f"It ended early: {read.failure}"] if read.failure else []
    return " ".join(parts) or "Nothing was measured."


def _told(effect: Effect) -> str:
    scale = effect_scale(effect)
    error = "" if effect.standard_error is None else f" (standard error {scale.text(effect.standard_error)})"
    return f"{scale.signed(effect.value)}{error}{f' at {effect.steps} steps' if effect.steps else ''}"


def _why(view: View, read: _Reading) -> str:
    parts = ["A search's reading by rules, which shows no cause."]
    if read.failure:
        names = ", ".join(g.name for g in read.refused)
        parts.append(f"Gate {names} refused it." if names else "It was stopped before it could be compared.")
    elif read.main is None or read.main.gain is None:
        parts.append("There is no baseline at the same steps to compare with.")
    else:
        parts.append(_against(view, read.main, is_changed=read.is_changed))
    for c in read.compared:
        if c.metric in PROBES and c.value < UNSOLVED and c.reference is not None and c.reference >= SOLVED:
            parts.append(
                f"{c.metric} stayed unsolved where {c.rival} solves it, so something that it needs is missing."
            )
    return " ".join(parts) + (f" The mixer had {', '.join(read.operators)}." if read.operators else "")


def _against(view: View, main: Compared, *, is_changed: bool) -> str:
    assert main.gain is not None
    may_differ = NOISES * view.noise
    small = not view.is_program and abs(main.gain) < may_differ and main.seeds < 5
    seeds = f"{main.seeds} seed{'s' if main.seeds > 1 else ''}"
    noise = f" With {seeds} a difference below {may_differ:.2g} may be noise." if small else ""
    forecasts = view.hypothesis.forecasts if view.hypothesis else ()
    found = f"he gain over {main.rival} is {main.scale.signed(main.gain)}.{noise}"
    if is_changed:
        return f"What was planned was changed before it ran, and nothing was predicted of that. T{found}"
    if not forecasts:
        return f"T{found}"
    return f"Predicted was a gain of {main.scale.signed(forecasts[0].effect)} over its parent, t{found}"


def _next(view: View, read: _Reading) -> tuple[str, list[str]]:
    """What to do next, and the operators that it says to try."""
    if view.is_program:
        words = "Change other numbers of the region." if read.failure else "Go on from the better of the two programs."
        return words, []
    if read.failure:
        first = next(iter(read.operators), "")
        return f"Leave out {first} and measure the rest." if first else "Propose something smaller.", []
    gain = read.effect.value if read.effect is not None else read.main.gain if read.main is not None else None
    if gain is None:
        return "Measure the baselines at the same steps.", []
    part = (read.gained or read.lost or read.operators[-1:] or ("the change",))[0]
    if gain > 0:
        return f"Repeat it on fresh seeds, and measure it without {part} to see whether that part counts.", []
    if (best := _best_absent(view, read)) is not None:
        return f"Try {best}, which gained most of what was put in here: {CATALOGUE[best].why}.", [best]
    return f"Take out {part} and keep the rest.", []


def _best_absent(view: View, read: _Reading) -> str | None:
    """The operator that this mixer lacks and whose measured gain is the largest; None where none gained."""
    gains = {o: f.mean_effect for o, f in view.context.operators.items() if o in CATALOGUE and o not in read.operators}
    best = max(gains, key=lambda o: gains[o], default=None)
    return best if best is not None and gains[best] > 0 else None


def _lesson(read: _Reading) -> str:
    """One sentence for the ledger."""
    change = " and ".join([*(f"adding {o}" for o in read.gained[:3]), *(f"leaving out {o}" for o in read.lost[:2])])
    change = f"{change[:1].upper()}{change[1:]}" or "The change"
    if read.refused:
        return f"{change} is refused by gate {read.refused[0].name}."
    if read.failure or read.effect is None:
        return f"{change} was not measured against its parent."
    error = read.effect.standard_error
    unclear = error is not None and abs(read.effect.value) < 2 * error
    return f"{change} gave {_told(read.effect)} against {read.effect.rival}{', which may be noise' if unclear else ''}."


def _symptoms(view: View, read: _Reading) -> list[str]:
    found = []
    if read.failure:
        found += [f"Gate {g.name} fails: {g.message}" for g in read.refused]
        found = found or [f"The experiment ends early: {read.failure}"]
    for c in read.compared:
        if c.metric in PROBES:
            state = "is solved" if c.value >= SOLVED else "stays unsolved" if c.value < UNSOLVED else "is partly solved"
            found.append(f"{c.metric} {state} at accuracy {c.value:.2f} with a {read.family} mixer.")
    main = read.main
    if main is not None and main.gain is not None:
        way = "ahead of" if main.gain > 0 else "behind"
        where = f" at {main.steps} steps" if main.steps else ""
        found.append(
            f"{main.metric}{where} is {main.scale.text(abs(main.gain))} {way} the best baseline, {main.rival}."
        )
    return found[:5]
