"""Who predicts how well stands in the report and with the experiment, not in the principles alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from move37.app.reading import pick_campaign, reading
from move37.app.report import html_of, markdown_of
from move37.app.views.campaign import view_of
from move37.app.views.experiment import detail_of
from move37.app.views.foresight import foresight_section, predictions_section
from move37.app.views.principles import principles_section
from move37.lab.records import BITS_PER_BYTE, Forecast, Principle
from tests.lab.test_foresight import BASE, an_experiment

LOST = an_experiment("c1-001", 3.2, base="c1-gla", refused="tried before")
GAINED = an_experiment("c1-002", 2.96, base="c1-gla")


def test_a_section_has_a_row_an_author_and_says_whether_refusals_were_right() -> None:
    found = foresight_section([BASE, LOST, GAINED], BITS_PER_BYTE)
    assert found.table is not None
    ((author, count, *_, within, _),) = [[cell.text for cell in row] for row in found.table.rows]
    assert (author, count, within) == ("Researcher", "2", "50%")
    assert found.text.startswith("Of 1 that the Critic refused and that were tried all the same, 1 lost against")
    assert not foresight_section([BASE], BITS_PER_BYTE)


def test_bases_of_earlier_campaigns_are_compared_with_and_not_counted() -> None:
    child = an_experiment("c2-001", 2.9, base="c1-002")
    found = foresight_section([child], BITS_PER_BYTE, earlier=[BASE, GAINED])
    assert found.table is not None and [row[1].text for row in found.table.rows] == ["1"]


def test_each_forecast_stands_beside_what_came() -> None:
    assert GAINED.hypothesis is not None
    critic = Forecast(author="Critic", effect=-0.02, low=-0.04, high=0.0, steps=100)
    both = replace(GAINED, hypothesis=replace(GAINED.hypothesis, forecasts=(*GAINED.hypothesis.forecasts, critic)))
    table = predictions_section(both, [BASE, both], BITS_PER_BYTE).table
    assert table is not None
    rows = [[cell.text for cell in row] for row in table.rows]
    assert [(row[0], row[3], row[5]) for row in rows] == [
        ("Researcher", "+0.040", "yes"),
        ("Critic, after 100 steps", "+0.040", "no"),
    ]
    waiting = predictions_section(replace(both, measurements=()), [BASE], BITS_PER_BYTE).table
    assert waiting is not None and [row[3].text for row in waiting.rows] == ["", ""]


def test_the_report_shows_the_principles_and_who_predicts_how_well(finished: Path) -> None:
    with reading(finished) as archive:
        view = view_of(archive, pick_campaign(archive))
    one = next(e for e in view.candidates if e.hypothesis is not None and e.measurements)
    assert one.hypothesis is not None
    forecast = Forecast(author="Researcher", effect=0.05, low=0.0, high=0.1)
    one = replace(one, hypothesis=replace(one.hypothesis, base=view.baselines[0].id, forecasts=(forecast,)))
    experiments = tuple(one if e.id == one.id else e for e in view.experiments)
    principle = Principle(id="P1", text="Gates help.", supports=(one.id,), contradicts=("c9-9",), author="somebody")
    view = replace(view, experiments=experiments, principles=(principle,))
    for text in (html_of(view), markdown_of(view)):
        assert "Who predicts how well" in text and "skill against no effect" in text
        assert "What the laboratory holds to be so" in text and "P1: Gates help." in text and "c9-9" in text
    titles = [section.title for section in detail_of(view, one).sections]
    assert titles.index("Predictions") == titles.index("Hypothesis") + 1
    assert not principles_section(())
