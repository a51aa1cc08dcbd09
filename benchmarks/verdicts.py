"""What the verdict rule says of worthless and of true ideas: `python -m benchmarks.verdicts [--campaigns N] [--json]`.

Whole campaigns on drawn numbers, decided by the lab's own functions: halving (`lab/halving.py`), a second screening
seed, the two best baselines, fresh seeds, `lab/comparisons.py` at the error of the home's k-th confirmation.
    false       share of campaigns of 12, 60 or 200 clones of the best baseline that call one of them better
    home_false  share of homes with such a claim after ten campaigns of 12
    power       share of campaigns that claim the one candidate whose true gain is .02, .05 or .1, among clones
Beside it, on streams of 20 clones, what other loops do: keep if lower, keep if a second seed agrees, a noise badge.

Drawn: baselines' levels after 100, 200 and 500 steps as measured (docs/figures/lab.md); one run scatters by .018
around its arm, so much of it shared by equal seeds that a paired difference scatters by .0243. The deviation at an
early rung correlates by .7 with that at the last one. A gain is the same at every rung, which flatters the screen where
gains grow with training and wrongs it where they shrink.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from move37.lab import halving
from move37.lab.comparisons import Rival, compare
from move37.lab.records import BITS_PER_BYTE, DECIDE, SCREEN, Measurement
from move37.lab.statistics.noise import NOISE
from move37.lab.tasks.mixers import MixersTask
from move37.lab.tasks.task import Rung, Schedule

LEVELS: Mapping[str, tuple[float, float, float]] = {  # bits per byte after 100, 200 and 500 steps
    "mamba2": (3.046, 2.800, 2.447),
    "gated_delta_net": (3.139, 2.831, 2.458),
    "retnet": (3.224, 2.904, 2.523),
    "delta_net": (3.228, 2.916, 2.548),
    "gla": (3.263, 2.957, 2.591),
    "softmax": (3.366, 3.026, 2.657),
    "linear": (3.553, 3.245, 2.889),
}
BEST = LEVELS["mamba2"]
RUN = NOISE[BITS_PER_BYTE.name].run.sd
SHARED = math.sqrt(max(0.0, RUN**2 - NOISE[BITS_PER_BYTE.name].across.sd ** 2 / 2))  # of a run, common to equal seeds
OWN = math.sqrt(RUN**2 - SHARED**2)
SIZES, GAINS = (12, 60, 200), (0.02, 0.05, 0.1)
STREAM, HOME = 20, 10  # clones of a stream, campaigns of a home
BADGE = 2.0  # times the median absolute deviation that is called likely real


class SimulatedArm:
    """One mixer: its true levels, and the runs that were drawn so far."""

    def __init__(self, name: str, levels: Sequence[float], rng: np.random.Generator) -> None:
        self.name, self._levels, self._rng = name, levels, rng
        self.runs: list[Measurement] = []

    def train(self, rungs: Sequence[Rung], shared: Mapping[int, float], seed: int = 0, *, fresh: bool = False) -> None:
        """One seed through `rungs`, each with half of the last one's deviation and as much of its own."""
        last = shared[seed] + OWN * self._rng.standard_normal()
        for rung in rungs:
            early = math.sqrt(0.5) * (last + RUN * self._rng.standard_normal())
            deviation = last if rung.steps == 500 else early
            self.runs.append(
                Measurement(
                    metric=BITS_PER_BYTE.name,
                    value=self._levels[(100, 200, 500).index(rung.steps)] + deviation,
                    rung=2, seed=seed, steps=rung.steps, total_steps=500, width=64, learning_rate=1e-2, fresh=fresh,
                    text=DECIDE if fresh else SCREEN, calibrated=True,
                )
            )  # fmt: skip


def campaign(rng: np.random.Generator, schedule: Schedule, candidates: int, gain: float, confirmation: int) -> str:
    """One campaign on drawn numbers; the name of the candidate that it calls better, or an empty string."""
    rungs = [r for r in schedule.rungs if r.steps]
    shared = {seed: SHARED * rng.standard_normal() for seed in [*range(schedule.screen_seeds), *range(1000, 1100)]}
    baselines = {name: SimulatedArm(name, levels, rng) for name, levels in LEVELS.items()}
    for own in baselines.values():
        own.train(rungs, shared)
    arms = {"true" if gain else "clone 0": SimulatedArm("true", [v - gain for v in BEST], rng)}
    arms |= {f"clone {n}": SimulatedArm(f"clone {n}", BEST, rng) for n in range(1, candidates)}
    names = list(arms)
    rng.shuffle(names)
    for first in range(0, candidates, schedule.generation):
        going: Sequence[str] = names[first : first + schedule.generation]
        for rung in rungs:
            for name in going:
                arms[name].train([rung], shared)
            going = halving.climbers(_standings(arms, going, rung), rung.keep, metric=BITS_PER_BYTE)
    top = rungs[-1]
    rivals = _rivals(baselines, halving.RIVALS + 1)
    near = halving.finalists(_standings(arms, names, top), schedule.finalists + 1, metric=BITS_PER_BYTE)
    for seed in range(1, schedule.screen_seeds):
        for arm in (*(baselines[r] for r in rivals), *(arms[n] for n in near)):
            arm.train([top], shared, seed)
    chosen = halving.finalists(_standings(arms, near, top), schedule.finalists, metric=BITS_PER_BYTE)
    against = [baselines[r] for r in _rivals(baselines, halving.RIVALS)]
    able = halving.resolution(
        [arm.runs for arm in against], metric=BITS_PER_BYTE, wanted=schedule.confirm_seeds,
        smallest=schedule.smallest_effect, confirmation=confirmation, most=schedule.most_seeds,
    )  # fmt: skip
    if able.refusal:
        return ""
    for seed in halving.fresh_seeds(able.seeds, campaign_seed=0):
        for arm in (*against, *(arms[n] for n in chosen)):
            arm.train([top], shared, seed, fresh=True)
    for n, name in enumerate(chosen):
        if all(_holds(arms[name], rival, confirmation + n) for rival in against):
            return name
    return ""


