"""Searches side by side at equal compute: the same baselines, the same number of runs, the same fresh seeds at the end.

Read `prepare` (the baselines of one seed, trained once for all arms), `campaign` (one arm: rounds of screening and
climbing as a campaign's generations are, then fresh seeds against the two best baselines), then `summarise` (over the
seeds of an arm) and `laws` (over all budgets that were ever compared in a home). After a kill, finished runs are found
again.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from move37.agents.arms import ARMS, Tried
from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES, Genome
from move37.lab import halving
from move37.lab.archive.codec import decode, encode
from move37.lab.comparisons import Rival, compare
from move37.lab.measuring import MeasuredArm, MeasuringContext, runs
from move37.lab.records import Candidate, Comparison
from move37.lab.statistics.growth import Trace
from move37.lab.statistics.growth_laws import GrowthLaw, compare_laws
from move37.lab.statistics.paired import interval
from move37.lab.tasks.task import Rung

CLIMBERS = 6  # of the screen, trained to all steps: 100 steps rank the leaders roughly, and a full run costs five
ROUNDS = 3  # after each, a share of `CLIMBERS` is trained to all steps, and later candidates build on those results
FRESH = 500_000  # fresh seeds of comparisons; equal for all arms of one campaign seed, so that they pair
CANDIDATES, FRESH_SEEDS = 12, 5
OUTCOMES = "comparisons.jsonl"  # in a home


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The baselines' runs of one seed, which all arms share."""

    seed: int
    values: Mapping[str, float]  # family -> screened value of its baseline
    whole: Mapping[str, float]  # the same after all steps
    rivals: tuple[Rival, ...]  # the two best, with their fresh runs
    fresh_seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmOutcome:
    """One arm's campaign."""

    arm: str
    seed: int
    genome: str  # plan of its best, as JSON; empty where nothing could be measured
    comparison: Comparison | None  # with the rival that it beats least clearly
    core_seconds: float  # of its own candidates, kept runs included
    screened: tuple[tuple[float, float], ...] = ()  # (core-seconds so far, best screened gain over the best baseline)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSummary:
    """An arm over its campaigns."""

    arm: str
    campaigns: int
    effect: float  # mean effect of the best on fresh seeds, against the best baselines
    low: float | None  # 95 % interval over campaigns; None with one
    high: float | None
    better: float  # share of campaigns whose best beats both baselines at the rule's own error
    core_seconds: float  # mean of a campaign


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOutcome:
    """An ended campaign of a comparison, as a home keeps it."""

    budget: int
    corpus: str  # digest
    outcome: ArmOutcome
    rounds: int = 1  # in which its candidates climbed


