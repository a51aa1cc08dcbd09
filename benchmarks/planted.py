"""How well the search draws, without a training: planted landscapes in place of tasks.

    python -m benchmarks.planted [--seeds 60] [--arms search,random]

    needles    `parity` and `overwrite` of benchmarks/rediscovery.py as formulas: flat but for beta up to two; and
               a sum of operators behind a sigmoid in which an erasing rule counts most
    hidden     as parity, but the needle is another operator for each seed, of those that few baselines can take
    additive   a sum of operators' worths and of pairs, in bits per byte: gain of the best over the best baseline after
               12 and 24 experiments
    costly     the same where an operator that no baseline has costs .03 on average: most changes lose

The shapes are guesses; what is found here has to be found again by benchmarks/rediscovery.py, which trains.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Sequence
from functools import cache
from random import Random

from move37.agents.arms import SearchSpace
from move37.agents.search.catalogue import CATALOGUE
from move37.agents.search.grammar import BASELINES, Genome, operators_in
from move37.agents.search.operators import OPERATORS, put
from move37.benchmarks.rediscovery_search import ARMS, campaign
from move37.benchmarks.rediscovery_tasks import TASKS

EXPERIMENTS, LONG = 12, 24
World = Callable[[Genome], float]  # lower is better
FEW = 3  # baselines that can take a hidden operator, at most
COST = 0.03  # bits per byte that an unusual operator costs on average
NEEDLE = 0.15  # a value this low has found it


def noise(genome: Genome, seed: int, sd: float) -> float:
    """The same for the same genome and seed."""
    return Random(f"{genome.to_json()}{seed}").gauss(0.0, sd)


def overwrite(seed: int) -> World:
    """A share of wrong answers."""
    rng = Random(f"w{seed}")
    worth = {o: rng.gauss(0, 0.35) for o in CATALOGUE}
    for name, gain in (("short_conv", 0.8), ("qk_l2norm", 0.8), ("feature_map_elu", 0.3), ("softmax_attention", 1.2)):
        worth[name] -= gain

    def value(genome: Genome) -> float:
        present = {*operators_in(genome)}
        erases = bool(present & {"delta_rule", "gated_delta_rule"})
        z = 1.6 + sum(worth[o] for o in operators_in(genome)) - 2.2 * erases
        z += 0.3 * (len(genome.paths) > 1) - 1.2 * (erases and "short_conv" in present)
        return 1 / (1 + math.exp(-z - noise(genome, seed, 0.7)))

    return value


def needle(seed: int, name: str) -> World:
    """A share of wrong answers, the same for all mixers without `name`; half of those with it learn to use it."""

    def value(genome: Genome) -> float:
        luck = noise(genome, seed, 1.0)
        if name not in operators_in(genome):
            return 0.42 + 0.015 * luck
        learns = Random(f"p{genome.to_json()}{seed}").random() < 0.55
        return 0.06 + 0.03 * abs(luck) if learns else 0.3 + 0.03 * luck

    return value


@cache
def hidden() -> tuple[str, ...]:
    """Operators that at most `FEW` of the baselines have or can take."""

    def open_to(genome: Genome, name: str) -> bool:
        # A move may fail by chance: it is tried three times.
        return name in operators_in(genome) or any(put(name, genome, Random(n)) is not None for n in range(3))

    return tuple(o for o in OPERATORS if sum(open_to(g, o) for g in BASELINES.values()) <= FEW)


def additive(seed: int, cost: float = 0.0) -> World:
    """Bits per byte. `cost` is what an operator that no baseline has costs on average."""
    rng = Random(f"t{seed}")
    usual = {o for genome in BASELINES.values() for o in operators_in(genome)}
    worth = {o: rng.gauss(0, 0.05) - cost * (o not in usual) for o in CATALOGUE}
    pairs = [(frozenset(rng.sample(sorted(CATALOGUE), 2)), rng.gauss(0, 0.06)) for _ in range(25)]

    def value(genome: Genome) -> float:
        present = frozenset(operators_in(genome))
        joined = sum(gain for pair, gain in pairs if pair <= present)
        return 3.3 - sum(worth[o] for o in operators_in(genome)) - joined + noise(genome, seed, 0.018)

    return value


def main() -> None:
    """Print one line an arm and landscape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--arms", default="search,random", help=f"of {', '.join(ARMS)}")
    given = parser.parse_args()
    for arm in given.arms.split(","):
        if arm not in ARMS:
            parser.error(f"--arms: {arm} given, there are {', '.join(ARMS)}")
        for name, found in (("overwrite", _overwritten), ("parity", _flipped), ("hidden", _uncovered)):
            share = statistics.fmean(found(arm, seed) for seed in range(given.seeds))
            print(f"{arm:10} {name:12} found {share:.2f} of {given.seeds}", flush=True)
        for name, cost in (("additive", 0.0), ("costly", COST)):
            gains = [_gains(arm, seed, cost) for seed in range(given.seeds)]
            middle, late = (_with_error(side) for side in zip(*gains, strict=True))
            print(f"{arm:10} {name:12} gain {middle} after {EXPERIMENTS}, {late} after {LONG}", flush=True)


def _overwritten(arm: str, seed: int) -> bool:
    return _of_task(arm, seed, "overwrite", overwrite(seed))


def _flipped(arm: str, seed: int) -> bool:
    return _of_task(arm, seed, "parity", needle(seed, "beta_two"))


def _uncovered(arm: str, seed: int) -> bool:
    name = hidden()[seed % len(hidden())]
    starts = {family: genome for family, genome in BASELINES.items() if name not in operators_in(genome)}
    space = SearchSpace(starts=starts, carried=frozenset({name}), metric="share_of_wrong_answers")
    return _found(arm, seed, space, needle(seed, name), NEEDLE)


def _of_task(arm: str, seed: int, name: str, world: World) -> bool:
    task = next(t for t in TASKS if t.name == name)
    space = SearchSpace(starts=dict(task.starts), carried=task.carried, metric=task.metric)
    return _found(arm, seed, space, world, task.threshold)


def _found(arm: str, seed: int, space: SearchSpace, world: World, threshold: float) -> bool:
    rng = Random(f"{threshold}{seed}")
    found = campaign(ARMS[arm](seed, space), space, world, threshold=threshold, experiments=EXPERIMENTS, rng=rng)
    return found.needed is not None


def _gains(arm: str, seed: int, cost: float) -> tuple[float, float]:
    space, world = SearchSpace(), additive(seed, cost)
    rng = Random(f"text{seed}")
    found = campaign(ARMS[arm](seed, space), space, world, threshold=-math.inf, experiments=LONG, rng=rng)
    values = [v for v in found.values if v is not None]
    best = min(world(genome) for genome in BASELINES.values())
    return best - min(values[:EXPERIMENTS]), best - min(values)


def _with_error(values: Sequence[float]) -> str:
    """Mean and standard error."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{statistics.fmean(values):.3f} +- {error:.3f}"


if __name__ == "__main__":
    main()
