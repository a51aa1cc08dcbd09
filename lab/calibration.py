"""What must be known of a scale before anything is promoted on it: noise between seeds, best rates, smallest effect.

Read `calibrated` (runs of several baselines -> one `ScaleCalibration`; pure), then `Calibrations`, the file of JSON
lines in the home's cache: one for each text, kind of machine and device, under the installed versions. Measurements of
other ones are not used. `lab/calibrating.py` makes the runs.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from move37.lab import machine
from move37.lab.archive.codec import decode, encode
from move37.lab.errors import LabError
from move37.lab.records import Calibration, Measurement, Metric, Noise
from move37.lab.scale import Scale
from move37.lab.statistics.power import minimum_detectable_effect

LEAST_SEEDS, LEAST_ARMS = 3, 2
MOST_TRUST = 4.0  # degrees of freedom, as of the lab's own noise: from six seeds on the sample weighs more


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleCalibration:
    """What was measured at one scale."""

    scale: str  # `Scale.key`
    steps: int
    noise: Noise
    learning_rate: float  # best over the arms' means
    rates: Mapping[str, float]  # each arm's own best
    edge: bool  # the best rate is the largest or the smallest that was tried: a better one may lie beyond
    seeds: int
    arms: tuple[str, ...]
    detectable: float  # smallest effect that `seeds` fresh seeds find in four of five cases, in the metric's unit
    cpu_seconds: float = 0.0  # that it took


def calibrated(
    scale: Scale, metric: Metric, tuning: Mapping[str, Sequence[Measurement]], runs: Mapping[str, Sequence[Measurement]]
) -> ScaleCalibration:
    """`tuning`: each arm on one seed at several rates; `runs`: each arm at its own best rate on several seeds.

    Raises `LabError` where too few runs are sound; diverged ones are left out.
    """
    rates, best = best_rates(metric, tuning)
    values = {arm: {m.seed: m.value for m in ms if m.metric == metric.name and m.is_sound} for arm, ms in runs.items()}
    values = {arm: by_seed for arm, by_seed in values.items() if len(by_seed) >= LEAST_SEEDS}
    if len(values) < LEAST_ARMS:
        raise LabError(
            f"the noise of scale {scale.name} cannot be told: {len(values)} baseline(s) have {LEAST_SEEDS} sound runs, "
            f"{LEAST_ARMS} are needed; lower the learning rates, or see `move37 check`"
        )
    run = _pooled([list(by_seed.values()) for by_seed in values.values()])
    pairs = [
        [one[s] - two[s] for s in sorted(one.keys() & two.keys())] for one, two in combinations(values.values(), 2)
    ]
    # Pairs of arms share runs, so they count for no more degrees of freedom than one arm's seeds give.
    least = min(len(pair) for pair in pairs)
    across = Calibration(sd=_pooled(pairs).sd, df=min(MOST_TRUST, float(least - 1)))
    # Runs of one family are taken as unpaired, which overestimates the noise, as in the lab's own.
    relatives = Calibration(sd=math.sqrt(2.0) * run.sd, df=run.df)
    used = [m for ms in (*tuning.values(), *runs.values()) for m in ms]
    tried = sorted({m.learning_rate for ms in tuning.values() for m in ms})
    detectable = minimum_detectable_effect(least, sd=across.sd, df=across.df + least - 1)
    return ScaleCalibration(
        scale=scale.key,
        steps=scale.steps,
        noise=Noise(run=run, across=across, relatives=relatives),
        learning_rate=best,
        rates=rates,
        edge=best in (tried[0], tried[-1]),
        seeds=least,
        arms=tuple(values),
        detectable=detectable,
        cpu_seconds=math.fsum(m.cpu_seconds for m in used),
    )


def best_rates(metric: Metric, tuning: Mapping[str, Sequence[Measurement]]) -> tuple[dict[str, float], float]:
    """Each arm's best rate, and the one with the best mean over the arms.

    Raises `LabError` where none trains all of them.
    """
    by_arm = {
        arm: {m.learning_rate: metric.gain(m.value, 0.0) for m in ms if m.metric == metric.name and m.is_sound}
        for arm, ms in tuning.items()
    }
    common = set.intersection(*(set(gains) for gains in by_arm.values())) if by_arm else set()
    if not common:
        raise LabError("no learning rate trains every baseline at this scale: name smaller ones with --rates")
    best = max(sorted(common), key=lambda rate: math.fsum(gains[rate] for gains in by_arm.values()))
    return {arm: max(sorted(gains), key=lambda rate: gains[rate]) for arm, gains in by_arm.items()}, best


def _pooled(groups: Sequence[Sequence[float]]) -> Calibration:
    squares, df = 0.0, 0
    for values in groups:
        mean = math.fsum(values) / len(values)
        squares += math.fsum((v - mean) ** 2 for v in values)
        df += len(values) - 1
    return Calibration(sd=math.sqrt(squares / df), df=min(MOST_TRUST, float(df)))


class Calibrations:
    """The calibrations for one text on one kind of machine; the newest of a scale counts."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, cache: Path, *, corpus: str, device: str = "cpu") -> Calibrations:
        """Those for `corpus` (its digest), on this machine and `device`, under the installed versions."""
        where = machine.conditions(device)
        return cls(cache / "calibrations" / f"{corpus[:16]}-{where}.jsonl")

    def find(self, scale: Scale) -> ScaleCalibration | None:
        """What was measured at exactly this scale."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except OSError:
            return None
        found = None
        for line in lines:
            try:
                one = decode(ScaleCalibration, json.loads(line))
            except (ValueError, TypeError, KeyError):  # cut short by a kill, or by another version
                continue
            found = one if (one.scale, one.steps) == scale.place else found
        return found

    def put(self, calibration: ScaleCalibration) -> None:
        """Append, synced. Raises `LabError` when the cache cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(b"\n" + json.dumps(encode(calibration)).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LabError(f"{self.path} cannot be written ({error.strerror}): is the disk full?") from error
