"""`move37 insight`, and the same in the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from move37.agents.comparing import OUTCOMES, Outcomes
from move37.app.exits import BadInput
from move37.app.insight import of_home
from move37.lab.archive.codec import encode
from move37.lab.archive.store import Archive
from move37.lab.records import BITS_PER_BYTE, Metric
from tests.agents.test_comparing import an_ending
from tests.app.campaigns import a_whole_campaign
from tests.app.conftest import Move37
from tests.builders import a_brief


def test_the_command_prints_json_markdown_and_a_report_holds_it(tmp_path: Path, move37: Move37) -> None:
    a_whole_campaign(tmp_path / "home")
    told = move37("--home", str(tmp_path / "home"), "insight", "--json")
    assert told.status == 0 and json.loads(told.out)["candidates"] == 12
    text = move37("--home", str(tmp_path / "home"), "insight", "1", "--markdown").out
    assert "## Where ideas came from" in text and "| a paper | 12 |" in text
    assert "Where ideas came from" in move37("--home", str(tmp_path / "home"), "insight").out
    report = move37("--home", str(tmp_path / "home"), "report", "--markdown").out
    assert "## Where ideas came from" in report
    page = tmp_path / "report.html"
    assert move37("--home", str(tmp_path / "home"), "report", "--out", str(page)).status == 0
    assert "<h2>Insight</h2>" in page.read_text()
    assert move37("--home", str(tmp_path / "home"), "insight", "9").status == 2


def test_the_law_of_kept_comparisons_is_told_without_training(tmp_path: Path, move37: Move37) -> None:
    home = tmp_path / "home"
    nothing = move37("--home", str(home), "compare", "--law")
    assert nothing.status == 2 and "no comparison was kept" in nothing.err
    for seed in range(4):
        Outcomes(home / OUTCOMES).put(an_ending("random", seed, 6, 0.1))
    told = move37("--home", str(home), "compare", "--law")
    assert told.status == 0 and "No law can be told from another" in " ".join(told.out.split())
    assert json.loads(move37("--home", str(home), "compare", "--law", "--json").out)["random"]["campaigns"] == 4
    assert "## Best effect" in move37("--home", str(home), "compare", "--law", "--markdown").out


def test_a_task_s_insight_is_told_in_its_own_metric_whatever_ran_last(tmp_path: Path) -> None:
    home = tmp_path / "home"
    a_whole_campaign(home)
    other = Metric(name="score", unit="", higher_is_better=True)
    with Archive.open(home) as archive:
        archive.begin_campaign(a_brief(task="program:/knapsack"), {"metric": encode(other)})
    with Archive.open(home, readonly=True) as archive:
        found, metric = of_home(archive, (), "mixers")
        assert metric == BITS_PER_BYTE and found == of_home(archive, (1,))[0]
        assert of_home(archive, ())[1] == other == of_home(archive, (), "program:/knapsack")[1]
        with pytest.raises(BadInput, match="no campaign on"):
            of_home(archive, (), "program:/other")
