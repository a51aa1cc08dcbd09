"""What the laboratory has learned, by a rule: operator and family -> effect against the parent, with an interval. Pure.

Read `Trial` (one experiment as an operator's evidence), `operator_effects` (a Bayesian regression over all of them),
`predicted` (what it says about a change that was never tried, which is the record's forecast), and `kept` (the
principles that follow, beside those of the last revision).

An experiment usually changes several operators at once. Averaging its effect into each of them would credit every
companion of a good operator (an output gate that everybody has looked harmful that way), so all operators are
estimated together: effect = sum over operators of change * (main effect + family's own part) + noise. Priors are
normal around zero; their widths, in units of the noise, are a choice: wide enough that two clear trials move them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from move37.lab.records import Metric, Principle

MOST = 20  # principles that are kept
LEAST_TRIALS = 2  # experiments behind a principle
INTERVAL = 1.645  # standard deviations either way: a 90 % interval
MAIN_SD = 2.0  # prior of an operator's main effect, in standard errors of one screened effect
FAMILY_SD = 1.0  # prior of what a family adds to it
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorEffect:
    """What adding an operator does in a family, against the parent."""

    operator: str
    family: str
    mean: float
    low: float  # 90 % interval
    high: float
    n: int  # experiments that changed it in this family
    supports: tuple[str, ...]  # whose own effect has the mean's sign
    contradicts: tuple[str, ...]

    @property
    def strength(self) -> float:
        """How many standard errors the mean lies from zero."""
        sd = (self.high - self.low) / (2 * INTERVAL)
        return abs(self.mean) / sd if sd > 0 else 0.0


class OperatorRecord:
    """The fitted regression: asked for effects of operators and for forecasts of changes."""

    def __init__(self, trials: Sequence[Trial], noise: float) -> None:
        self.trials = tuple(t for t in trials if t.gained | t.lost)
        self.noise = noise
        pairs = {(o, t.family) for t in self.trials for o in t.gained | t.lost}
        names = sorted({(o, "") for o, _ in pairs} | pairs)
        self._column = {name: i for i, name in enumerate(names)}
        self._mean, self._covariance = self._fitted(names)

    def effect(self, gained: frozenset[str], lost: frozenset[str], family: str) -> tuple[float, float]:
        """Mean and standard deviation of a change's effect; an operator never tried has the prior."""
        row, unseen = self._row(gained, lost, family)
        variance = float(row @ self._covariance @ row) + unseen * self.noise**2
        return float(row @ self._mean), math.sqrt(variance)

    def _row(self, gained: frozenset[str], lost: frozenset[str], family: str) -> tuple[Matrix, float]:
        row, unseen = np.zeros(len(self._column)), 0.0
        for operator in gained ^ lost:
            sign = 1.0 if operator in gained else -1.0
            for name, prior in (((operator, ""), MAIN_SD), ((operator, family), FAMILY_SD)):
                if (column := self._column.get(name)) is None:
                    unseen += prior**2
                else:
                    row[column] += sign
        return row, unseen

    def _fitted(self, names: Sequence[tuple[str, str]]) -> tuple[Matrix, Matrix]:
        if not names:
            return np.zeros(0), np.zeros((0, 0))
        prior = np.array([1.0 / (self.noise * (FAMILY_SD if family else MAIN_SD)) ** 2 for _, family in names])
        rows = np.array([self._row(t.gained, t.lost, t.family)[0] for t in self.trials])
        weights = np.array([1.0 / max(t.standard_error, 1e-9) ** 2 for t in self.trials])
        effects = np.array([t.effect for t in self.trials])
        covariance = np.linalg.inv(rows.T @ (weights[:, None] * rows) + np.diag(prior))
        return covariance @ (rows.T @ (weights * effects)), covariance


def operator_effects(record: OperatorRecord) -> tuple[OperatorEffect, ...]:
    """Every operator in every family that changed it, best first."""
    found = []
    for operator, family in sorted({(o, t.family) for t in record.trials for o in t.gained | t.lost}):
        mean, sd = record.effect(frozenset({operator}), frozenset(), family)
        signed = {
            t.experiment: t.effect if operator in t.gained else -t.effect
            for t in record.trials
            if t.family == family and operator in t.gained | t.lost
        }
        found.append(
            OperatorEffect(
                operator=operator,
                family=family,
                mean=mean,
                low=mean - INTERVAL * sd,
                high=mean + INTERVAL * sd,
                n=len(signed),
                supports=tuple(e for e, effect in signed.items() if effect * mean > 0),
                contradicts=tuple(e for e, effect in signed.items() if effect * mean <= 0),
            )
        )
    return tuple(sorted(found, key=lambda e: -e.mean))


def kept(
    effects: Sequence[OperatorEffect], before: Sequence[Principle], *, metric: Metric, names: Mapping[str, str]
) -> tuple[Principle, ...]:
    """The next revision: what the interval supports, strongest first, then what was struck just now.

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
            struck=_why_struck(p.id, now.get(p.id)),
        )
        for p in before
        if p.author == RECORD and not p.struck and p.id not in found_ids
    ]
    return (*others, *found, *struck)


def _principle(ident: str, effect: OperatorEffect, metric: Metric, names: Mapping[str, str]) -> Principle:
    does = "gains" if effect.mean > 0 else "loses"
    text = (
        f"In {effect.family} mixers, adding {names.get(effect.operator, effect.operator)} {does} "
        f"{abs(effect.mean):.3g} {metric.unit} against the parent "
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


def _why_struck(ident: str, effect: OperatorEffect | None) -> str:
    if effect is None:
        return "no experiment of the record bears on it any more"
    if effect.low <= 0 <= effect.high:
        return f"the interval {effect.low:+.3g} to {effect.high:+.3g} holds zero now (n = {effect.n})"
    return f"others are stronger: {MOST} principles are kept"
