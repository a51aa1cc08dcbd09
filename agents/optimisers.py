"""Optimisers from outside over the family and every operator: what the arms `tpe` and `cma-es` ask.

An operator is taken or not, the family one of seven. TPE takes them for the choices that they are, and is told the
baselines as its first trials. CMA-ES knows numbers alone: an operator is 0 or 1, drawn by its variant with a margin
(2205.13482), and each family has a score, the highest of which is taken; it begins at the best baseline.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from move37.agents.search.grammar import BASELINES, Genome, faults, operators_in
from move37.agents.search.operators import OPERATORS, put, take
from move37.agents.search.size import fit

TRIES = 200
Known = Mapping[Genome, float | None]  # what was tried: the metric, lower is better; None: it failed
FAMILIES = tuple(BASELINES)


class Tpe:
    """Optuna's tree-structured Parzen estimator; what it asks for again is answered by what is known of it."""

    def __init__(self, seed: int) -> None:
        import optuna  # brings SQLAlchemy, which nobody else needs to wait for

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        choice = optuna.distributions.CategoricalDistribution
        self._optuna: Any = optuna
        self._kinds = {"family": choice(FAMILIES)} | {name: choice((False, True)) for name in OPERATORS}
        self._study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
        self._asked: list[tuple[Genome, Any]] = []

    def next(self, known: Known) -> Genome | None:
        """A valid genome that is not `known`; None when none was found."""
        if not self._study.trials:
            for family, genome in BASELINES.items():
                if (value := known.get(genome)) is not None:
                    self._add(family, genome, value)
        for genome, trial in self._asked:
            self._finish(trial, known.get(genome))
        self._asked.clear()
        for _ in range(TRIES):
            trial = self._study.ask(dict(self._kinds))
            genome = of(trial.params["family"], {name for name in OPERATORS if trial.params[name]})
            if is_new(genome, known):
                self._asked.append((genome, trial))
                return genome
            self._finish(trial, known.get(genome))
        return None

    def _add(self, family: str, genome: Genome, value: float) -> None:
        names = operators_in(genome)
        params: dict[str, Any] = {"family": family} | {name: name in names for name in OPERATORS}
        self._study.add_trial(
            self._optuna.trial.create_trial(params=params, distributions=dict(self._kinds), value=value)
        )

    def _finish(self, trial: Any, value: float | None) -> None:
        state = None if value is not None else self._optuna.trial.TrialState.FAIL
        self._study.tell(trial, value, state=state)


class CmaEs:
    """Covariance matrix adaptation with a margin; a failed candidate counts as the worst of its generation."""

    STEP = 0.3  # at the start: about three of the operators of the best baseline change, as in a draw of the search

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._optimiser: Any = None
        self._drawn: list[tuple[NDArray[np.float64], Genome]] = []  # of this generation, as it is to be told

    def next(self, known: Known) -> Genome | None:
        """A valid genome that is not `known`; None when none was found."""
        if self._optimiser is None:
            self._optimiser = self._begun(known)
        for _ in range(TRIES):
            if len(self._drawn) == self._optimiser.population_size:
                self._tell(known)
            point, told = self._optimiser.ask()
            genome = self._genome(point)
            self._drawn.append((told, genome))
            if is_new(genome, known):
                return genome
        return None

    def _begun(self, known: Known) -> Any:
        from cmaes import CMAwM

        values = {family: known.get(genome) for family, genome in BASELINES.items()}
        best = min(FAMILIES, key=lambda f: value if (value := values[f]) is not None else math.inf)
        has = operators_in(BASELINES[best])
        start = [0.75 if f == best else 0.5 for f in FAMILIES] + [float(name in has) for name in OPERATORS]
        steps = [0.0] * len(FAMILIES) + [1.0] * len(OPERATORS)  # 0: any number in between
        bounds = np.array([[0.0, 1.0]] * len(start))
        return CMAwM(mean=np.array(start), sigma=self.STEP, bounds=bounds, steps=np.array(steps), seed=self._seed)

    def _genome(self, point: NDArray[np.float64]) -> Genome:
        scores, taken = point[: len(FAMILIES)], point[len(FAMILIES) :]
        wanted = {name for name, value in zip(OPERATORS, taken, strict=True) if value > 0.5}
        return of(FAMILIES[int(scores.argmax())], wanted)

    def _tell(self, known: Known) -> None:
        values = [known.get(genome) for _, genome in self._drawn]
        worst = max((v for v in values if v is not None), default=0.0)
        told = [(point, worst if v is None else v) for (point, _), v in zip(self._drawn, values, strict=True)]
        self._optimiser.tell(told)
        self._drawn.clear()


def of(family: str, wanted: Collection[str]) -> Genome:
    """The family's baseline with the operators asked for and no others, as far as each applies in turn."""
    genome = BASELINES[family]
    for name in OPERATORS:
        has = name in operators_in(genome)
        if has != (name in wanted):
            genome = (take(name, genome, Random(0)) if has else put(name, genome, Random(0))) or genome
    return genome


def is_new(genome: Genome, known: Collection[Genome]) -> bool:
    """Whether a genome is valid as it stands and none of `known`."""
    return genome not in known and not faults(genome) and fit(genome) == genome
