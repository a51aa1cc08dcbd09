"""Training curves, ready to be laid over each other: the rungs of one run are one line. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from move37.lab.archive.live import Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveLine:
    """One run's loss over all its rungs."""

    experiment: str
    seed: int
    learning_rate: float
    fresh: bool
    steps: tuple[int, ...]
    losses: tuple[float, ...]


def lines(curves: Sequence[Curve], experiments: Collection[str] | None = None) -> list[CurveLine]:
    """The runs of `experiments` (None: of all) that have a curve; a step that two rungs reported counts once."""
    found: dict[tuple[str, int, float, bool], dict[int, float]] = {}
    for curve in curves:
        if experiments is None or curve.experiment in experiments:
            run = (curve.experiment, curve.seed, curve.learning_rate, curve.fresh)
            found.setdefault(run, {}).update(zip(curve.steps, curve.losses, strict=True))
    return [
        CurveLine(
            experiment=experiment,
            seed=seed,
            learning_rate=rate,
            fresh=fresh,
            steps=tuple(sorted(points)),
            losses=tuple(points[step] for step in sorted(points)),
        )
        for (experiment, seed, rate, fresh), points in found.items()
    ]


def screened(curves: Sequence[Curve]) -> list[CurveLine]:
    """One line an experiment: its first screening run."""
    first: dict[str, CurveLine] = {}
    for line in lines(curves):
        if not line.fresh:
            held = first.get(line.experiment)
            if held is None or len(line.steps) > len(held.steps):
                first[line.experiment] = line
    return list(first.values())


def smoothed(losses: Sequence[float], width: int) -> list[float]:
    """Each point as the mean of the `width` around it, of fewer towards the ends; as it is in a short curve."""
    if len(losses) < 2 * width:
        return list(losses)
    half = width // 2
    reach = [min(half, i, len(losses) - 1 - i) for i in range(len(losses))]
    return [math.fsum(losses[i - r : i + r + 1]) / (2 * r + 1) for i, r in enumerate(reach)]


def scatter(losses: Sequence[float], width: int) -> float:
    """The standard deviation of single points around their mean of `width`, without the steep first eighth."""
    late = [(a, b) for a, b in zip(losses, smoothed(losses, width), strict=True)][len(losses) // 8 :]
    inner = late[width // 2 : len(late) - width // 2]
    if len(inner) < 2:
        return 0.0
    squares = math.fsum((a - b) ** 2 for a, b in inner) / len(inner)
    return math.sqrt(squares * width / (width - 1))  # a point is part of its own mean


def band(found: Sequence[CurveLine]) -> Mapping[int, tuple[float, float]]:
    """Lowest and highest loss at each step that several runs of one experiment reached: the noise between seeds."""
    at: dict[int, list[float]] = {}
    for line in found:
        for step, loss in zip(line.steps, line.losses, strict=True):
            at.setdefault(step, []).append(loss)
    return {step: (min(values), max(values)) for step, values in sorted(at.items()) if len(values) > 1}