class Outcomes:
    """The kept campaigns of comparisons: JSON lines, of which one that a kill cut short is skipped."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, ended: StoredOutcome) -> None:
        """Append one, unless the same is there: a comparison that is repeated trains nothing and counts once."""
        if ended in self.all():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(encode(ended), ensure_ascii=False) + "\n")

    def all(self) -> tuple[StoredOutcome, ...]:
        """Every one, oldest first."""
        found = []
        for line in self.path.read_text(encoding="utf-8").split("\n") if self.path.is_file() else ():
            try:
                found.append(decode(StoredOutcome, json.loads(line)))
            except (ValueError, TypeError, KeyError):
                continue
        return tuple(found)


async def prepare(context: MeasuringContext, seed: int, *, fresh_seeds: int = FRESH_SEEDS) -> Ground:
    """Every baseline on the screening seed, and the two best on the fresh ones."""
    schedule, metric = context.task.schedule("quick"), context.task.metric
    screen, top, rate = schedule.rungs[0], schedule.rungs[-1], schedule.learning_rate
    own = {b.name: b.candidate for b in context.task.baselines}

    async def both(name: str) -> tuple[MeasuredArm, MeasuredArm]:
        one = await runs(context, own[name], name, rung=screen, seeds=(seed,), rate=rate)
        return one, await runs(context, own[name], name, rung=top, seeds=(seed,), rate=rate)

    arms = dict(zip(own, await asyncio.gather(*(both(name) for name in own)), strict=True))
    values, whole = (
        {own[n].family: v for n, pair in arms.items() if (v := _value(pair[at], metric.name)) is not None}
        for at in (0, 1)
    )
    measured = {n: last.measurements for n, (_, last) in arms.items()}
    best = halving.best_baselines(measured, metric=metric, steps=top.steps)
    seeds = tuple(range(FRESH + 100 * seed, FRESH + 100 * seed + fresh_seeds))
    fresh = await asyncio.gather(
        *(runs(context, own[n], n, rung=top, seeds=seeds, rate=rate, fresh=True) for n in best)
    )
    rivals = tuple(Rival(id=n, name=n, measurements=a.measurements) for n, a in zip(best, fresh, strict=True))
    return Ground(seed=seed, values=values, whole=whole, rivals=rivals, fresh_seeds=seeds)


async def campaign(
    context: MeasuringContext,
    arm: str,
    ground: Ground,
    *,
    candidates: int = CANDIDATES,
    on_done: Callable[[str, int, int], None] | None = None,
) -> ArmOutcome:
    """One arm from the baselines to fresh seeds: `candidates` screening runs and `CLIMBERS` whole ones, in rounds."""
    schedule, metric, seed = context.task.schedule("quick"), context.task.metric, ground.seed
    screen, top, rate = schedule.rungs[0], schedule.rungs[-1], schedule.learning_rate
    screened, whole = (min(values.values(), default=math.nan) for values in (ground.values, ground.whole))
    tried = [
        Tried(genome=g, value=ground.values.get(f), gain=_gain(whole, ground.whole.get(f)), whole=ground.whole.get(f))
        for f, g in BASELINES.items()
    ]
    search, rng = ARMS[arm](seed), Random(f"compare:{arm}:{seed}")
    spent, curve = 0.0, []
    climbed: dict[Genome, float | None] = {}
    for past in range(ROUNDS):
        for number in range(candidates * past // ROUNDS, candidates * (past + 1) // ROUNDS):
            proposed = search.propose(tried, rng)
            if proposed is None:
                break
            found = await _run(context, proposed.genome, screen, (seed,), rate)
            spent, value = spent + _cost(found), _value(found, metric.name)
            tried.append(Tried(genome=proposed.genome, value=value, base=proposed.base, gain=_gain(screened, value)))
            best = min((t.value for t in tried[len(BASELINES) :] if t.value is not None), default=math.nan)
            curve.append((spent, screened - best))
            if on_done is not None:
                on_done(arm, seed, number + 1)
        waiting = [t for t in tried[len(BASELINES) :] if t.value is not None and t.genome not in climbed]
        for t in sorted(waiting, key=lambda t: t.value or math.inf)[: CLIMBERS // ROUNDS]:
            found = await _run(context, t.genome, top, (seed,), rate)
            spent += _cost(found)
            climbed[t.genome] = value = _value(found, metric.name)
            tried[tried.index(t)] = replace(t, gain=_gain(whole, value), whole=value)
    sound = [(genome, value) for genome, value in climbed.items() if value is not None]
    if not sound:
        return ArmOutcome(arm=arm, seed=seed, genome="", comparison=None, core_seconds=spent, screened=tuple(curve))
    genome = min(sound, key=lambda entry: entry[1])[0]
    ours = await _run(context, genome, top, ground.fresh_seeds, rate, fresh=True)
    met = [compare(metric, ours.measurements, rival, confirmation=1) for rival in ground.rivals]
    answers = [answer[0] for answer in met if answer is not None]
    weakest = min(answers, key=lambda c: -math.inf if c.low is None else c.low, default=None)
    return ArmOutcome(
        arm=arm,
        seed=seed,
        genome=genome.to_json(),
        comparison=weakest,
        core_seconds=spent + _cost(ours),
        screened=tuple(curve),
    )


def summarise(outcomes: Sequence[ArmOutcome]) -> tuple[ArmSummary, ...]:
    """Each arm over its campaigns, in the order in which they were asked for."""
    found = []
    for arm in dict.fromkeys(o.arm for o in outcomes):
        own = [o for o in outcomes if o.arm == arm]
        effects = [o.comparison.effect for o in own if o.comparison is not None]
        spread = interval(effects) if len(effects) > 1 else None
        found.append(
            ArmSummary(
                arm=arm,
                campaigns=len(own),
                effect=math.fsum(effects) / len(effects) if effects else math.nan,
                low=spread.low if spread else None,
                high=spread.high if spread else None,
                better=sum(o.comparison is not None and o.comparison.holds for o in own) / len(own),
                core_seconds=math.fsum(o.core_seconds for o in own) / len(own),
            )
        )
    return tuple(found)


def laws(kept: Sequence[StoredOutcome]) -> dict[str, GrowthLaw]:
    """Arm -> what its campaigns on the last one's corpus and scale, in as many rounds, say of the best effect on fresh
    seeds against compute. Of an arm, seed and budget the newest counts; unmeasured ones have no effect."""
    alike = [k for k in kept if (k.corpus, k.rounds) == (kept[-1].corpus, kept[-1].rounds)]
    scale = next((c.scale for k in reversed(alike) if (c := k.outcome.comparison) is not None), "")
    alike = [k for k in alike if k.outcome.comparison is None or k.outcome.comparison.scale == scale]
    here = {(k.outcome.arm, k.outcome.seed, k.budget): k.outcome for k in alike}
    found = {}
    for arm in dict.fromkeys(arm for arm, _, _ in here):
        traces = [
            Trace(campaign=f"{seed}/{budget}", points=((o.core_seconds, o.comparison.effect),))
            for (whose, seed, budget), o in here.items()
            if whose == arm and o.comparison is not None
        ]
        if (law := compare_laws(traces)) is not None:
            found[arm] = law
    return found


async def _run(
    context: MeasuringContext, genome: Genome, rung: Rung, seeds: Sequence[int], rate: float, *, fresh: bool = False
) -> MeasuredArm:
    # The name is part of the file, and the file is the key of a kept run: equal genomes must get equal names.
    candidate = Candidate(source=emit(genome, name="compared"), author="designer (search)", family=genome.family)
    return await runs(context, candidate, "compared", rung=rung, seeds=seeds, rate=rate, fresh=fresh)


def _value(arm: MeasuredArm, metric: str) -> float | None:
    sound = [m for m in arm.measurements if m.metric == metric and m.is_sound]
    diverged = any(m.diverged for m in arm.measurements)
    return None if arm.failure or diverged or not sound else sound[0].value


def _gain(reference: float, value: float | None) -> float:
    """Over the best baseline at equal steps; who was not measured or diverged there comes last."""
    return -math.inf if value is None or math.isnan(reference) else reference - value


def _cost(arm: MeasuredArm) -> float:
    return sum(m.cpu_seconds for m in arm.measurements)
