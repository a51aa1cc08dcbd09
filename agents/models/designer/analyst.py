"""The Analyst as a search: it compares numbers with the prediction by rules, and says that this proves no cause."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from move37.agents.models.designer.emit import operators_of
from move37.agents.models.designer.grammar import from_json, operators_in
from move37.agents.models.designer.hearing import heard
from move37.agents.models.designer.lore import LORE
from move37.agents.models.designer.scene import Scene
from move37.agents.replies import Report

NOISE = 0.05  # bits per byte: what two runs that differ in the seed alone may differ by
PROBES = ("overwrite_recall", "parity", "selective_copy", "mqar")
SOLVED, UNSOLVED = 0.95, 0.8  # accuracy
_NUMBER = re.compile(r"\d+\.\d+")


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
        text = f"{self.metric} {self.value:.3f}{f' at {self.steps} steps' if self.steps else ''}{of}"
        if self.reference is None:
            return text
        if self.gain is None:
            way = "higher" if self.value > self.reference else "lower" if self.value < self.reference else "different"
            return f"{text}, {abs(self.value - self.reference):.3f} {way} than {self.rival} at {self.reference:.3f}"
        way = "better" if self.gain > 0 else "worse" if self.gain < 0 else "different"
        return f"{text}, {abs(self.gain):.3f} {way} than the best baseline {self.rival} at {self.reference:.3f}"


def read(scene: Scene) -> Report:
    """What was expected, what was seen, and what to try; in rules."""
    compared = compare(scene)
    main = next((c for c in compared if c.metric == _metric(scene)), None)
    failure = scene.facts.get("failure", "")
    return Report(
        expected=str(scene.hypothesis.get("predicted_effect", "")) or "Nothing was proposed.",
        seen=_seen(compared, failure),
        why=_why(scene, compared, main, failure),
        next=_next(scene, main, failure),
        symptoms=_symptoms(scene, compared, main, failure),
        to_person=heard(
            scene, will="This experiment is over; its words go into memory's record.", program=scene.is_program
        ),
    )


def compare(scene: Scene) -> tuple[Compared, ...]:
    """Every metric once; fresh seeds where there are any, the most steps, the tuned rate counts like any other."""
    found = []
    measurements = scene.facts.get("measurements", [])
    for metric in dict.fromkeys(m["metric"] for m in measurements):
        mine = _chosen([m for m in measurements if m["metric"] == metric])
        steps, fresh = mine[0]["steps"], mine[0]["fresh"]
        value = _mean(mine)
        higher = _higher(metric, scene)
        rivals: dict[str, float] = {}
        for name, theirs in scene.facts.get("baseline_measurements", {}).items():
            same = [m for m in theirs if (m["metric"], m["steps"], m["fresh"]) == (metric, steps, fresh)]
            if same and not any(m["diverged"] for m in same):
                rivals[name] = _mean(same)
        best = (min if higher is False else max)(rivals, key=lambda n: rivals[n]) if rivals else ""
        reference = rivals[best] if best else None
        gain = None if reference is None or higher is None else value - reference if higher else reference - value
        found.append(
            Compared(
                metric=metric,
                value=value,
                steps=steps,
                seeds=len({m["seed"] for m in mine}),
                rival=best,
                reference=reference,
                gain=gain,
            )
        )
    return tuple(found)


def _chosen(mine: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    fresh = any(m["fresh"] for m in mine)
    mine = [m for m in mine if m["fresh"] == fresh]
    steps = max(m["steps"] for m in mine)
    return [m for m in mine if m["steps"] == steps]


def _mean(measurements: Sequence[Mapping[str, Any]]) -> float:
    return sum(float(m["value"]) for m in measurements) / len(measurements)


def _metric(scene: Scene) -> str:
    return scene.facts.get("metric", "combined_score" if scene.is_program else "bits_per_byte")


def _higher(metric: str, scene: Scene) -> bool | None:
    """Whether higher is better; None for what a task reports beside its metric."""
    if metric == _metric(scene):
        return scene.facts.get("higher_is_better", False)
    return True if metric in PROBES else None


def _operators(scene: Scene) -> tuple[str, ...]:
    genome = from_json(scene.plan)
    return operators_in(genome) if genome is not None else operators_of(scene.facts.get("source", ""))


def _seen(compared: Sequence[Compared], failure: str) -> str:
    parts = [str(c) + "." for c in compared]
    parts += [f"It ended early: {failure}"] if failure else []
    return " ".join(parts) or "Nothing was measured."


def _why(scene: Scene, compared: Sequence[Compared], main: Compared | None, failure: str) -> str:
    parts = ["A search's reading by rules, which shows no cause."]
    if failure:
        gates = [g["name"] for g in scene.facts.get("gates", []) if g["passed"] is False]
        parts.append(f"Gate {', '.join(gates)} refused it." if gates else "It was stopped before it could be compared.")
    elif main is None or main.gain is None:
        parts.append("There is no baseline at the same steps to compare with.")
    else:
        parts.append(_against(scene, main))
    for c in compared:
        if c.metric in PROBES and c.value < UNSOLVED and c.reference is not None and c.reference >= SOLVED:
            parts.append(
                f"{c.metric} stayed unsolved where {c.rival} solves it, so something that it needs is missing."
            )
    operators = _operators(scene)
    return " ".join(parts) + (f" The mixer had {', '.join(operators)}." if operators else "")


def _against(scene: Scene, main: Compared) -> str:
    assert main.gain is not None
    small = not scene.is_program and abs(main.gain) < NOISE and main.seeds < 5
    noise = (
        f" With {main.seeds} seed{'s' if main.seeds > 1 else ''} a difference below {NOISE} may be noise."
        if small
        else ""
    )
    predicted = _NUMBER.search(str(scene.hypothesis.get("predicted_effect", "")))
    if predicted is None:
        return f"The gain over {main.rival} is {main.gain:+.3f}.{noise}"
    return f"Predicted was a gain of {predicted[0]}, the gain over {main.rival} is {main.gain:+.3f}.{noise}"


def _next(scene: Scene, main: Compared | None, failure: str) -> str:
    operators = _operators(scene)
    if scene.is_program:
        return "Change other numbers of the region." if failure else "Go on from the better of the two programs."
    if failure:
        return f"Leave out {operators[0]} and measure the rest." if operators else "Propose something smaller."
    if main is None or main.gain is None:
        return "Measure the baselines at the same steps."
    if main.gain > 0:
        part = _youngest(scene, operators)
        return f"Repeat it on fresh seeds, and measure it without {part} to see whether that part counts."
    absent = [o for o in ("short_conv", "qk_l2norm", "feature_map_elu", "gated_delta_rule") if o not in operators]
    if absent:
        return f"Try {absent[0]}: {LORE[absent[0]].why}."
    return f"Take out {_youngest(scene, operators)} and keep the rest."


def _youngest(scene: Scene, operators: Sequence[str]) -> str:
    """The operator that the hypothesis brought in, as far as its name tells."""
    name = str(scene.hypothesis.get("name", "")).partition("_with_")[2]
    return next(
        (o for o in operators if o.split("_")[-1] in name.split("_")), operators[-1] if operators else "the change"
    )


def _symptoms(scene: Scene, compared: Sequence[Compared], main: Compared | None, failure: str) -> list[str]:
    found = []
    if failure:
        found += [
            f"Gate {g['name']} fails: {g['message']}" for g in scene.facts.get("gates", []) if g["passed"] is False
        ]
        found = found or [f"The experiment ends early: {failure}"]
    for c in compared:
        if c.metric in PROBES:
            state = "is solved" if c.value >= SOLVED else "stays unsolved" if c.value < UNSOLVED else "is partly solved"
            found.append(
                f"{c.metric} {state} at accuracy {c.value:.2f} with a {scene.hypothesis.get('family', 'mixer')} mixer."
            )
    if main is not None and main.gain is not None:
        way = "ahead of" if main.gain > 0 else "behind"
        where = f" at {main.steps} steps" if main.steps else ""
        found.append(f"{main.metric}{where} is {abs(main.gain):.3f} {way} the best baseline, {main.rival}.")
    return found[:5]
