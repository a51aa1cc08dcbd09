"""`move37 insight`, and the same in the report."""

from __future__ import annotations

import json
from pathlib import Path

from move37.agents.comparing import OUTCOMES, Outcomes
from tests.agents.test_comparing import an_ending
from tests.app.campaigns import a_whole_campaign
from tests.app.conftest import Move37


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
