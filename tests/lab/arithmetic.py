"""A task that measures by arithmetic, for tests of what the lab does with numbers: no sandbox, no torch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from move37.lab.judging.checked import Checked, Fingerprint
from move37.lab.records import BITS_PER_BYTE, DECIDE, SCREEN, Candidate, GateResult, Measurement, Metric
from move37.lab.tasks.task import Baseline, Measured, Rung, Schedule

TOP = Rung(number=2, name="lm@500", steps=500)
Level = Callable[[str, Rung, int], float]  # (source, rung, seed) -> value


class ArithmeticTask:
    """`level` gives each source its number; a source with CRASH fails, one with BAD is refused by a gate."""

    name = "mixers"
    contract = "A class named Mixer."
    metric: Metric = BITS_PER_BYTE

    def __init__(
        self,
        level: Level | None = None,
        *,
        digest: str = "arithmetic",
        text: str = "",
        best_rates: Mapping[str, float] | None = None,
    ) -> None:
        self.level = level or (lambda source, rung, seed: 2.5 + noise(source, seed))
        self.best_rates = best_rates or {}  # source -> its best learning rate: each doubling away from it costs .1
        self.digest = digest
        self.text = text
        self.measured: list[tuple[str, int, int]] = []  # source, steps, seed

    @property
    def baselines(self) -> tuple[Baseline, ...]:
        return tuple(
            Baseline(name=n, candidate=Candidate(source=f"class Mixer: {n}", author="baseline", family=n))
            for n in ("linear", "gla", "mamba2")
        )

    def schedule(self, preset: str) -> Schedule:
        return Schedule(
            preset=preset, candidates=4, generation=4, rungs=(TOP,), baseline_rungs=(TOP,), learning_rate=1e-2
        )

    async def check(self, candidate: Candidate, *, trust: str, sandbox: Any, known: Sequence[Fingerprint]) -> Checked:
        bad = "BAD" in candidate.source
        return Checked(
            results=(GateResult(name="shape", passed=not bad, value=1.0 * bad, limit=0.0, message="another shape"),)
        )

    async def measure(
        self,
        candidate: Candidate,
        *,
        experiment: str,
        rung: Rung,
        seed: int,
        learning_rate: float,
        fresh: bool,
        sandbox: Any,
        workdir: Path,
        on_progress: Any = None,
    ) -> Measured:
        self.measured.append((candidate.source, rung.steps, seed))
        if "CRASH" in candidate.source:
            return Measured(measurements=(), failure="the training crashed: ZeroDivisionError")
        best = self.best_rates.get(candidate.source, learning_rate)
        measurement = Measurement(
            metric=self.metric.name,
            value=self.level(candidate.source, rung, seed) + 0.1 * abs(math.log2(learning_rate / best)),
            rung=rung.number,
            seed=seed,
            steps=rung.steps,
            total_steps=500,
            width=64,
            text=self.text or (DECIDE if fresh else SCREEN),
            learning_rate=learning_rate,
            fresh=fresh,
            calibrated=True,
            cpu_seconds=1.0,
        )
        return Measured(measurements=(measurement,))


def noise(source: str, seed: int, sd: float = 0.01) -> float:
    """Repeatable, and different for each source and seed: uniform within twice `sd`."""
    drawn = int(hashlib.sha256(f"{source}{seed}".encode()).hexdigest()[:6], 16) / 2**24
    return (drawn - 0.5) * 4 * sd
