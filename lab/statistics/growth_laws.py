"""Which law of growth data supports: discoveries, or the best effect, against compute, over campaigns. Pure.

Read `compare_laws` (laws by held-out likelihood, and a sentence), then `_decided` (when one law may be named at all).
Each law is fitted to all campaigns but one and must predict the one left out; intervals come from campaigns drawn again
with replacement, because runs within a campaign are not independent.

Not covered: growth within one campaign (its points are dependent), and compute beyond the range that was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from move37.lab.statistics.growth import (
    FLAT,
    LINEAR,
    POWER,
    SATURATING,
    FittedLaw,
    Tally,
    Trace,
    fit_law,
    largest_compute,
    score,
)
from move37.lab.statistics.many import adjusted_confidence
from move37.lab.statistics.paired import interval

WORDS = {FLAT: "a constant", LINEAR: "linear growth", POWER: "a power law", SATURATING: "growth that saturates"}
LEAST = 6  # campaigns, or things counted: with fewer, one of them decides every fit
STRAIGHT = (2.0 / 3.0, 1.5)  # an exponent within it, with its whole interval, is called linear
DRAWS = 300  # resamplings
POINTS = 25  # of the curve


@dataclass(frozen=True, slots=True, kw_only=True)
class LawFit:
    """One law, fitted to all campaigns. `shape` is the exponent, or the core-seconds of 63 % of a saturation."""

    law: str
    held_out: float  # mean log likelihood of a campaign that was left out, nats
    start: float  # at no compute
    growth: float  # gained by the largest compute
    growth_low: float | None  # 95 % over campaigns; None with one
    growth_high: float | None
    shape: float | None = None
    shape_low: float | None = None
    shape_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthLaw:
    """What may be said about growth with compute."""

    campaigns: int
    supported: str  # a law, or "": none can be told from the others
    shown: str  # the law that `curve` is of: the supported one, else the one that predicts best
    sentence: str
    fits: tuple[LawFit, ...]
    curve: tuple[
        tuple[float, float, float, float], ...
    ]  # (core-seconds, middle, low, high), 95 % over campaigns; of one: none


def compare_laws(data: Sequence[Trace] | Sequence[Tally], *, draws: int = DRAWS, seed: int = 0) -> GrowthLaw | None:
    """Fit every law, let each predict every campaign from the others, and say what may be said; None without compute.

    Amounts are also compared with a constant; counts begin at zero, so that their plainest law is linear.
    """
    top = max((largest_compute(c) for c in data), default=0.0)
    if top <= 0.0:
        return None
    counts = isinstance(data[0], Tally)
    laws = (LINEAR, POWER, SATURATING) if counts else (FLAT, LINEAR, POWER, SATURATING)
    everybody = {law: fit_law(law, data, top) for law in laws}
    scores = {law: _held_out(law, data, top) for law in laws}
    rng = Random(seed)
    drawn = [rng.choices(range(len(data)), k=len(data)) for _ in range(draws)] if len(data) > 1 else []
    again = {law: [fit_law(law, [data[i] for i in chosen], top) for chosen in drawn] for law in laws}
    fits = tuple(_told(everybody[law], again[law], float(np.mean(scores[law])), top) for law in laws)
    found = sum(len(c.found) for c in data if isinstance(c, Tally))
    supported, sentence = _decided(fits, scores, len(data), found if counts else None, everybody[laws[0]].sd)
    shown = supported or max(laws, key=lambda law: float(np.mean(scores[law])))
    return GrowthLaw(
        campaigns=len(data),
        supported=supported,
        shown=shown,
        sentence=sentence,
        fits=fits,
        curve=_curve(everybody[shown], again[shown], top),
    )


def _decided(
    fits: Sequence[LawFit], scores: dict[str, list[float]], campaigns: int, found: int | None, scatter: float
) -> tuple[str, str]:
    """The supported law, or "", and the sentence. Pure arithmetic over held-out scores and intervals."""
    by_law = {f.law: f for f in fits}
    if campaigns < LEAST or (found is not None and found < LEAST):
        few = f"campaigns: {campaigns}" if found is None or campaigns < LEAST else f"found: {found}"
        return "", f"No law can be told from another: {few}, and fewer than {LEAST} let one of them decide."
    # Every pair of laws may be compared below.
    confidence = adjusted_confidence(len(by_law) * (len(by_law) - 1) // 2)

    def better(one: str, other: str) -> bool:
        gains = [a - b for a, b in zip(scores[one], scores[other], strict=True)]
        told = interval(gains, confidence=confidence)
        return told is not None and told.low > 0.0

    if FLAT in by_law and not any(better(law, FLAT) for law in (LINEAR, POWER, SATURATING)):
        line = by_law[LINEAR]
        most = f"linear growth over the whole range: {_bounds(line.growth, line.growth_low, line.growth_high)}"
        if line.growth_high is not None and line.growth_high < scatter:
            return FLAT, f"No growth with compute: less than one campaign scatters by, {scatter:.3g} ({most})."
        return (
            "",
            f"No growth with compute is shown: no law predicts a campaign left out better than a constant ({most}).",
        )
    # It grows. A bent law has to beat the line; without one, the line is named only if the exponent is near 1.
    power = by_law[POWER]
    exponent = f"exponent {_bounds(power.shape, power.shape_low, power.shape_high)}"
    bent = [law for law in (POWER, SATURATING) if better(law, LINEAR)]
    if not bent:
        low, high = power.shape_low, power.shape_high
        if low is not None and high is not None and STRAIGHT[0] <= low and high <= STRAIGHT[1]:
            return LINEAR, f"Linear growth: no bent law predicts a campaign left out better ({exponent})."
        return "", f"It grows, and in which form cannot be told: no law predicts better than a line ({exponent})."
    first, second = sorted((POWER, SATURATING), key=lambda law: -by_law[law].held_out)
    if better(first, second):
        gain = by_law[first].held_out - by_law[LINEAR].held_out
        shape = by_law[first]
        told = exponent if first == POWER else (
            f"63 % of it within {_bounds(shape.shape, shape.shape_low, shape.shape_high)} core-seconds"
        )  # fmt: skip
        return first, (
            f"{WORDS[first].capitalize()}: it predicts a campaign left out better than the others do, by {gain:.2f} "
            f"nats than a line ({told})."
        )
    return "", f"Growth is not linear; a power law and saturation cannot be told apart ({exponent})."


def _bounds(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None:
        return "unknown"
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"


def _told(fit: FittedLaw, again: Sequence[FittedLaw], held_out: float, top: float) -> LawFit:
    unit = top if fit.law == SATURATING else 1.0
    shaped = fit.law in (POWER, SATURATING)
    end = np.array([1.0])

    def gained(f: FittedLaw) -> float:
        return float(f.mean(end)[0]) - f.start

    growth = _spread([gained(f) for f in again])
    shape = _spread([f.shape * unit for f in again]) if shaped else (None, None)
    return LawFit(
        law=fit.law, held_out=held_out, start=fit.start, growth=gained(fit), growth_low=growth[0],
        growth_high=growth[1], shape=fit.shape * unit if shaped else None, shape_low=shape[0],
        shape_high=shape[1],
    )  # fmt: skip


def _spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    if not values:
        return None, None
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _curve(fit: FittedLaw, again: Sequence[FittedLaw], top: float) -> tuple[tuple[float, float, float, float], ...]:
    u = np.linspace(0.0, 1.0, POINTS)
    if not again:
        return ()
    middle, drawn = fit.mean(u), np.array([f.mean(u) for f in again])
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    return tuple(
        (float(c * top), float(m), float(a), float(b)) for c, m, a, b in zip(u, middle, low, high, strict=True)
    )


def _held_out(law: str, data: Sequence[Trace] | Sequence[Tally], top: float) -> list[float]:
    """The log likelihood of each campaign under the law fitted to the others."""
    if len(data) < 2:
        return [0.0] * len(data)
    return [score(fit_law(law, [*data[:i], *data[i + 1 :]], top), data[i], top) for i in range(len(data))]
