"""Principles by a rule: operator and family -> effect against the parent, with an interval. Pure.

Read `Trial` (one experiment as an operator's evidence), `operator_effects` (a Bayesian regression over all of them),
`OperatorRecord.effect` (its forecast for a change that was never tried), and `kept` (the principles that follow, beside
those of the last revision).

An experiment usually changes several operators at once. Averaging its effect into each of them would credit whatever
accompanies a good operator (and made an output gate that all mixers have look harmful), so all operators are estimated
together: effect = sum over operators of change * (main effect + family's own part) + number put in * what
putting any operator in does + noise. The term before the noise is the mean of all main effects, estimated as well: most
changes of a good mixer make it worse, and an untried operator is expected to be like the tried ones (it improved
forecasts of three sets of trainings: docs/figures/society.md). Priors are normal around zero. How wide they are, and
how far effects miss such a sum beyond the noise of a run, differs between metrics by an order of magnitude: both are
chosen by the evidence (marginal likelihood) from `WIDTHS` and `MISFITS`, in units of the noise. Nothing here depends on
the unit in which a metric is written.

An experiment counts once, by its effect after the most steps that it shares with its parent (agents/record.py). On the
few archives that there are, effects after 500 steps were foretold better so than from the first rung alone, and a
column for "more steps" did not help (docs/figures/society.md). One record may thus hold effects after 100 steps and
after 500; what follows from it says after how many.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from move37.lab.records import Metric, Principle

MOST = 20  # principles that are kept
LEAST_TRIALS = 2  # experiments behind a principle
INTERVAL = 1.645  # standard deviations either way: a 90 % interval
WIDTHS = (2.0, 1.0, 4.0, 8.0, 16.0)  # prior of an operator's main effect in units of the noise; the usual one first
MISFITS = (1.0, 2.0, 4.0)  # standard deviation of an effect around the sum of its operators, in units of its error
FAMILY_SHARE = 0.5  # prior of what a family adds to a main effect, in widths of the latter
UNNAMED = "?"  # a family that no experiment has
ADDING = ("any operator", "")  # the term for putting any operator in
DOUBT = 0.7  # log odds against each doubling away from the usual width, and from no misfit
RECORD = "record"  # who signs

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One measured experiment as evidence about operators."""

    experiment: str
    family: str
    gained: frozenset[str]  # operators that the parent lacks
    lost: frozenset[str]  # operators that only the parent has
    effect: float  # against the parent, positive is better, in the metric's unit
    standard_error: float  # of that effect
    steps: int = 0  # after which both were measured; 0: not said, the same for all


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorEffect:
    """What adding an operator does in a family, against the parent."""

    operator: str
    family: str
    mean: float
    low: float  # 90 % interval
    high: float
    n: int  # experiments that changed it in this family
    steps: tuple[int, int]  # fewest and most after which these were measured
    supports: tuple[str, ...]  # whose own effect has the mean's sign
    contradicts: tuple[str, ...]

    @property
    def strength(self) -> float:
        """How many standard errors the mean lies from zero."""
        sd = (self.high - self.low) / (2 * INTERVAL)
        return abs(self.mean) / sd if sd > 0 else 0.0


class OperatorRecord:
    """The fitted regression: asked for effects of operators and for forecasts of changes.

    `noise` is the standard deviation of one screened effect without a cause, in the metric's unit.
    """

    def __init__(self, trials: Sequence[Trial], noise: float) -> None:
        self.trials = tuple(t for t in trials if t.gained | t.lost)
        pairs = {(o, t.family) for t in self.trials for o in t.gained | t.lost}
        names = sorted({(o, "") for o, _ in pairs} | pairs | ({ADDING} if pairs else set()))
        self._column = {name: i for i, name in enumerate(names)}
        width, misfit, self._mean, self._covariance = self._fitted(names, noise)
        self.scale = width * noise  # standard deviation of operators' main effects, in the metric's unit
        self.scatter = misfit * noise  # of an effect around what the record says
        self.adding = float(self._mean[self._column[ADDING]]) if names else 0.0  # effect of putting in any operator

    def effect(self, gained: frozenset[str], lost: frozenset[str], family: str) -> tuple[float, float]:
        """Mean and standard deviation of a change's effect; an operator never tried has the prior.

        With family "" it is the main effect, as uncertain as for a family that was never seen.
        """
        row, unseen = self._row(gained, lost, family)
        variance = float(row @ self._covariance @ row) + unseen * self.scale**2
        return float(row @ self._mean), math.sqrt(variance)

    def _row(self, gained: frozenset[str], lost: frozenset[str], family: str) -> tuple[Matrix, float]:
        row, unseen = np.zeros(len(self._column)), 0.0
        if ADDING in self._column:
            row[self._column[ADDING]] = len(gained - lost)
        for operator in gained ^ lost:
            sign = 1.0 if operator in gained else -1.0
            for name, prior in (((operator, ""), 1.0), ((operator, family or UNNAMED), FAMILY_SHARE)):
                if (column := self._column.get(name)) is None:
                    unseen += prior**2
                else:
                    row[column] += sign
        return row, unseen

    def _fitted(self, names: Sequence[tuple[str, str]], noise: float) -> tuple[float, float, Matrix, Matrix]:
        """Width and misfit of the largest marginal likelihood, and the effects under them."""
        if not names:
            return WIDTHS[0], MISFITS[0], np.zeros(0), np.zeros((0, 0))
        rows = np.array([self._row(t.gained, t.lost, t.family)[0] for t in self.trials])
        # In units of the noise: what is chosen, and how well the arithmetic goes, is then the same for every metric.
        errors = np.array([max(t.standard_error / noise, 1e-6) for t in self.trials])
        scaled = rows / errors[:, None]
        effects = np.array([t.effect / noise for t in self.trials]) / errors
        shares = np.array([FAMILY_SHARE if family else 1.0 for _, family in names])
        gram, moment, square = scaled.T @ scaled, scaled.T @ effects, float(effects @ effects)
        # Ties go to the earlier pair, which is the more usual one: hence minus its place.
        best = max(
            (_evidence(gram, moment, square, len(errors), width * shares, misfit) - _doubt(width, misfit), -place)
            for place, (width, misfit) in enumerate(itertools.product(WIDTHS, MISFITS))
        )
        width, misfit = tuple(itertools.product(WIDTHS, MISFITS))[-best[1]]
        covariance = np.linalg.inv(gram / misfit**2 + np.diag(1.0 / (width * shares) ** 2))
        return width, misfit, noise * (covariance @ moment) / misfit**2, noise**2 * covariance


