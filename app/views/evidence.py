"""The ladder of evidence and the claim of one experiment, as sections: what is shown, what lacks, what asking costs."""

from __future__ import annotations

from move37.app.views.shapes import Cell, Column, Section, Table, Tone
from move37.lab.claims import QUESTIONS, claim_text, ladder_of, position
from move37.lab.records import Experiment, Metric, Role
from move37.lab.tasks.registry import asks_questions

_SIGNS: dict[str, tuple[str, Tone]] = {"reached": ("✓", "good"), "failed": ("✗", "bad"), "open": ("–", "quiet")}


def evidence_section(experiment: Experiment, metric: Metric) -> Section:
    """Each rung of evidence; empty for baselines, and for programs, which are asked nothing beyond fresh seeds."""
    if not _has_ladder(experiment, metric):
        return Section(title="Evidence")
    columns = (Column(""), Column("evidence"), Column("core s", True), Column("shown by"))
    rows = tuple(
        (
            Cell(*_SIGNS[step.state]),
            Cell(step.words),
            Cell(f"{step.core_seconds:.0f}" if step.core_seconds else ""),
            Cell(step.detail, "quiet"),
        )
        for step in ladder_of(experiment, metric)
    )
    return Section(title="Evidence", table=Table(columns=columns, rows=rows), text=_standing(experiment, metric))


def _standing(experiment: Experiment, metric: Metric) -> str:
    """Which rung is reached, what it lacks, and what the next step costs."""
    at = position(ladder_of(experiment, metric))
    said = [f"{at.reached} of {at.of} rungs reached."]
    if at.failed:
        said.append(f"Not shown: that it {'; that it '.join(at.failed)}. No further step is open.")
    elif at.next is not None:
        said.append(f"Lacking: that it {'; that it '.join(at.lacks)}.")
        how = f" (`move37 confirm {experiment.id}`)" if at.next.name in QUESTIONS else ""
        said.append(f"Next: that it {at.next.words}, about {at.next.core_seconds:.0f} core-seconds{how}.")
    return " ".join(said)


def ladder_signs(experiment: Experiment, metric: Metric) -> str:
    """The ladder as one sign a rung, for a line of the leaderboard; empty where there is none."""
    if not _has_ladder(experiment, metric):
        return ""
    return "".join({"reached": "■", "failed": "✗", "open": "□"}[s.state] for s in ladder_of(experiment, metric))


def _has_ladder(experiment: Experiment, metric: Metric) -> bool:
    return experiment.role is Role.CANDIDATE and asks_questions(metric) and bool(experiment.measurements)


def claim_section(experiment: Experiment, metric: Metric) -> Section:
    """The claim in a sentence; empty where none was asked."""
    if experiment.claim is None:
        return Section(title="Claim")
    tone: Tone = "good" if experiment.claim.stands else ""
    return Section(title="Claim", text=claim_text(experiment.claim, metric), tone=tone)
