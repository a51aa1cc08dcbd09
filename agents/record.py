"""The archive's evidence about operators: trials for the regression of lab/principles.py, and its estimates. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from move37.agents.ledger import OperatorsOf, candidates, known_effects, source_of
from move37.agents.research_context import OperatorFacts
from move37.lab.effects import base_of
from move37.lab.forecasts import TENTH
from move37.lab.principles import RECORD, OperatorRecord, Trial
from move37.lab.records import Experiment, Forecast, Metric
from move37.lab.statistics.noise import effect_noise


def trials(experiments: Sequence[Experiment], metric: Metric, operators_of: OperatorsOf) -> tuple[Trial, ...]:
    """One trial for every candidate whose gain over its own base is known: which operators changed, and the gain after
    the most steps that both have.
    """
    found = []
    for e in candidates(experiments):
        effect, base = known_effects(e, experiments, metric).parent, base_of(e, experiments)
        if effect is None or base is None or not math.isfinite(effect.value):
            continue
        now, before = frozenset(operators_of(source_of(e))), frozenset(operators_of(source_of(base)))
        found.append(
            Trial(
                experiment=e.id,
                family=e.family,
                gained=now - before,
                lost=before - now,
                effect=effect.value,
                standard_error=effect.standard_error or 0.0,
                steps=effect.steps,
            )
        )
    noise = effect_noise(metric.name, [t.effect for t in found])
    return tuple(t if t.standard_error else replace(t, standard_error=noise) for t in found)


def operator_record(experiments: Sequence[Experiment], metric: Metric, operators_of: OperatorsOf) -> OperatorRecord:
    """The regression over all of them."""
    found = trials(experiments, metric, operators_of)
    return OperatorRecord(found, effect_noise(metric.name, [t.effect for t in found]))


def forecast(record: OperatorRecord, gained: Sequence[str], lost: Sequence[str], family: str) -> Forecast | None:
    """Expected effect of a change, with the noise of its measurement; None where no changed operator is known."""
    known = {o for t in record.trials for o in t.gained | t.lost}
    if not known & {*gained, *lost}:
        return None
    mean, sd = record.effect(frozenset(gained), frozenset(lost), family)
    half = TENTH * math.hypot(sd, record.scatter)
    return Forecast(author=RECORD, effect=mean, low=mean - half, high=mean + half)


def operator_facts(record: OperatorRecord) -> Mapping[str, OperatorFacts]:
    """Each operator that was put in or taken out: how often, and what putting it in does to any family's mixer.

    What taking it out does is that, less what putting in any operator does (`OperatorRecord.adding`), the other way.
    """
    found = {}
    for o in sorted({o for t in record.trials for o in t.gained | t.lost}):
        mean, sd = record.effect(frozenset({o}), frozenset(), "")
        tried = sum(o in t.gained | t.lost for t in record.trials)
        found[o] = OperatorFacts(tried=tried, mean_effect=mean, sd=sd)
    return found