def _doubt(width: float, misfit: float) -> float:
    return DOUBT * (abs(math.log2(width / WIDTHS[0])) + math.log2(misfit / MISFITS[0]))


def _evidence(gram: Matrix, moment: Matrix, square: float, n: int, prior_sd: Matrix, misfit: float) -> float:
    """Log marginal likelihood of `n` effects whose error is `misfit`, less what is the same for all choices."""
    # Of a Gaussian linear model with the effects integrated out: Bishop 2006, section 3.5.1.
    precision = gram / misfit**2 + np.diag(1.0 / prior_sd**2)
    fitted = np.linalg.solve(precision, moment) / misfit**2
    residual = square / misfit**2 - float(moment @ fitted) / misfit**2
    log_sizes = float(np.linalg.slogdet(precision)[1]) + 2 * float(np.log(prior_sd).sum()) + 2 * n * math.log(misfit)
    return -0.5 * (residual + log_sizes)


def operator_effects(record: OperatorRecord) -> tuple[OperatorEffect, ...]:
    """Every operator in every family that changed it, best first."""
    found = []
    for operator, family in sorted({(o, t.family) for t in record.trials for o in t.gained | t.lost}):
        mean, sd = record.effect(frozenset({operator}), frozenset(), family)
        own = [t for t in record.trials if t.family == family and operator in t.gained | t.lost]
        signed = {t.experiment: t.effect if operator in t.gained else -t.effect for t in own}
        found.append(
            OperatorEffect(
                operator=operator,
                family=family,
                mean=mean,
                low=mean - INTERVAL * sd,
                high=mean + INTERVAL * sd,
                n=len(signed),
                steps=(min(t.steps for t in own), max(t.steps for t in own)),
                supports=tuple(e for e, effect in signed.items() if effect * mean > 0),
                contradicts=tuple(e for e, effect in signed.items() if effect * mean <= 0),
            )
        )
    return tuple(sorted(found, key=lambda e: -e.mean))


def kept(
    effects: Sequence[OperatorEffect], before: Sequence[Principle], *, metric: Metric, names: Mapping[str, str]
) -> tuple[Principle, ...]:
    """The next revision: what the interval supports, strongest first, then what is struck with it.

    `names` gives an operator's words. A principle of another author is left to that author and stays as it is.
    """
    standing = {f"{e.operator}@{e.family}": e for e in effects if e.n >= LEAST_TRIALS and (e.low > 0 or e.high < 0)}
    others = [p for p in before if p.author != RECORD and not p.struck]
    best = sorted(standing.items(), key=lambda item: -item[1].strength)[: max(0, MOST - len(others))]
    found = [_principle(ident, effect, metric, names) for ident, effect in best]
    found_ids = {p.id for p in found}
    now = {f"{e.operator}@{e.family}": e for e in effects}
    struck = [
        Principle(
            id=p.id,
            text=p.text,
            supports=now[p.id].supports if p.id in now else p.supports,
            contradicts=now[p.id].contradicts if p.id in now else p.contradicts,
            author=RECORD,
            struck=_why_struck(now.get(p.id)),
        )
        for p in before
        if p.author == RECORD and not p.struck and p.id not in found_ids
    ]
    return (*others, *found, *struck)


def concerns(principle: Principle, experiments: Collection[str]) -> bool:
    """Whether a principle is about experiments with these ids: a home may hold several tasks."""
    return not principle.supports or not {*principle.supports, *principle.contradicts}.isdisjoint(experiments)


def _principle(ident: str, effect: OperatorEffect, metric: Metric, names: Mapping[str, str]) -> Principle:
    does = "gains" if effect.mean > 0 else "loses"
    text = (
        f"In {effect.family} mixers, adding {names.get(effect.operator, effect.operator)} {does} "
        f"{abs(effect.mean):.3g} {metric.unit} against the parent after {_after(effect.steps)} "
        f"(90 % interval {effect.low:+.3g} to {effect.high:+.3g}, n = {effect.n})."
    )
    return Principle(
        id=ident,
        text=text,
        supports=effect.supports,
        contradicts=effect.contradicts,
        author=RECORD,
        strength=effect.strength,
    )


def _after(steps: tuple[int, int]) -> str:
    fewest, most = steps
    return f"{fewest} steps" if fewest == most else f"{fewest} to {most} steps"


def _why_struck(effect: OperatorEffect | None) -> str:
    if effect is None:
        return "no experiment of the record bears on it any more"
    if effect.low <= 0 <= effect.high:
        return f"the interval {effect.low:+.3g} to {effect.high:+.3g} holds zero now (n = {effect.n})"
    return f"others are stronger: {MOST} principles are kept"
