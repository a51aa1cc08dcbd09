"""`move37 insight`, and the same in the report."""

from __future__ import annotations

import json
from pathlib import Path

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
