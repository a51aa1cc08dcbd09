"""Does memory help the loop? Equal-budget campaigns with cognition, with analyses, with both, with neither.

    python -m benchmarks.memory_loop FOLDER [--seeds 5] [--budget 12] [--json]

Each campaign screens `budget` candidates at 100 steps beside the seven baselines at 100 steps (no climb, no fresh
seeds): about a minute and a half on two idle cores, so that four arms on five seeds take about half an hour. FOLDER
keeps one home a campaign; what is finished there is not run again, so the benchmark can be stopped and continued. The
four arms of a seed share it, and are compared in pairs. What differs between arms is what the Researcher recalls; the
Critic's questions and the operators' record in the archive are the same in all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
from dataclasses import replace
from pathlib import Path

from agents import campaign as campaigns
from agents.inbox import Inbox
from app import logs
from app.settings import Settings, load
from app.wiring import open_room
from lab.archive.store import Archive
from lab.parents import effect_of
from lab.records import Brief, Role
from lab.statistics.paired import interval
from lab.tasks import open_task
from lab.tasks.task import Task

ARMS: dict[str, tuple[str, ...]] = {
    "neither": (),
    "cognition": ("cognition",),
    "analysis": ("analysis",),
    "both": ("cognition", "analysis"),
}


def main() -> None:
    """Run what is missing, then print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=12)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    logs.to_console("warning")
    task = open_task("mixers", cache=given.folder / "cache")
    best: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for seed in range(given.seeds):
        for arm, kinds in ARMS.items():
            effects = asyncio.run(_campaign(given.folder / f"{arm}-{seed}", task, kinds, seed, given.budget))
            best[arm].append(max(effects, default=-math.inf))
            print(f"seed {seed} {arm:10} best {best[arm][-1]:+.3f}, of {len(effects)} measured", flush=True)
    figures = {arm: _summary(best[arm], best["neither"]) for arm in ARMS}
    if given.json:
        print(json.dumps(figures))
        return
    print("\narm         best gain at 100 steps (mean)   against neither, paired by seed (95 %)")
    for arm, f in figures.items():
        print(f"{arm:12}{f['mean']:+.3f}                          {f['gain']:+.3f} [{f['low']:+.3f}, {f['high']:+.3f}]")


async def _campaign(home: Path, task: Task, kinds: tuple[str, ...], seed: int, budget: int) -> list[float]:
    """Effects of the measured candidates against the best baseline at equal steps, in bits per byte."""
    settings = load({"home": home, "memory": {"kinds": kinds}})
    with Archive.open(home) as archive:
        known = archive.campaigns()
        row = known[0] if known else archive.begin_campaign(Brief(budget=budget, seed=seed))
        if row.status != "finished":
            await _run(settings, archive, task)
        everything = archive.experiments(row.id)
    baselines = [e for e in everything if e.role is Role.BASELINE]
    effects = (effect_of(e, baselines, task.metric) for e in everything if e.role is Role.CANDIDATE)
    return [e for e in effects if e is not None]


async def _run(settings: Settings, archive: Archive, task: Task) -> None:
    row = archive.campaigns()[0]
    async with open_room(settings, archive, row, task, Inbox(), lambda event: None) as room:
        short = replace(
            room.schedule,
            rungs=tuple(replace(r, keep=0) for r in room.schedule.rungs[:1]),
            baseline_rungs=room.schedule.baseline_rungs[:1],
            confirm_seeds=0,
            max_seconds=None,
        )
        await campaigns.run(replace(room, schedule=short))


def _summary(values: list[float], reference: list[float]) -> dict[str, float]:
    gains = [a - b for a, b in zip(values, reference, strict=True)]
    found = interval(gains) if len(gains) > 1 and any(gains) else None
    return {
        "mean": statistics.fmean(values),
        "gain": statistics.fmean(gains),
        "low": found.low if found else 0.0,
        "high": found.high if found else 0.0,
        "n": float(len(values)),
    }


if __name__ == "__main__":
    main()
