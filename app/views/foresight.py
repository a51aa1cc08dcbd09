"""Who predicts how well, in words and as sections: for the terminal, the report and the page. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from move37.agents.ledger import source_of
from move37.agents.search.plans import was_changed
from move37.app.views.shapes import Cell, Column, Section, Table
from move37.lab.forecasts import ForecastOutcome, Refusals, Skill, score
from move37.lab.foresight import Foresight, foresight, screened_effect
from move37.lab.numbers import DigitScale, number, signed
from move37.lab.records import Experiment, Metric

NOTE = (
    "CRPS: how far forecasts lay from what was seen, 0 is perfect. Skill: how much less that is than for who says "
    "“no effect”, or “as the past ones, on average”. Seen: the gain over the base at the first rung."
)


def foresight_lines(experiments: Sequence[Experiment], metric: Metric) -> list[str]:
    """One line an author, and one about the Critic's refusals; none before there are numbers."""
    found = _foresight(experiments, metric)
    lines = [_skill(s, metric) for s in found.skills]
    return [*lines, *_refusals(found.refusals)]


def foresight_section(
    experiments: Sequence[Experiment], metric: Metric, *, earlier: Collection[Experiment] = ()
) -> Section:
    """The same as a table; empty before there are numbers. `earlier`: bases from other campaigns, not counted."""
    found = _foresight([*earlier, *experiments], metric, apart={e.id for e in earlier})
    columns = (
        Column("who predicted"),
        *(Column(name, True) for name in ("experiments", f"CRPS, {metric.unit}", "skill against no effect")),
        *(Column(name, True) for name in ("past mean", "in the 80 % range", "rank corr.")),
    )
    rows = tuple(
        (
            Cell(s.author), Cell(str(s.n)), Cell(number(s.crps)), Cell(signed(s.over_no_effect, ".0%")),
            Cell(signed(s.over_past_mean, ".0%")), Cell(f"{s.coverage:.0%}"),
            Cell("" if s.rank_correlation is None else signed(s.rank_correlation, ".2f")),
        )
        for s in found.skills
    )  # fmt: skip
    said = [f"{line}." for line in _refusals(found.refusals)]
    return Section(
        title="Who predicts how well",
        table=Table(columns=columns, rows=rows, stacks=True),
        text=" ".join([*said, NOTE]) if rows else "",
    )


def predictions_section(experiment: Experiment, others: Sequence[Experiment], metric: Metric) -> Section:
    """Each forecast of an experiment, beside what came where that is known."""
    h = experiment.hypothesis
    seen = None if h is None or _was_changed(experiment) else screened_effect(experiment, others, metric)
    names = ("gain over the base", "80 % interval", "seen", "CRPS")
    columns = (Column("who predicted"), *(Column(n, True) for n in names), Column("within"))
    forecasts = h.forecasts if h is not None else ()
    scale = DigitScale.of([*(n for f in forecasts for n in (f.effect, f.low, f.high)), seen])
    rows = []
    for f in forecasts:
        found = None if seen is None else score(experiment.id, f, seen)
        who = f"{f.author}, after {f.steps} steps" if f.steps else f.author
        came = (scale.signed(seen), number(found.crps)) if found is not None else ("", "")
        within = (
            Cell("") if found is None else Cell("yes" if found.covered else "no", "good" if found.covered else "bad")
        )
        cells = (who, scale.signed(f.effect), scale.bounds(f.low, f.high, signed=True), *came)
        rows.append((*(Cell(c) for c in cells), within))
    return Section(title="Predictions", table=Table(columns=columns, rows=tuple(rows), stacks=True))


def _within(found: ForecastOutcome | None) -> Cell:
    if found is None:
        return Cell("")
    return Cell("yes", "good") if found.covered else Cell("no", "bad")


def _foresight(experiments: Sequence[Experiment], metric: Metric, *, apart: Collection[str] = ()) -> Foresight:
    changed = {e.id for e in experiments if _was_changed(e)}
    return foresight(experiments, metric, changed=changed | {*apart})


def _was_changed(experiment: Experiment) -> bool:
    h = experiment.hypothesis
    return h is not None and was_changed(h.plan, source_of(experiment))


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
