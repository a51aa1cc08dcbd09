"""Does memory help the loop? Equal-budget campaigns with cognition, with analyses, with both, with neither.

    python -m benchmarks.memory_loop FOLDER [--small] [--seeds 5] [--budget 12] [--json]

Each campaign screens `budget` candidates at 100 steps (no climb, no fresh seeds); the seven baselines are measured once
a seed and shared by its arms, which are compared in pairs. With `--small` everything is a campaign's own but the gates
and the size of a training (`small_text`): some 3 CPU seconds a candidate in place of 13.

FOLDER keeps one home a campaign; what is finished there is not run again, so the benchmark can be stopped and
continued. What differs between arms is what the Researcher recalls; the Critic's questions and the operators' record in
the archive are the same in all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from move37.agents import campaign as campaigns
from move37.agents.inbox import Inbox
from move37.app import logs
from move37.app.settings import Settings, load
from move37.app.surroundings import open_context
from move37.benchmarks.small_text import SmallText
from move37.lab.archive.store import Archive
from move37.lab.parents import effect_of
from move37.lab.records import Brief, Experiment, ExperimentStatus, Role
from move37.lab.statistics.paired import interval
from move37.lab.tasks import open_task
from move37.lab.tasks.task import Task

BUDGET = 12
ARMS: dict[str, tuple[str, ...]] = {
    "neither": (),
    "cognition": ("cognition",),
    "analysis": ("analysis",),
    "both": ("cognition", "analysis"),
}

READINGS: dict[str, Callable[[Sequence[float]], float]] = {  # of a campaign's gains over the best baseline, in order
    "best": max,
    "median": statistics.median,
    "later half's median": lambda gains: statistics.median(gains[len(gains) // 2 :]),
}


def main() -> None:
    """Run what is missing, then print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=BUDGET)
    parser.add_argument("--small", action="store_true", help="small trainings, shared by campaigns")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    logs.to_console("warning")
    cache = given.folder / "cache"
    small = partial(SmallText.small, cache=cache, trainings=given.folder / "trainings.jsonl")
    task: Task = small() if given.small else open_task("mixers", cache=cache)
    told: dict[str, dict[str, list[float]]] = {name: {arm: [] for arm in ARMS} for name in READINGS}
    for seed in range(given.seeds):
        shared = given.folder / f"baselines-{seed}"
        asyncio.run(_campaign(shared, task, (), seed, 0))
        for arm, kinds in ARMS.items():
            home = given.folder / f"{arm}-{seed}"
            if not home.exists():
                shutil.copytree(shared, home)
            effects = asyncio.run(_campaign(home, task, kinds, seed, given.budget))
            for name, reading in READINGS.items():
                told[name][arm].append(reading(effects) if effects else -math.inf)
            last = ", ".join(f"{name} {told[name][arm][-1]:+.3f}" for name in READINGS)
            print(f"seed {seed} {arm:10} {last}, {len(effects)} measured", flush=True)
    figures = {name: {arm: _summary(values[arm], values["neither"]) for arm in ARMS} for name, values in told.items()}
    if given.json:
        print(json.dumps(figures))
        return
    for name, arms in figures.items():
        print(f"\n{name} gain of a campaign: mean of the seeds, and against neither, paired by seed (95 %)")
        for arm, f in arms.items():
            apart = "one seed" if f["low"] is None else f"[{f['low']:+.3f}, {f['high']:+.3f}]"
            print(f"{arm:12}{f['mean']:+.3f}   {f['gain']:+.3f} {apart if arm != 'neither' else ''}".rstrip())


async def _campaign(home: Path, task: Task, kinds: tuple[str, ...], seed: int, budget: int) -> list[float]:
    """Effects of the measured candidates against the best baseline at equal steps, in bits per byte."""
    settings = load({"home": home, "memory": {"kinds": kinds}})
    with Archive.open(home) as archive:
        known = archive.campaigns()
        row = known[0] if known else archive.begin_campaign(Brief(budget=BUDGET, seed=seed))
        if row.status != "finished" or len(_ended(archive, row.id)) < budget:
            await _run(settings, archive, task, budget)
        everything = archive.experiments(row.id)
    baselines = [e for e in everything if e.role is Role.BASELINE]
    effects = (effect_of(e, baselines, task.metric) for e in everything if e.role is Role.CANDIDATE)
    return [e for e in effects if e is not None]


def _ended(archive: Archive, campaign: int) -> list[Experiment]:
    return [
        e
        for e in archive.experiments(campaign)
        if e.role is Role.CANDIDATE and e.status is not ExperimentStatus.RUNNING
    ]


async def _run(settings: Settings, archive: Archive, task: Task, budget: int) -> None:
    row = archive.update_campaign(1, status="running")
    row = replace(row, brief=replace(row.brief, budget=budget))
    async with open_context(settings, archive, row, task, Inbox(), lambda event: None) as room:
        short = replace(
            room.schedule,
            rungs=tuple(replace(r, keep=0) for r in room.schedule.rungs[:1]),
            baseline_rungs=room.schedule.baseline_rungs[:1],
            confirm_seeds=0,
            max_seconds=None,
        )
        await campaigns.run(replace(room, schedule=short))


def _summary(values: list[float], reference: list[float]) -> dict[str, float | None]:
    gains = [a - b for a, b in zip(values, reference, strict=True)]
    found = interval(gains) if len(gains) > 1 and any(gains) else None
    return {
        "mean": statistics.fmean(values),
        "gain": statistics.fmean(gains),
        "low": found.low if found else None,
        "high": found.high if found else None,
        "n": len(values),
    }


if __name__ == "__main__":
    main()
