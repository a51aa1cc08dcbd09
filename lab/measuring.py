"""Measures one mixer outside a campaign: gates, and runs on the seeds asked for.

Read `checked` (gates), then `runs` (a run that the home has kept is not trained again), then `verdict`: the gain over a
rival on the same seeds, with an interval from two pairs on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from move37.lab.comparisons import UNCALIBRATED, declared_backward, unchecked
from move37.lab.effects import Conditions, conditions_of
from move37.lab.errors import MeasurementBroken
from move37.lab.judging.checked import Checked
from move37.lab.numbers import signed
from move37.lab.records import Candidate, GateResult, Measurement, Metric, Verdict
from move37.lab.standings import RivalStanding, Standings, digest
from move37.lab.statistics.noise import NOISE, noise_of
from move37.lab.statistics.paired import interval
from move37.lab.tasks.task import OnProgress, Rung, Task
from move37.lab.verdicts import SELF_REPORTED
from move37.sandbox.sandbox import Sandbox

TRIES = 2  # of a run whose time ends while others have its processor

OnRun = Callable[[str, int, bool], None]  # (name, seed, whether it was kept already); else its training begins


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuringContext:
    """What runs need: task, sandbox, slots, and where they are kept."""

    task: Task
    sandbox: Sandbox
    standings: Standings
    workdir: Path  # checkpoints
    places: asyncio.Semaphore  # trainings at once
    on_progress: OnProgress | None = None
    on_run: OnRun | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredArm:
    """A mixer under a name, with its runs; `failure` is its own fault in one sentence."""

    name: str
    candidate: Candidate
    measurements: tuple[Measurement, ...] = ()
    failure: str = ""


async def checked(context: MeasuringContext, candidate: Candidate, name: str) -> Checked:
    """Every gate's answer, with its facts; novelty has nothing to compare with here."""
    async with context.places:
        return await context.task.check(candidate, trust=_trust(name), sandbox=context.sandbox, known=())


async def gates(context: MeasuringContext, candidate: Candidate, name: str) -> tuple[GateResult, ...]:
    """Every gate's answer."""
    return (await checked(context, candidate, name)).results


async def runs(
    context: MeasuringContext,
    candidate: Candidate,
    name: str,
    *,
    rung: Rung,
    seeds: Sequence[int],
    rate: float,
    fresh: bool = False,
    where: Conditions | None = None,
) -> MeasuredArm:
    """The mixer's runs at `rung` on `seeds`, each trained unless it is kept from earlier, taken under `where` if given.

    `failure` is the first one's. Raises `MeasurementBroken` where a run was starved of processor time each time: that
    says nothing about the mixer.
    """

    async def one(seed: int) -> tuple[tuple[Measurement, ...], str]:
        known = _kept(context, candidate.source, rung=rung, seed=seed, rate=rate, fresh=fresh, where=where)
        if known:
            if context.on_run is not None:
                context.on_run(name, seed, True)
            return known, ""
        workdir = context.workdir / digest(candidate.source)[:16] / f"{seed}-{rate:g}"
        workdir.mkdir(parents=True, exist_ok=True)
        async with context.places:
            if context.on_run is not None:
                context.on_run(name, seed, False)
            for _ in range(TRIES):
                measured = await context.task.measure(
                    candidate, experiment=_trust(name), rung=rung, seed=seed, learning_rate=rate, fresh=fresh,
                    sandbox=context.sandbox, workdir=workdir, on_progress=context.on_progress,
                )  # fmt: skip
                if not measured.starved:
                    break
        if measured.starved:
            raise MeasurementBroken(
                f"{name} with seed {seed}: {measured.failure}; the same command goes on when this machine has time"
            )
        for m in measured.measurements:
            context.standings.put(
                RivalStanding(name=name, family=candidate.family, source=candidate.source, measurement=m)
            )
        return measured.measurements, measured.failure

    found = await asyncio.gather(*(one(seed) for seed in seeds))
    return MeasuredArm(
        name=name,
        candidate=candidate,
        measurements=tuple(m for measurements, _ in found for m in measurements),
        failure=next((failure for _, failure in found if failure), ""),
    )


def kept(
    context: MeasuringContext, candidate: Candidate, name: str, *, rung: Rung, seeds: Sequence[int], rate: float
) -> MeasuredArm | None:
    """What is kept of these runs, or None: nothing is trained."""
    found = [m for s in seeds for m in _kept(context, candidate.source, rung=rung, seed=s, rate=rate, fresh=False)]
    return MeasuredArm(name=name, candidate=candidate, measurements=tuple(found)) if found else None


def verdict(metric: Metric, ours: MeasuredArm, theirs: MeasuredArm, *, tried: int = 1) -> Verdict | None:
    """What the common seeds say, at 95 %; None without one. The user chose these seeds, no selection did."""
    one, two = (_by_seed(arm, metric) for arm in (ours, theirs))
    common = sorted(one.keys() & two.keys())
    if not common:
        return None
    used = [*(one[s] for s in common), *(two[s] for s in common)]
    gains = [metric.gain(one[s].value, two[s].value) for s in common]
    known = noise_of(metric.name, used)
    found = interval(gains, calibration=known.across if known else None) if len(gains) > 1 else None
    told = any(m.self_reported for m in used)
    return Verdict(
        baseline=theirs.name,
        effect=sum(gains) / len(gains),
        low=found.low if found else None,
        high=found.high if found else None,
        tried=tried,
        text=_text(metric, theirs.name, gains, found.low if found else None, found.high if found else None)
        + (f" {UNCALIBRATED}" if found and known is None and metric.name in NOISE else "")
        + (SELF_REPORTED if told else "")
        + unchecked(declared_backward(ours.measurements)),
        self_reported=told,
    )


def _text(metric: Metric, name: str, gains: Sequence[float], low: float | None, high: float | None) -> str:
    effect = sum(gains) / len(gains)
    if low is None or high is None:
        return f"{signed(effect)} {metric.unit} against {name} on one seed: one seed ranks, it claims nothing."
    lead = "Ahead of" if low > 0 else "Behind" if high < 0 else "Not distinguishable from"
    return (
        f"{lead} {name} on {len(gains)} seeds: {signed(effect)} [{signed(low)}, {signed(high)}] {metric.unit}. It "
        "holds for one look: whoever measures many variants and reports the best has chosen it by these seeds."
    )


def _by_seed(arm: MeasuredArm, metric: Metric) -> dict[int, Measurement]:
    sound = [m for m in arm.measurements if m.metric == metric.name and m.is_sound]
    most = max((conditions_of(m).steps for m in sound), default=0)
    return {m.seed: m for m in sound if m.steps == most}


def _kept(
    context: MeasuringContext,
    source: str,
    *,
    rung: Rung,
    seed: int,
    rate: float,
    fresh: bool,
    where: Conditions | None = None,
) -> tuple[Measurement, ...]:
    found = context.standings.find(source, rung=rung.number, seed=seed, fresh=fresh)
    metric = context.task.metric.name
    if rung.steps:
        found = tuple(m for m in found if (m.steps, m.learning_rate) == (rung.steps, rate))
    if where is not None:
        found = tuple(m for m in found if conditions_of(m) == where)
    return found if any(m.metric == metric for m in found) else ()


def _trust(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)[:60] or "mixer"
