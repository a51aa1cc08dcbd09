"""The words for states, evidence and effects, each said in one place. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from move37.app.views.shapes import Tone
from move37.lab.numbers import DigitScale
from move37.lab.records import DECIDE, HELD_OUT, Experiment, ExperimentStatus, GateResult, Metric, Verdict
from move37.lab.summary import Summary

ENDED = (ExperimentStatus.FAILED, ExperimentStatus.REJECTED)
TEXTS = {DECIDE: "deciding text", HELD_OUT: "held-out text"}
NOTES = (
    "Values compare within their group alone: other steps, another text or fresh seeds stand apart. A difference is "
    "taken against the group's rival at equal seeds; positive is better.",
    "Rows screened on one seed are ranked, not claimed; intervals come from fresh seeds that chose nothing.",
)
CAVEAT = (
    "No row is a discovery: that needs its own ablation, more steps, a larger width and held-out text."  # the default
)


def direction(metric: Metric) -> str:
    """bits/byte (lower is better)."""
    return f"{metric.unit} ({'higher' if metric.higher_is_better else 'lower'} is better)"


def words_of(name: str) -> str:
    """A metric's or a gate's name as words."""
    return name.replace("_", " ")


def seeds_text(summary: Summary) -> str:
    """What a number rests on."""
    if summary.diverged:
        return "diverged"
    seeds = "one seed" if summary.n == 1 else f"{summary.n} seeds"
    said = f"{summary.n} fresh seeds" if summary.n > 1 else "one fresh seed"
    text = said if summary.fresh else f"screened on {seeds}"
    text += ", self-reported" if summary.self_reported else ""
    return text + (", gradients unchecked" if summary.own_backward else "")


def value_text(summary: Summary | None, scale: DigitScale) -> tuple[str, str]:
    """A mean, and its interval where it has one."""
    if summary is not None and (summary.diverged or not math.isfinite(summary.mean)):
        return "diverged", ""
    return scale.text(summary.mean if summary else None), scale.bounds(summary.low, summary.high) if summary else ""


def verdict_text(verdict: Verdict | None, scale: DigitScale) -> tuple[str, str, Tone]:
    """An effect, its interval with the number tried, and good or bad only where the interval excludes zero."""
    if verdict is None or not math.isfinite(verdict.effect):
        return scale.text(None), "", "quiet"
    if verdict.low is None or verdict.high is None:
        return scale.signed(verdict.effect), "on one seed", ""
    bounds = f"{scale.bounds(verdict.low, verdict.high, signed=True)} of {verdict.tried} tried"
    tone: Tone = "good" if verdict.low > 0 else "bad" if verdict.high < 0 else ""
    return scale.signed(verdict.effect), bounds, tone


def state_text(experiment: Experiment, *, runs: bool = True) -> str:
    """Where it stands; why it ended, where it ended early. `runs`: the campaign does."""
    said = experiment.status.value if runs or experiment.status is not ExperimentStatus.RUNNING else "not finished"
    return f"{said}: {experiment.reason}" if experiment.reason and experiment.status in ENDED else said


def sign_of(gate: GateResult) -> tuple[str, Tone]:
    """A tick, a cross, or a dash for a gate that could not run."""
    signs: dict[bool | None, tuple[str, Tone]] = {True: ("✓", "good"), False: ("✗", "bad"), None: ("–", "quiet")}
    return signs[gate.passed]


def grouped_gates(gates: Iterable[GateResult]) -> list[tuple[str, GateResult]]:
    """The gates with the names to show; those that could not run for one and the same reason share a line, at the end.

    A program has eleven gates that do not apply: one line says so.
    """
    shown: list[tuple[str, GateResult]] = []
    idle: dict[str, list[GateResult]] = {}
    for gate in gates:
        if gate.passed is None:
            idle.setdefault(gate.message, []).append(gate)
        else:
            shown.append((gate.name, gate))
    for same in idle.values():
        shown.append((same[0].name if len(same) == 1 else f"{len(same)} others", same[0]))
    return shown
