"""One candidate against one rival on fresh seeds: pairs -> `Comparison`. Pure.

Read `compare` first. `Rival` says against whom, `Arm` is one side's runs under equal conditions. Pairs are seeds that
both arms have under the same steps, schedule, scale, device and text; at the most steps that both have unless `where`
says.
What is said about a comparison in words stands in `lab/verdicts.py`; which ones a claim needs, in `lab/claims.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from move37.lab.effects import Conditions, conditions_of
from move37.lab.records import Comparison, Measurement, Metric
from move37.lab.statistics.many import confirmation_error
from move37.lab.statistics.noise import NOISE, Calibration, noise_of
from move37.lab.statistics.paired import Interval, interval

UNCALIBRATED = "The noise there was never calibrated: the interval rests on these seeds alone."
DIVERGED, NO_NUMBER = "diverged", "no number"  # what leaves a comparison undecided


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A rival of the candidate, and what beating it would show."""

    id: str
    name: str
    measurements: Sequence[Measurement]
    question: str = "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """The fresh runs of both arms by seed, and what became of them."""

    conditions: Conditions
    gains: Mapping[int, float]  # by seed, of the pairs that count
    diverged: tuple[int, ...]  # seeds on which the candidate diverged: one rejects
    lost: tuple[int, ...]  # seeds on which only the candidate has no number: nothing is decided
    left_out: tuple[int, ...]  # seeds on which the rival diverged: they are no gain of the candidate
    calibration: Calibration | None  # the noise measured beforehand, where every number was taken under its conditions
    self_reported: bool
    custom_backward: str  # the candidate's; empty: autograd's


def compare(
    metric: Metric,
    candidate: Sequence[Measurement],
    rival: Rival,
    *,
    confirmation: int,
    where: Conditions | None = None,
) -> tuple[Comparison, Interval | None] | None:
    """The paired interval at the confidence of the home's `confirmation`-th; None without a common fresh seed.

    The interval is returned beside the comparison for the sentences about it; None where the comparison has none.
    """
    pairs = paired(metric, candidate, rival.measurements, where=where)
    if pairs is None or not pairs.gains:
        return None
    confidence = 1.0 - confirmation_error(max(1, confirmation))
    found = interval(list(pairs.gains.values()), confidence=confidence, calibration=pairs.calibration)
    told = None if found is None or pairs.diverged or pairs.lost else found
    return (
        Comparison(
            question=rival.question,
            rival=rival.id,
            name=rival.name,
            effect=math.fsum(pairs.gains.values()) / len(pairs.gains),
            low=told.low if told else None,
            high=told.high if told else None,
            confidence=confidence,
            seeds=len(pairs.gains),
            steps=pairs.conditions.steps,
            total_steps=pairs.conditions.total_steps,
            width=pairs.conditions.width,
            scale=pairs.conditions.scale,
            text=pairs.conditions.text,
            self_reported=pairs.self_reported,
            custom_backward=pairs.custom_backward,
            note=_note(pairs, rival.name, known=metric.name in NOISE),
            undecided=DIVERGED if pairs.diverged else NO_NUMBER if pairs.lost else "",
        ),
        told,
    )


def paired(
    metric: Metric, ours: Sequence[Measurement], theirs: Sequence[Measurement], *, where: Conditions | None = None
) -> Pairs | None:
    """Both arms' fresh runs under the richest conditions that both share (or under `where`); None without common ones.

    Seeds on which the rival diverged are left out, as they would count as the candidate's gain. A seed on which only
    the candidate has no number leaves all undecided, or a candidate that raises when it does badly would choose its
    seeds.
    """
    arms = [_fresh(arm, metric) for arm in (ours, theirs)]
    common = [c for c in arms[0].keys() & arms[1].keys() if where in (None, c)]
    if not common:
        return None
    conditions = max(common, key=lambda c: (c.steps, -c.width, -c.total_steps, c.text))
    one, two = (arm[conditions] for arm in arms)
    sound = {seed: m for seed, m in two.items() if m.is_sound}
    lost = sorted(seed for seed in two if seed not in one or not one[seed].is_number)
    counted = sorted(sound.keys() & one.keys() - set(lost))
    used = [*(one[s] for s in counted), *(sound[s] for s in counted)]
    noise = noise_of(metric.name, used)
    return Pairs(
        conditions=conditions,
        gains={s: metric.gain(one[s].value, sound[s].value) for s in counted},
        diverged=tuple(sorted(seed for seed, m in one.items() if m.diverged)),
        lost=tuple(lost),
        left_out=tuple(sorted(two.keys() - sound.keys())),
        calibration=noise.across if noise else None,
        self_reported=any(m.self_reported for m in used),
        custom_backward=declared_backward(one.values()),
    )


def declared_backward(candidate: Iterable[Measurement]) -> str:
    """What the candidate says of a backward that is not autograd's; empty where its gradients were checked."""
    return next((m.custom_backward for m in candidate if m.custom_backward), "")


def unchecked(declared: str) -> str:
    """A sentence to stand behind what rests on gradients that nobody checked; empty where they were."""
    return f" Its gradients were not checked: it declares a backward of its own ({declared})." if declared else ""


def _fresh(measurements: Sequence[Measurement], metric: Metric) -> dict[Conditions, dict[int, Measurement]]:
    found: dict[Conditions, dict[int, Measurement]] = {}
    for m in measurements:
        if m.metric == metric.name and m.fresh:
            found.setdefault(conditions_of(m), {})[m.seed] = m
    return found


def _note(pairs: Pairs, name: str, *, known: bool) -> str:
    """What a reader must know about the pairs and about the noise."""
    if pairs.diverged:
        return f"training diverged on fresh seed {pairs.diverged[0]}; one divergence rejects."
    if pairs.lost:
        return f"no number on fresh seed {', '.join(map(str, pairs.lost))}, where {name} has one."
    notes = []
    if pairs.left_out:
        seeds = ", ".join(map(str, pairs.left_out))
        notes.append(f"{name} diverged on fresh seed {seeds}, which is left out.")
    if known and pairs.calibration is None:
        notes.append(UNCALIBRATED)
    return " ".join(notes)
