"""The searches of `benchmarks.rediscovery`, one campaign, and what many campaigns amount to. Nothing here trains.

Read `campaign` (one task, arm and seed), `summary` (rate and experiments needed with intervals), `duel` (who needed
fewer, seed by seed). `FieldTpe` is Optuna's TPE over the genome's own fields, which is told of the starts first.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, get_args

import numpy as np
import optuna

from move37.agents.arms import Designer, Proposed, RandomArm, SearchArm, SearchSpace, Tried
from move37.agents.search import grammar
from move37.agents.search.composition import LOCAL, of_one_width, usual
from move37.agents.search.genome import PASSES, PLACES, STEPS, Mix
from move37.agents.search.grammar import (
    ERASING,
    FAMILIES,
    SUMMING,
    WINDOWS,
    Family,
    Genome,
    Path,
    SmallBlock,
    Stream,
    canonical,
    faults,
)
from move37.agents.search.size import fit

TRIES = 200
RESAMPLES = 4000
Measure = Callable[[Genome], float | None]  # the task's value, lower is better; None where a training diverged

_PATH: Mapping[str, tuple[Any, ...]] = {
    "norm": get_args(grammar.Norm),
    "feature": get_args(grammar.Feature),
    "beta": (1, 2),
    "decay": get_args(grammar.Decay),
    "rotary": (False, True),
    "window": WINDOWS,
    "steps": STEPS,
    "separate": (False, True),
    "tree": (False, True),
}
_WHOLE: Mapping[str, tuple[Any, ...]] = {
    "router": get_args(grammar.Router),
    "conv": (False, True),
    "out_norm": (False, True),
    "gate": ("none", "full"),
    "floor": get_args(grammar.Floor),
    "residual": (False, True),
    "heads": get_args(grammar.Heads),
    "keys": ("half", "same", "double"),
    "values": ("half", "same", "double"),
    "passes": PASSES,
}
_STREAMS: Mapping[str, tuple[Any, ...]] = {f"{name}_mix": get_args(Mix) for name in ("input", "gate", "output")}
_AROUND: Mapping[str, tuple[Any, ...]] = dict.fromkeys(PLACES, ("none", *LOCAL, "gated_delta"))
FIELDS: Mapping[str, tuple[Any, ...]] = {
    **{f"family{place}": (*FAMILIES, *(["none"] if place > 1 else [])) for place in (1, 2, 3)},
    **_PATH, **_WHOLE, **_STREAMS, **_AROUND,
}  # fmt: skip


def genome_from(fields: Mapping[str, Any]) -> Genome | None:
    """The genome that the fields say, mended where one choice demands another; None where it cannot be built."""
    families = list(dict.fromkeys(fields[f"family{place}"] for place in (1, 2, 3)))
    shared = {name: fields[name] for name in _PATH}
    paths = []
    for family in families:
        if family != "none":
            norm = "l2" if family in ERASING else shared["norm"]
            window = shared["window"] if family == "softmax" else 0
            paths.append(Path(family=family, **(shared | {"norm": norm, "window": window})))
    whole = {name: fields[name] for name in _WHOLE}
    whole["out_norm"] = whole["out_norm"] or any(path.family in SUMMING for path in paths)
    if len(paths) > 1 and (whole["router"] == "none" or (whole["router"] == "hierarchical" and len(paths) < 3)):
        whole["router"] = "softmax"
    streams = tuple(Stream(name=name, mix=fields[f"{name}_mix"]) for name in ("input", "gate", "output"))
    around = tuple(SmallBlock(place=p, block=_small(fields[p])) for p in PLACES if fields[p] != "none")
    genome = canonical(of_one_width(Genome(paths=tuple(paths), streams=streams, around=around, **whole)))
    return None if faults(genome) else fit(genome)


def _small(family: Family) -> Genome:
    path = usual(family)
    return Genome(paths=(path,), conv=False, gate="none", keys="quarter", values="quarter")


def fields_of(genome: Genome) -> dict[str, Any]:
    """The fields of a genome with one path and nothing around it."""
    (path,) = genome.paths
    own = asdict(path)
    found = {"family1": path.family, "family2": "none", "family3": "none"}
    found |= {name: own[name] for name in _PATH} | {name: getattr(genome, name) for name in _WHOLE}
    found |= dict.fromkeys((*_STREAMS, *_AROUND), "none")
    return found | {"window": path.window or WINDOWS[0], "gate": "none" if genome.gate == "none" else "full"}


class FieldTpe:
    """Optuna's TPE over the genome's fields."""

    def __init__(self, seed: int, space: SearchSpace) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
        self._kinds = {name: optuna.distributions.CategoricalDistribution(values) for name, values in FIELDS.items()}
        self._starts, self._asked = frozenset(space.starts.values()), list[tuple[Genome, Any]]()
        self._told = False

    def propose(self, tried: Sequence[Tried], rng: Random) -> Proposed | None:
        """See `SearchArm`."""
        known = {t.genome: t.value for t in tried}
        if not self._told:
            for genome in [t.genome for t in tried if t.genome in self._starts and t.value is not None]:
                trial = optuna.trial.create_trial(
                    params=fields_of(genome), distributions=dict(self._kinds), value=known[genome]
                )
                self._study.add_trial(trial)
            self._told = True
        while self._asked:
            genome, asked = self._asked.pop()
            self._finish(asked, known.get(genome))
        for _ in range(TRIES):
            asked = self._study.ask(self._kinds)
            new = genome_from(asked.params)
            if new is not None and new not in known:
                self._asked.append((new, asked))
                return Proposed(genome=new)
            self._finish(asked, known.get(new) if new is not None else None)
        return None

    def _finish(self, trial: Any, value: float | None) -> None:
        self._study.tell(trial, value, state=None if value is not None else optuna.trial.TrialState.FAIL)


ARMS: Mapping[str, Callable[[int, SearchSpace], SearchArm]] = {
    "search": lambda seed, space: Designer(with_record=True, space=space),
    "no-record": lambda seed, space: Designer(with_record=False, space=space),
    "random": lambda seed, space: RandomArm(space),
    "tpe": FieldTpe,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAnswer:
    """How one campaign ended."""

    needed: int | None  # the experiment that reached the threshold, from 1; None: none did
    genome: Genome | None  # which it was
    best: float | None  # lowest value of a candidate
    values: tuple[float | None, ...]  # of the candidates, in order
    genomes: tuple[Genome, ...]  # the candidates


def campaign(
    arm: SearchArm, space: SearchSpace, measure: Measure, *, threshold: float, experiments: int, rng: Random
) -> FoundAnswer:
    """Measure the starts, then candidates until one is at the threshold or `experiments` are spent."""
    tried = [Tried(genome=genome, value=measure(genome)) for genome in space.starts.values()]
    values: list[float | None] = []
    genomes: list[Genome] = []
    for _ in range(experiments):
        proposed = arm.propose(tried, rng)
        if proposed is None:
            break
        value = measure(proposed.genome)
        tried.append(Tried(genome=proposed.genome, value=value, base=proposed.base))
        values.append(value)
        genomes.append(proposed.genome)
        if value is not None and value <= threshold:
            break
    known = [v for v in values if v is not None]
    best = min(known, default=None)
    found = best is not None and best <= threshold
    return FoundAnswer(
        needed=len(values) if found else None,
        genome=genomes[-1] if found else None,
        best=best,
        values=tuple(values),
        genomes=tuple(genomes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRecord:
    """Of one task and arm. A campaign that found nothing counts as one experiment more than it had."""

    n: int
    rate: tuple[float, float, float]  # of rediscovery: mean, 95 % interval
    needed: tuple[float, float, float]  # experiments: median, 95 % interval


def summary(needed: Sequence[int | None], experiments: int) -> ArmRecord:
    """Rate and median with bootstrap intervals over campaigns (percentiles; as narrow as a point where all agree)."""
    if not needed:
        raise ValueError("no campaign to sum up")
    counts = np.array([experiments + 1 if n is None else n for n in needed], dtype=float)
    draws = np.random.default_rng(0).integers(0, len(counts), size=(RESAMPLES, len(counts)))
    found = counts <= experiments
    rate_low, rate_high = np.quantile(found[draws].mean(axis=1), (0.025, 0.975))
    low, high = np.quantile(np.median(counts[draws], axis=1), (0.025, 0.975))
    return ArmRecord(
        n=len(counts),
        rate=(float(found.mean()), float(rate_low), float(rate_high)),
        needed=(float(statistics.median(counts.tolist())), float(low), float(high)),
    )


def duel(one: Mapping[int, int | None], other: Mapping[int, int | None]) -> tuple[int, int, int]:
    """Seeds on which `one` needed fewer experiments, more, or as many (or neither found it)."""
    fewer = more = same = 0
    for seed in one.keys() & other.keys():
        mine, theirs = (float("inf") if n is None else n for n in (one[seed], other[seed]))
        fewer, more, same = fewer + (mine < theirs), more + (mine > theirs), same + (mine == theirs)
    return fewer, more, same