def _holds(arm: SimulatedArm, rival: SimulatedArm, confirmation: int) -> bool:
    found = compare(
        BITS_PER_BYTE,
        arm.runs,
        Rival(id=rival.name, name=rival.name, measurements=rival.runs),
        confirmation=confirmation,
    )
    return found is not None and found[0].holds


def _standings(arms: Mapping[str, SimulatedArm], names: Sequence[str], rung: Rung) -> list[halving.Standing]:
    found = (halving.standing(n, arms[n].runs, metric=BITS_PER_BYTE, steps=rung.steps) for n in names)
    return [s for s in found if s is not None]


def _rivals(baselines: Mapping[str, SimulatedArm], count: int) -> tuple[str, ...]:
    runs = {name: arm.runs for name, arm in baselines.items()}
    return halving.best_baselines(runs, metric=BITS_PER_BYTE, steps=500, count=count)


# What other loops do with worthless ideas: each says whether a stream fooled it -----------------------------------


def keep_if_lower(draw: Callable[[], float]) -> bool:
    """One run each, kept if below the best so far."""
    first = draw()
    return any(draw() < first for _ in range(STREAM))


def keep_on_second_seed(draw: Callable[[], float]) -> bool:
    """Kept at once beyond two standard deviations, else if a second seed agrees; the champion keeps its best seed."""
    champion = draw()
    for _ in range(STREAM):
        value = draw()
        if champion - value > 2 * RUN or (value < champion and draw() < champion):
            return True
    return False


def noise_badge(draw: Callable[[], float]) -> bool:
    """Called likely real when the best gain so far is twice the median absolute deviation of all values."""
    values = [draw()]
    for _ in range(STREAM):
        values.append(draw())
        middle = statistics.median(values)
        deviation = statistics.median(abs(v - middle) for v in values)
        if len(values) >= 3 and values[0] - min(values) >= BADGE * deviation:
            return True
    return False


RULES = {"keep if lower": keep_if_lower, "keep on second seed": keep_on_second_seed, "noise badge": noise_badge}


def simulate(campaigns: int, seed: int) -> dict[str, Any]:
    """The figures of the last line, from `campaigns` drawn campaigns a cell."""
    rng = np.random.default_rng(seed)
    # Presets ask for no corpus: nothing is read.
    schedule = MixersTask(corpus=cast(Any, None)).schedule("quick")
    homes = max(1, campaigns // 4)
    return {
        "false": {str(n): _share(campaigns, lambda n=n: campaign(rng, schedule, n, 0.0, 1)) for n in SIZES},
        "home_false": _share(
            homes, lambda: "".join(campaign(rng, schedule, 12, 0.0, k) for k in range(1, HOME + 1))
        ),
        "power": {
            str(n): {
                str(gain): _share(campaigns, lambda n=n, g=gain: campaign(rng, schedule, n, g, 1) == "true")
                for gain in GAINS
            }
            for n in SIZES
        },
    }  # fmt: skip


def _share(count: int, happens: Callable[[], object]) -> float:
    return sum(bool(happens()) for _ in range(count)) / count


def main() -> None:
    """Simulate and print; the last line is the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=400, metavar="N", help="drawn campaigns a cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="the last line is JSON; it always is")
    given = parser.parse_args()
    if given.campaigns < 1:
        parser.error("--campaigns needs at least 1")
    rng = np.random.default_rng(given.seed)
    print(f"streams of {STREAM} clones of the baseline, {given.campaigns * 10} each: share that is fooled")
    for name, rule in RULES.items():
        fooled = _share(given.campaigns * 10, lambda rule=rule: rule(lambda: RUN * float(rng.standard_normal())))
        print(f"  {name:22}{fooled:6.2f}")
    figures = simulate(given.campaigns, given.seed)
    print(f"this rule, {given.campaigns} campaigns a cell (homes: {max(1, given.campaigns // 4)} of {HOME} campaigns)")
    print("  candidates   false   power at .02   .05   .1")
    for n in map(str, SIZES):
        power = figures["power"][n]
        print(f"  {n:>10}{figures['false'][n]:8.4f}" + "".join(f"{power[str(g)]:8.2f}" for g in GAINS))
    print(f"  homes with a false claim {figures['home_false']:.4f}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
