"""How well a short training ranks what a long one says, and so where the ladder's first rung pays.

    python -m benchmarks.screening HOME [--families ssd,gla,gated_delta,delta] [--each 8] [--steps 100,200,500]
    python -m benchmarks.screening HOME --each 3 --steps 100,500,2000       the same draws, the first of them, longer

Each family's children are its baseline after up to six uniform moves of the grammar, drawn by the random arm of
`move37 compare`. Baselines and children are trained to each number of steps on one seed, in the process sandbox as a
campaign does; runs are kept in HOME and not trained again. An effect is the gain over the family's own baseline after
equal steps.

Printed: the rank correlation of effects at each shorter length with those at the longest, within families (ranks of
different families are never compared), with a 95 % interval by resampling children; and for ladders that cost equally
many steps, what the best of those they take to the end lacks of the best of the pool. Both effects are noisy (a
difference of two runs at 500 steps scatters by .024 bits per byte), so even a perfect screen correlates below 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from move37.agents.arms import RandomArm, SearchSpace, Tried
from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES, Genome
from move37.app import logs
from move37.app.measuring import open_context
from move37.app.settings import load
from move37.lab.forecasts import spearman
from move37.lab.measuring import MeasuringContext, runs
from move37.lab.records import Candidate
from move37.lab.tasks import open_task
from move37.lab.tasks.task import Rung

FAMILIES = "ssd,gla,gated_delta,delta"
BUDGET = 3000  # steps that a ladder may cost: the quick preset's 12 x 100 + 4 x 200 + 2 x 500
RESAMPLED = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A child of a family's baseline: its gain over that baseline, by number of steps."""

    family: str
    plan: str
    effects: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """As many children as the budget holds, screened; the best of them trained to the end."""

    first: int  # steps of the screen; those of the longest training: everybody goes to the end
    kept: int

    def screened(self, longest: int, budget: int = BUDGET) -> int:
        """How many children the budget of steps holds."""
        return budget // longest if self.first == longest else (budget - self.kept * longest) // self.first

    def lacks(self, pool: Sequence[Child], longest: int, rng: Random) -> float:
        """What the best of one draw from the pool lacks of the pool's best."""
        drawn = rng.sample(pool, min(len(pool), self.screened(longest)))
        ranked = sorted(drawn, key=lambda c: c.effects[self.first], reverse=True)
        taken = ranked if self.first == longest else ranked[: self.kept]
        return max(c.effects[longest] for c in pool) - max(c.effects[longest] for c in taken)


def children(family: str, count: int, seed: int) -> list[Genome]:
    """The same first ones however many are asked for."""
    arm, rng = RandomArm(SearchSpace(starts={family: BASELINES[family]})), Random(f"screening:{family}:{seed}")
    tried = [Tried(genome=BASELINES[family], value=0.0)]
    while len(tried) <= count and (found := arm.propose(tried, rng)) is not None:
        tried.append(Tried(genome=found.genome, value=0.0))
    return [t.genome for t in tried[1:]]


async def measured(
    context: MeasuringContext, families: Sequence[str], each: int, steps: Sequence[int], seed: int
) -> tuple[list[Child], int]:
    """Every child that could be trained to each number of steps, and how many could not."""
    metric, rate = context.task.metric, context.task.schedule("quick").learning_rate

    async def value(genome: Genome, number: int) -> float | None:
        candidate = Candidate(source=emit(genome, name="screened"), author="designer (search)", family=genome.family)
        rung = Rung(number=2, name=f"lm@{number}", steps=number)
        arm = await runs(context, candidate, "screened", rung=rung, seeds=(seed,), rate=rate)
        print(f"{genome.family}, {number} steps: {arm.failure or 'done'}", file=sys.stderr, flush=True)
        sound = [m.value for m in arm.measurements if m.metric == metric.name and m.is_sound]
        return sound[0] if sound and not arm.failure else None

    async def values(genome: Genome) -> list[float | None]:
        return [await value(genome, number) for number in steps]

    found, lost = [], 0
    for family in families:
        drawn = children(family, each, seed)
        own, *theirs = await asyncio.gather(*(values(g) for g in (BASELINES[family], *drawn)))
        for genome, got in zip(drawn, theirs, strict=True):
            gains = {
                s: metric.gain(a, b) for s, a, b in zip(steps, got, own, strict=True) if a is not None and b is not None
            }
            if len(gains) == len(steps):
                found.append(Child(family=family, plan=genome.to_json(), effects=gains))
            lost += len(gains) < len(steps)
    return found, lost


def correlation(pool: Sequence[Child], short: int, longest: int) -> float | None:
    """The mean over families of the rank correlation within each, weighted by its children."""
    weighted = []
    for family in dict.fromkeys(c.family for c in pool):
        own = [c for c in pool if c.family == family]
        rho = spearman([c.effects[short] for c in own], [c.effects[longest] for c in own])
        if rho is not None:
            weighted += [rho] * len(own)
    return statistics.fmean(weighted) if weighted else None


def resampled(pool: Sequence[Child], short: int, longest: int, rng: Random) -> tuple[float, float]:
    """95 % interval of the correlation; children are drawn anew within their family."""
    by_family = [[c for c in pool if c.family == f] for f in dict.fromkeys(c.family for c in pool)]
    values = []
    for _ in range(RESAMPLED):
        again = [c for own in by_family for c in rng.choices(own, k=len(own))]
        if (rho := correlation(again, short, longest)) is not None:
            values.append(rho)
    cuts = statistics.quantiles(values, n=40)
    return cuts[0], cuts[-1]


def report(pool: Sequence[Child], steps: Sequence[int], rng: Random) -> dict[str, object]:
    """Correlations and ladders, ready for JSON."""
    longest = max(steps)
    rows: dict[str, object] = {"children": len(pool)}
    for short in sorted(steps)[:-1]:
        low, high = resampled(pool, short, longest, rng)
        families = dict.fromkeys(c.family for c in pool)
        rows[f"rank correlation of {short} with {longest}"] = {
            "all": correlation(pool, short, longest), "low": low, "high": high,
            **{f: correlation([c for c in pool if c.family == f], short, longest) for f in families},
        }  # fmt: skip
    ladders = [Ladder(first=s, kept=k) for s in sorted(steps)[:-1] for k in (1, 2, 3, 4)] + [
        Ladder(first=longest, kept=1)
    ]
    for ladder in ladders:
        count = ladder.screened(longest)
        if ladder.kept <= count:
            lacks = statistics.fmean(ladder.lacks(pool, longest, rng) for _ in range(RESAMPLED))
            rows[f"{min(count, len(pool))} at {ladder.first}, {ladder.kept} to the end: lacks"] = round(lacks, 4)
    rows["spread of effects"] = {s: round(statistics.stdev(c.effects[s] for c in pool), 4) for s in steps}
    return rows


async def main() -> None:
    """Train what is missing, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--families", default=FAMILIES)
    parser.add_argument("--each", type=int, default=8)
    parser.add_argument("--steps", default="100,200,500")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logs.to_console("warning")
    steps = sorted(int(s) for s in given.steps.split(","))
    settings = load({"home": given.home, "sandbox": "process"})
    async with open_context(settings, open_task("mixers", cache=given.home / "cache"), written_by="grammar") as context:
        pool, lost = await measured(context, given.families.split(","), given.each, steps, given.seed)
    print(json.dumps(report(pool, steps, Random(0)) | {"not trained": lost}, indent=1))


if __name__ == "__main__":
    asyncio.run(main())
