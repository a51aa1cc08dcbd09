"""Does the search beat chance? The arms of `move37 compare` on trainings of two CPU seconds, so that seeds can be many.

    python -m benchmarks.search_arms --seeds 8 --candidates 60 --arms designer,random --cache trainings.jsonl

The task is the small text task (`rediscovery_tasks`: one layer of width 32, 100 steps), without climbs. The finalists,
which are best on an arm's seed, are trained on a second one as in a campaign, and who is best on both is what the arm
came to. It is trained again on `FRESH` seeds that chose nothing, beside the two baselines that were best on the arm's
seed: the gain over the better of them is what an arm found. Also shown: the best on its seed after a quarter,
half and all of the candidates. Arms are compared in pairs by seed. Trainings are kept by genome and seed, and shared by
all arms.
Not covered: what holds at more steps and another width (`move37 compare`, docs/results).
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch

from move37.agents.arms import ARMS, Tried
from move37.agents.search.grammar import BASELINES, Genome
from move37.benchmarks.predictions import told
from move37.benchmarks.predictions_campaign import STEPS, CachedTrainings
from move37.lab.statistics.power import minimum_detectable_effect

SECOND = 500  # second seed of campaign seed 0
FRESH = 3  # seeds on which an arm's best is measured again
PLACES = 3  # of bits per byte
SHARES = (0.25, 0.5, 1.0)  # of the candidates, after which the best is shown
Value = Callable[[Genome, int], float | None]  # bits per byte of a genome on a seed; None: diverged


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmFound:
    """What one arm came to on one seed, in bits per byte over the best baseline; positive is better."""

    gain: float | None  # of its best, on fresh seeds; None where nothing could be measured
    bests: tuple[float, ...]  # on its own seed, after each of `SHARES`
    genome: Genome | None  # its best


def campaign(arm: str, seed: int, candidates: int, value: Value, *, finalists: int = 1) -> ArmFound:
    """Baselines, then candidates one by one; then the best of the finalists on fresh seeds."""
    tried = [Tried(genome=genome, value=value(genome, seed)) for genome in BASELINES.values()]
    rivals = _best(tried, 2)
    search, rng = ARMS[arm](seed), Random(f"search_arms:{arm}:{seed}")
    for _ in range(candidates):
        if (proposed := search.propose(tried, rng)) is None:
            break
        tried.append(Tried(genome=proposed.genome, value=value(proposed.genome, seed), base=proposed.base))
    own = tried[len(BASELINES) :]
    best = _chosen(_best(own, finalists), SECOND + seed, value)
    if best is None:
        return ArmFound(gain=None, bests=(), genome=None)
    reached = [_best(own[: max(1, round(share * candidates))], 1) for share in SHARES]
    level = _known(rivals[0])
    return ArmFound(
        gain=_fresh_gain(best, [r.genome for r in rivals], seed, value),
        bests=tuple(level - _known(r[0]) for r in reached if r),
        genome=best,
    )


def _chosen(finalists: Sequence[Tried], seed: int, value: Value) -> Genome | None:
    """The best by the mean of both seeds; who diverges on the second one is out. None where nobody is left."""
    if len(finalists) < 2:
        return finalists[0].genome if finalists else None
    seconds = [(again, f) for f in finalists if (again := value(f.genome, seed)) is not None]
    return min(seconds, key=lambda pair: pair[0] + _known(pair[1]))[1].genome if seconds else None


def _fresh_gain(genome: Genome, rivals: Sequence[Genome], seed: int, value: Value) -> float | None:
    """Over the rival that is better on the fresh seeds; a candidate that diverges there found nothing."""
    seeds = range(1000 + FRESH * seed, 1000 + FRESH * (seed + 1))
    ours = [value(genome, s) for s in seeds]
    theirs = [[v for s in seeds if (v := value(rival, s)) is not None] for rival in rivals]
    known = [v for v in ours if v is not None]
    if len(known) < FRESH or not any(theirs):
        return None
    return min(statistics.fmean(values) for values in theirs if values) - statistics.fmean(known)


def _best(tried: Sequence[Tried], count: int) -> list[Tried]:
    return sorted((t for t in tried if t.value is not None), key=_known)[:count]


def _known(tried: Tried) -> float:
    assert tried.value is not None
    return tried.value


def table(found: Mapping[str, Mapping[int, ArmFound]]) -> str:
    """Markdown: each arm's gains, and its distance from the last arm, paired by seed."""
    *_, reference = found
    shares = " | ".join(f"best on its seed after {share:.0%}" for share in SHARES)
    lines = [f"| arm | campaigns | gain on fresh seeds | {shares} | against {reference}, by seed | power .8 from |"]
    lines.append("|---" * (len(SHARES) + 5) + "|")
    for arm, by_seed in found.items():
        gains = {seed: f.gain for seed, f in by_seed.items() if f.gain is not None}
        bests = [told([f.bests[i] for f in by_seed.values() if len(f.bests) > i], PLACES) for i in range(len(SHARES))]
        others = {seed: f.gain for seed, f in found[reference].items() if f.gain is not None}
        apart = [gains[s] - others[s] for s in sorted(gains.keys() & others.keys())]
        paired = arm != reference and len(apart) > 1
        seen = f"{minimum_detectable_effect(len(apart), sd=statistics.stdev(apart)):.3f}" if paired else ""
        cells = [
            arm,
            str(len(gains)),
            told([*gains.values()], PLACES),
            *bests,
            told(apart, PLACES) if paired else "",
            seen,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first", type=int, default=0, help="the first campaign's seed")
    parser.add_argument("--candidates", type=int, default=60)
    parser.add_argument("--arms", default="designer,random", help=f"by comma, the last one is compared with: {[*ARMS]}")
    parser.add_argument("--cache", type=Path, help="JSON lines; what stands in it is not trained again")
    parser.add_argument("--finalists", type=int, default=4, help="of an arm's best, that are trained on a second seed")
    given = parser.parse_args()
    arms = given.arms.split(",")
    if unknown := [arm for arm in arms if arm not in ARMS]:
        parser.error(f"no arm is called {', '.join(unknown)}: choose from {', '.join(ARMS)}")
    torch.set_num_threads(1)
    trainings = CachedTrainings(given.cache, STEPS, None)
    found: dict[str, dict[int, ArmFound]] = {arm: {} for arm in arms}
    for seed in range(given.first, given.first + given.seeds):
        for arm in arms:
            found[arm][seed] = campaign(arm, seed, given.candidates, trainings.value, finalists=given.finalists)
            gain = found[arm][seed].gain
            came = "nothing" if gain is None else f"{gain:+.3f}"
            print(f"seed {seed} {arm}: {came}", file=sys.stderr, flush=True)
    print(table(found))


if __name__ == "__main__":
    main()
