"""Who predicts how well, in words: for the terminal, the report and the page."""

from __future__ import annotations

from collections.abc import Sequence

from move37.agents.ledger import source_of
from move37.agents.search.plans import was_changed
from move37.lab.forecasts import Refusals, Skill
from move37.lab.foresight import foresight
from move37.lab.numbers import signed
from move37.lab.records import Experiment, Metric


def foresight_lines(experiments: Sequence[Experiment], metric: Metric) -> list[str]:
    """One line an author, and one about the Critic's refusals; none before there are numbers."""
    changed = {e.id for e in experiments if e.hypothesis and was_changed(e.hypothesis.plan, source_of(e))}
    found = foresight(experiments, metric, changed=changed)
    lines = [_skill(s, metric) for s in found.skills]
    return [*lines, *_refusals(found.refusals)]


def _skill(skill: Skill, metric: Metric) -> str:
    rank = "" if skill.rank_correlation is None else f", rank correlation {signed(skill.rank_correlation, '.2f')}"
    return (
        f"{skill.author} predicts {metric.name}: CRPS {skill.crps:.3g} {metric.unit} over {skill.n} "
        f"(skill {signed(skill.over_no_effect, '.0%')} against no effect, "
        f"{signed(skill.over_past_mean, '.0%')} against the past mean), "
        f"{skill.coverage:.0%} within the 80 % interval{rank}"
    )


def _refusals(refusals: Refusals) -> list[str]:
    if refusals.precision is None:
        return []
    accepted = f"{refusals.accepted_worse} of {refusals.accepted}" if refusals.accepted else "none"
    return [
        f"Of {refusals.tried} that the Critic refused and that were tried all the same, {refusals.worse} lost against "
        f"their base; of those it accepted, {accepted}"
    ]
