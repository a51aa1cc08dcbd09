"""How well the search draws, without a training: planted landscapes in place of tasks.

    python -m benchmarks.planted [--seeds 60] [--arms search,random]

    needles    `parity` and `overwrite` of benchmarks/rediscovery.py as formulas: flat but for beta up to two; and
               a sum of operators behind a sigmoid in which an erasing rule counts most
    additive   a sum of operators' worths and of pairs, in bits per byte: gain of the best over the best baseline after
               12 and 24 experiments

The shapes are guesses; what is found here has to be found again by benchmarks/rediscovery.py, which trains.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable
from random import Random

from move37.agents.arms import Designer, RandomArm, SearchArm, SearchSpace
from move37.agents.search.catalogue import CATALOGUE
from move37.agents.search.grammar import BASELINES, Genome, operators_in
from move37.benchmarks.rediscovery_search import campaign
from move37.benchmarks.rediscovery_tasks import TASKS

EXPERIMENTS, LONG = 12, 24
World = Callable[[Genome], float]  # lower is better
ARMS: dict[str, Callable[[SearchSpace], SearchArm]] = {
    "search": lambda space: Designer(with_record=True, space=space),
    "no-record": lambda space: Designer(with_record=False, space=space),
    "random": RandomArm,
}


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


def parity(seed: int) -> World:
    """A share of wrong answers: half of what has the answer learns to use it."""

    def value(genome: Genome) -> float:
        luck = noise(genome, seed, 1.0)
        if "beta_two" not in operators_in(genome):
            return 0.42 + 0.015 * luck
        learns = Random(f"p{genome.to_json()}{seed}").random() < 0.55
        return 0.06 + 0.03 * abs(luck) if learns else 0.3 + 0.03 * luck

    return value


def additive(seed: int) -> World:
    """Bits per byte."""
    rng = Random(f"t{seed}")
    worth = {o: rng.gauss(0, 0.05) for o in CATALOGUE}
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
        for task in (t for t in TASKS if t.name in ("overwrite", "parity")):
            space = SearchSpace(starts=dict(task.starts), carried=task.carried, metric=task.metric)
            world = overwrite if task.name == "overwrite" else parity
            found = [
                campaign(
                    ARMS[arm](space), space, world(seed), threshold=task.threshold, experiments=EXPERIMENTS,
                    rng=Random(f"{task.name}{seed}"),
                )
                for seed in range(given.seeds)
            ]  # fmt: skip
            rate = sum(f.needed is not None for f in found) / len(found)
            print(f"{arm:10} {task.name:12} found {rate:.2f} of {len(found)}", flush=True)
        gains = [_gains(arm, seed) for seed in range(given.seeds)]
        mean, late = (statistics.fmean(side) for side in zip(*gains, strict=True))
        print(f"{arm:10} {'additive':12} gain {mean:.3f} after {EXPERIMENTS}, {late:.3f} after {LONG}", flush=True)


def _gains(arm: str, seed: int) -> tuple[float, float]:
    space, world = SearchSpace(), additive(seed)
    rng = Random(f"text{seed}")
    found = campaign(ARMS[arm](space), space, world, threshold=-math.inf, experiments=LONG, rng=rng)
    values = [v for v in found.values if v is not None]
    best = min(world(genome) for genome in BASELINES.values())
    return best - min(values[:EXPERIMENTS]), best - min(values)


if __name__ == "__main__":
    main()
