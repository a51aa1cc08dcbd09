"""Which rung of evidence is reached, what lacks, what the next step costs, and what a claim has cost: everywhere."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from move37.app.report import html_of, markdown_of
from move37.app.tables import campaign_table
from move37.app.views.campaign import CampaignView, view_of
from move37.app.views.charts import evidence
from move37.app.views.cost import cost_of, cost_section
from move37.app.views.discoveries import evidence_over_compute
from move37.app.views.evidence import claims_section, evidence_section, ladder_signs
from move37.app.views.leaderboard import board_of
from move37.app.views.search import claim
from move37.app.views.story import night_of
from move37.lab.archive.store import Archive
from move37.lab.claims import BASELINE, QUESTIONS, RUN_SECONDS, asking_seconds, claim_text, settled
from move37.lab.evidence_ladder import ladder_of, position
from move37.lab.records import BITS_PER_BYTE, COMBINED_SCORE, Comparison, Experiment, ExperimentStatus, StageRecord
from tests.app.campaigns import a_whole_campaign


def a_comparison(question: str = BASELINE, low: float = 0.02) -> Comparison:
    return Comparison(
        question=question, rival="c1-gla", name="gla", effect=0.05, low=low, high=0.08, confidence=0.97, seeds=5
    )


@pytest.fixture
def view(tmp_path: Path) -> CampaignView:
    a_whole_campaign(tmp_path)
    with Archive.open(tmp_path, readonly=True) as archive:
        return view_of(archive, archive.campaign(1))


def with_claim(view: CampaignView, *comparisons: Comparison) -> tuple[CampaignView, Experiment]:
    chosen = next(e for e in view.candidates if e.status is ExperimentStatus.PROMOTED)
    asked = settled(chosen.id, "a skip", comparisons, confirmation=1, missing={}, core_seconds=1234.0)
    now = replace(chosen, claim=asked)
    return replace(view, experiments=tuple(now if e.id == now.id else e for e in view.experiments)), now


def test_a_ladder_says_what_is_reached_what_lacks_and_what_is_next(view: CampaignView) -> None:
    chosen = next(e for e in view.candidates if e.status is ExperimentStatus.PROMOTED and e.verdict is not None)
    ladder = ladder_of(replace(chosen, verdict=None), BITS_PER_BYTE)
    at = position(ladder)
    assert at.next is not None and at.next.state == "open" and not at.failed
    assert at.reached + len(at.lacks) == at.of == len(ladder)
    told = evidence_section(replace(chosen, verdict=None), BITS_PER_BYTE).text
    assert f"about {at.next.core_seconds:.0f} core-seconds" in told and "rungs reached" in told
    _, refuted = with_claim(view, a_comparison(), a_comparison(QUESTIONS[1], low=-0.1))
    text = evidence_section(refuted, BITS_PER_BYTE).text
    assert "Not shown: that it beats the best of a family, tuned as hard" in text and "No further step is open" in text


def test_what_asking_costs_grows_with_seeds_and_with_the_candidates_own_pace() -> None:
    for question in QUESTIONS:
        one = asking_seconds(question, seeds=5)
        assert asking_seconds(question, seeds=10) == 2 * one
        assert asking_seconds(question, seeds=5, run_seconds=3 * RUN_SECONDS) == 3 * one


def test_leaderboard_report_and_markdown_show_the_ladder(view: CampaignView) -> None:
    chosen = next(e for e in view.candidates if e.status is ExperimentStatus.PROMOTED)
    signs = ladder_signs(chosen, BITS_PER_BYTE)
    assert len(signs) == 3 + len(QUESTIONS) and {*signs} <= {*"■✗□"}
    assert signs in html_of(view) and signs in markdown_of(view)
    assert not ladder_signs(view.baselines[0], BITS_PER_BYTE) and not ladder_signs(chosen, COMBINED_SCORE)
    chart = evidence(view)
    assert chart is not None
    marks = sum(len(trace["x"]) for trace in chart.figure["data"])
    assert marks == (3 + len(QUESTIONS)) * len(chart.figure["layout"]["yaxis"]["categoryarray"])
    assert evidence(replace(view, metric=COMBINED_SCORE)) is None


def test_the_ledger_of_a_claim_counts_everything_that_was_paid(view: CampaignView) -> None:
    seen, now = with_claim(replace(view, tokens=1200, cost=0.5), *(a_comparison(q) for q in QUESTIONS))
    cost = cost_of(seen, now)
    assert cost is not None and cost.candidates == 12 and cost.failures == 5 and cost.claims == 1
    runs = sum(m.cpu_seconds for e in view.experiments for m in e.measurements)
    assert cost.core_seconds == pytest.approx(runs + 1234.0)
    text = " ".join(dict(cost_section(seen, now).pairs).values())
    assert "12 candidates, 5 of them failed" in text and "1,200 tokens, 0.50 dollars" in text
    assert "1234 for the claim's own questions" in text
    assert not cost_section(view, view.candidates[0])


def test_a_claim_that_stands_is_what_the_campaign_shows(view: CampaignView) -> None:
    seen, now = with_claim(view, *(a_comparison(q) for q in QUESTIONS))
    assert claim(seen).startswith(f"{now.id} {now.name}: A discovery at this scale")
    assert "A discovery" not in claim(view)


def refuted(view: CampaignView, *questions: str) -> tuple[CampaignView, Experiment]:
    """A claim whose last question failed, stored after the verdict as `move37 confirm` stores it."""
    asked = [a_comparison(q) for q in questions[:-1]] + [a_comparison(questions[-1], low=-0.03)]
    seen, now = with_claim(view, *asked)
    at = "2999-01-01T00:00:00.000+00:00"
    stage = StageRecord(stage="claim", rung=0, seed=0, finished_at=at, payload={"claim": now.claim})
    now = replace(now, stages=(*now.stages, stage))
    return replace(seen, experiments=tuple(now if e.id == now.id else e for e in seen.experiments)), now


@pytest.mark.parametrize("failed", range(1, len(QUESTIONS)))
def test_a_claim_that_failed_late_is_told_wherever_the_campaign_is(view: CampaignView, failed: int) -> None:
    """What five hours of questions showed stood on the candidate's own page alone; all else said "one seed"."""
    seen, now = refuted(view, *QUESTIONS[: failed + 1])
    assert now.claim is not None
    says = claim_text(now.claim, BITS_PER_BYTE)
    screen = Console(file=io.StringIO(), width=80)
    screen.print(campaign_table(seen.campaign, seen.experiments))
    terminal = " ".join(screen.file.getvalue().split())  # type: ignore[attr-defined]
    night = night_of(seen, (), running=False)
    for place in (claim(seen), night.claim, night.best[0].text, markdown_of(seen).replace("\\", ""), terminal):
        assert says in place
    assert "Shown: it beats the two best baselines on fresh seeds" in claim(seen) and now.id in claim(seen)
    assert night.best[0].id == now.id and "1 claim asked" in " ".join(night.tried)
    assert all("fresh seeds" not in t.text.partition("Next:")[2] for t in night.learned if t.id == now.id)
    assert [e.id for e in board_of(seen.experiments, BITS_PER_BYTE).claimed] == [now.id]
    section = claims_section(seen.experiments, BITS_PER_BYTE)
    assert section.table is not None and len(section.table.rows) == failed + 1


def test_a_claim_that_failed_at_once_hides_nobody_who_did_better(view: CampaignView) -> None:
    seen, now = refuted(view, BASELINE)
    assert now.id not in claim(seen) or "Not a discovery" in claim(seen)
    assert not claims_section(view.experiments, BITS_PER_BYTE)


def test_discoveries_count_who_was_measured_and_what_a_claim_showed(view: CampaignView) -> None:
    before = evidence_over_compute(view)[-1]
    measured = [e for e in view.candidates if e.measurements]
    assert before.screened == len(measured) < len(view.candidates)
    seen, _ = refuted(view, BASELINE, QUESTIONS[1])
    after = evidence_over_compute(seen)[-1]
    assert (after.shown, after.confirmed) == (before.shown + 1, before.confirmed)
