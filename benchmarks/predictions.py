"""Does the search foresee more as it goes on? Forecasts of Researcher and record, scored one by one.

    python -m benchmarks.predictions --seeds 5 --experiments 40 --cache predictions.jsonl [--new 200]

Campaigns of the search's own roles on the text task of benchmarks/rediscovery_tasks.py: parents by the lab's rule, a
proposal by the Researcher, the Critic's answer (a refused proposal is run all the same, which measures the Critic), one
training, the archive's record of operators fitted again. Two arms:

    lessons       Researcher and Critic are told what the record says
    no-lessons    they are told nothing; the record is fitted beside them, so that it can be scored

Per ten experiments: skill (1 - CRPS / CRPS of a naive forecast; 0 adds nothing) against "no effect" and against "the
mean of past effects", and Spearman's rank correlation; means over seeds with 95 % intervals.
A training is kept in the cache by genome, seed and steps, shared by both arms, and never run again. `--new` limits how
many a session may add: campaigns are cut where the next one is missing, and what is known is shown.
Not covered: papers and analyses of earlier experiments as advice (benchmarks/memory_loop.py), language models.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from move37.agents.search.grammar import BASELINES
from move37.benchmarks.predictions_campaign import ARMS, STEPS, CachedTrainings, campaign
from move37.lab.forecasts import no_effect, past_mean, score, spearman
from move37.lab.foresight import screened_effect
from move37.lab.records import BITS_PER_BYTE, Experiment
from move37.lab.statistics.noise import effect_noise
from move37.lab.statistics.paired import interval
from move37.lab.statistics.power import minimum_detectable_effect

BIN = 10  # experiments of one row
LEAST = 5  # outcomes of one seed in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """One forecast beside what came, and what the naive ones scored there."""

    number: int  # of the experiment
    expected: float
    effect: float
    crps: float
    flat: float  # CRPS of "no effect"
    mean: float  # of "the mean of past effects"


def foreseen(done: Sequence[Experiment]) -> Mapping[str, list[Foreseen]]:
    """By author, in order; the naive forecasts see the effects that came before."""
    found: dict[str, list[Foreseen]] = defaultdict(list)
    past: list[float] = []
    for e in (e for e in done if e.hypothesis is not None):
        effect = screened_effect(e, done, BITS_PER_BYTE)
        if effect is None or e.hypothesis is None:
            continue
        noise = effect_noise(BITS_PER_BYTE.name)
        flat, mean = (score(e.id, naive(past, noise), effect).crps for naive in (no_effect, past_mean))
        for f in e.hypothesis.forecasts:
            own = score(e.id, f, effect).crps
            found[f.author].append(
                Foreseen(number=e.number, expected=f.effect, effect=effect, crps=own, flat=flat, mean=mean)
            )
        past.append(effect)
    return found


Curve = dict[str, dict[int, float]]  # measure of skill -> seed -> value


def curve(by_seed: Mapping[int, Sequence[Foreseen]], first: int, last: int) -> Curve:
    """One value a seed for the experiments `first` to `last`; a seed with too few of them is left out."""
    found: Curve = {"over no effect": {}, "over past mean": {}, "rank correlation": {}}
    for seed, outcomes in by_seed.items():
        own = [f for f in outcomes if first <= f.number <= last]
        if len(own) < LEAST:
            continue
        crps = sum(f.crps for f in own)
        found["over no effect"][seed] = 1 - crps / sum(f.flat for f in own)
        found["over past mean"][seed] = 1 - crps / sum(f.mean for f in own)
        if (rank := spearman([f.expected for f in own], [f.effect for f in own])) is not None:
            found["rank correlation"][seed] = rank
    return found


def told(values: Sequence[float], places: int = 2) -> str:
    """Mean over seeds with its 95 % interval, where there are several that differ."""
    if len(values) < 2 or len(set(values)) == 1:
        return " ".join(f"{v:+.{places}f}" for v in values[:1]) or "-"
    spread = interval(values)
    return f"{statistics.fmean(values):+.{places}f} [{spread.low:+.{places}f}, {spread.high:+.{places}f}]"


def table(found: Mapping[tuple[str, int], Sequence[Experiment]], experiments: int) -> str:
    """Markdown: the curve by arm and author, then lessons against none, paired by seed."""
    lines = ["| arm | who | experiments | seeds | skill over no effect | over the past mean | rank correlation |"]
    lines += ["|---|---|---|---|---|---|---|"]
    spans = [(n, min(n + BIN - 1, experiments)) for n in range(1, experiments + 1, BIN)] + [(1, experiments)]
    curves: dict[tuple[str, str, tuple[int, int]], Curve] = {}
    for arm in ARMS:
        outcomes = {seed: foreseen(done) for (name, seed), done in found.items() if name == arm}
        for author in ("Researcher", "record"):
            for span in spans:
                own = curve({seed: by.get(author, []) for seed, by in outcomes.items()}, *span)
                curves[arm, author, span] = own
                n = len(own["over no effect"])
                cells = " | ".join(told([*values.values()]) for values in own.values())
                lines.append(f"| {arm} | {author} | {span[0]} to {span[1]} | {n} | {cells} |")
    return "\n".join(
        [*lines, "", *_lessons(*(curves[arm, "Researcher", (1, experiments)] for arm in ARMS)), "", *_refusals(found)]
    )


def _lessons(told_ones: Curve, others: Curve) -> list[str]:
    """What the record adds to the Researcher's forecasts, paired by seed, and what so many seeds could have seen."""
    lines = []
    for name in told_ones:
        seeds = sorted(told_ones[name].keys() & others[name].keys())
        gains = [told_ones[name][seed] - others[name][seed] for seed in seeds]
        if len(gains) > 1:
            seen = minimum_detectable_effect(len(gains), sd=statistics.stdev(gains))
            lines.append(f"lessons add to {name}: {told(gains)}, {len(gains)} seeds; power .8 from {seen:.2f} on.")
    return lines


def _refusals(found: Mapping[tuple[str, int], Sequence[Experiment]]) -> list[str]:
    lines = []
    for arm in ARMS:
        refused, accepted = list[float](), list[float]()
        for (name, _), done in found.items():
            for e in done if name == arm else ():
                if e.hypothesis and (effect := screened_effect(e, done, BITS_PER_BYTE)) is not None:
                    (refused if e.hypothesis.refused else accepted).append(effect)
        worse = [sum(v < 0 for v in values) for values in (refused, accepted)]
        lines.append(
            f"{arm}: the Critic refused {len(refused)}, {worse[0]} of them lost against their base; "
            f"of {len(accepted)} accepted, {worse[1]} lost."
        )
    return lines


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--experiments", type=int, default=40)
    parser.add_argument("--cache", type=Path, help="JSON lines; what stands in it is not trained again")
    parser.add_argument("--new", type=int, help="trainings of this session at most")
    given = parser.parse_args()
    if given.seeds < 1 or given.experiments < 1:
        parser.error("at least one seed and one experiment are needed")
    torch.set_num_threads(1)
    trainings = CachedTrainings(given.cache, STEPS, given.new)
    found = {}
    for seed in range(given.seeds):
        for arm in ARMS:
            done, whole = campaign(arm, seed, given.experiments, lambda g, seed=seed: trainings.value(g, seed))
            found[arm, seed] = done
            state = "" if whole else ", cut: trainings are missing"
            print(f"seed {seed} {arm}: {len(done) - len(BASELINES)} experiments{state}", file=sys.stderr, flush=True)
    print(table(found, given.experiments))


if __name__ == "__main__":
    main()
