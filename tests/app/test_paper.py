"""A claim written up: every number of it is there, foreign text stays text, and without a claim there is no paper."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from move37.app import paper
from move37.lab.archive.codec import decode, encode
from move37.lab.archive.store import Archive
from move37.lab.claims import ABLATION, BASELINE, QUESTIONS, WORDS, claim_text, settled
from move37.lab.records import BITS_PER_BYTE, Claim, Comparison
from tests.app.campaigns import a_whole_campaign
from tests.app.conftest import Move37


def a_comparison(question: str, low: float) -> Comparison:
    return Comparison(
        question=question, rival="c1-gla", name="gla</td>|x", effect=0.0512, low=low, high=0.0931, confidence=0.97,
        seeds=5, steps=500, total_steps=500, width=64,
    )  # fmt: skip


def a_home(home: Path) -> None:
    a_whole_campaign(home, hostile=True)
    with Archive.open(home) as archive:
        comparisons = [a_comparison(BASELINE, 0.0123), a_comparison(ABLATION, -0.0045)]
        claim = settled(
            "c1-001", "<script>a skip</script>", comparisons, confirmation=2, missing={}, core_seconds=321.0
        )
        archive.finish_stage("c1-001", "claim", {"claim": claim})


def test_a_paper_holds_the_claim_and_foreign_text_stays_text(tmp_path: Path, move37: Move37) -> None:
    a_home(tmp_path / "home")
    html, markdown = tmp_path / "p.html", tmp_path / "p.md"
    told = move37("--home", str(tmp_path / "home"), "paper", "1", "--html", str(html), "--markdown", str(markdown))
    assert told.status == 0 and told.out == ""
    text, page = markdown.read_text(), html.read_text()
    for word in ("+0.0512", "+0.0123 to +0.0931", "321 core-seconds", "confirmation 2", "move37 reproduce c1-001"):
        assert word in text and word in page
    assert "that the part carries the gain is not shown" in text
    assert "<script" not in text.partition("```python")[0] and "<script" not in page and "gla</td>" not in page
    assert page.count("<tr>") == 1 + 2
    assert move37("--home", str(tmp_path / "home"), "paper", "1").out == text


def test_a_paper_says_how_its_candidate_was_found(tmp_path: Path) -> None:
    a_home(tmp_path / "home")
    with Archive.open(tmp_path / "home") as archive:
        found, campaign = archive.experiment("c1-001"), archive.campaign(1)
    assert found.candidate is not None
    assert "`move37 run --preset" in paper._again(found, campaign)
    handed = replace(found, candidate=replace(found.candidate, author="seat (over MCP)"))
    assert "`move37 mcp --preset" in paper._again(handed, campaign)
    assert "move37 run" not in paper._again(handed, campaign)


def test_without_a_claim_there_is_no_paper(tmp_path: Path, move37: Move37) -> None:
    a_whole_campaign(tmp_path / "home")
    answer = move37("--home", str(tmp_path / "home"), "paper", "2")
    assert answer.status == 2 and "no claim to write up" in answer.err


RESULTS = Path(__file__).parents[2] / "docs" / "results"
WRITTEN = sorted(path for path in RESULTS.glob("*/c*.md") if (path.parent / "archive.sqlite").exists())


@pytest.mark.parametrize("written", WRITTEN, ids=lambda path: path.parent.name)
def test_a_published_write_up_is_what_the_command_prints_of_its_archive(
    written: Path, tmp_path: Path, move37: Move37
) -> None:
    shutil.copy(written.parent / "archive.sqlite", tmp_path)
    told = move37("--home", str(tmp_path), "paper", written.stem)
    assert told.status == 0 and told.out == written.read_text(encoding="utf-8")
    assert len(WRITTEN) >= 4


@pytest.mark.parametrize("question", QUESTIONS)
def test_why_a_question_was_not_asked_is_found_by_the_question_and_not_by_its_words(question: str) -> None:
    """Words change, and an older archive keeps those that it was written with."""
    claim = settled("c1-001", "a skip", [], confirmation=1, missing={question: "no such thing"}, core_seconds=1.0)
    assert claim.missing[question] == "no such thing"
    told = paper._ablation(claim, BITS_PER_BYTE, "mixer")
    assert told == ("Not asked: no such thing." if question == ABLATION else "Not asked: not asked.")
    assert f"{WORDS[question]}: no such thing" in claim_text(claim, BITS_PER_BYTE)
    older = decode(Claim, encode(claim) | {"missing": ["in other words: no such thing"]})
    assert older.missing and not older.stands and "in other words: no such thing" in claim_text(older, BITS_PER_BYTE)
    assert "older" in paper._ablation(older, BITS_PER_BYTE, "mixer")
    applies = replace(claim, missing={})
    assert paper._ablation(applies, BITS_PER_BYTE, "mixer") == "Not asked: it does not apply."


def test_what_an_ablation_does_better_is_said_so(tmp_path: Path, move37: Move37) -> None:
    a_home(tmp_path)
    with Archive.open(tmp_path) as archive:
        found = archive.experiment("c1-001").claim
        assert found is not None
        worse = tuple(replace(c, effect=-0.0123) if c.question == ABLATION else c for c in found.comparisons)
    texts = [paper._ablation(claim, BITS_PER_BYTE, "mixer") for claim in (found, replace(found, comparisons=worse))]
    assert "is 0.0512 bits/byte worse" in texts[0] and "is 0.0123 bits/byte better" in texts[1]
