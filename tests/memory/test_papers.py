"""The cognition base: its format, its validator, and the files themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from move37.memory.errors import InvalidPaper
from move37.memory.papers import (
    BUILTIN,
    builtin_entries,
    is_paper,
    operators,
    paper_files,
    parse,
)
from move37.memory.review import check_folder, problems

GOOD = """---
arxiv: 2400.00001
title: Gates that forget
year: 2024
area: decay
families: gla
source: someone/papers:README.md
---

# Mechanism
A gate in front of the state multiplies it before each write.

# Insight: Forget what is stale
Without forgetting the state fills up, and later writes drown in what was there before;
a learned decay keeps room for what comes next.

## Symptoms
- Recall of early tokens stays while that of late tokens collapses with length.
- The norm of the state grows without bound
  over the length of the sequence.

## Remedy
Multiply the state by a learned decay before each write.

## Operators
gla, decay_init_long
"""


def test_a_good_file_becomes_entries_and_has_no_problems():
    paper = parse(GOOD, name="x.md")
    assert problems(paper, stem="2400.00001") == ()
    (entry,) = paper.entries(origin="person", key="x")
    assert entry.operators == ("gla", "decay_init_long")
    assert entry.symptoms[1] == "The norm of the state grows without bound over the length of the sequence."
    assert entry.year == 2024 and entry.insight.startswith("Without forgetting")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    (
        ("arxiv: 2400.00001", "arxiv: 2400.1", "arxiv"),
        ("area: decay", "area: cooking", "area"),
        ("area: decay", "area: decay\narea: decay", "repeats"),
        ("## Remedy", "## Cure", "misplaced heading 'Cure'"),
        ("# Mechanism", "# Something", "misplaced heading 'Something'"),
        ("## Symptoms", "", "insights.0.symptoms"),
        ("---\narxiv", "arxiv", "front matter"),
        ("families: gla", "families: gla, llama", "families"),
    ),
)
def test_a_broken_file_is_refused_with_the_part_that_is_broken(old: str, new: str, said: str):
    with pytest.raises(InvalidPaper, match=r"x\.md") as caught:
        parse(GOOD.replace(old, new, 1), name="x.md")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    (
        ("gla, decay_init_long", "gla, warp_drive", "unknown operators warp_drive"),
        ("year: 2024", "year: 2023", "year 2023"),
        ("- Recall of early tokens stays while that of late tokens collapses with length.\n", "", "at least two"),
        ("- Recall of early", "- Bad.\n- Recall of early", "symptom 1 has 1 words"),
        (
            "- Recall of early tokens stays while that of late tokens collapses with length.",
            "- Without forgetting the state fills up, and later writes drown in what was there.",
            "repeats the insight",
        ),
        ("Multiply the state by a learned decay", "See /home/me/notes.txt for a learned decay", "machine"),
    ),
)
def test_the_validator_objects_to_what_a_reviewer_would(old: str, new: str, said: str):
    found = problems(parse(GOOD.replace(old, new, 1), name="x.md"), stem="2400.00001")
    assert any(said in line for line in found), found


def test_an_insight_name_is_unique_in_the_base(tmp_path: Path):
    (tmp_path / "2400.00001.md").write_text(GOOD)
    (tmp_path / "2400.00002.md").write_text(GOOD.replace("2400.00001", "2400.00002"))
    assert list(check_folder(tmp_path)) == ["2400.00002.md"]


def test_notes_are_no_paper_file():
    assert is_paper(GOOD)
    assert not is_paper("# Notes\nSome text.") and not is_paper("---\ntitle: blog\n---\n# Insight: no id")


def test_every_file_of_the_base_is_valid():
    assert check_folder(BUILTIN) == {}


def test_every_operator_of_the_base_is_the_grammars():
    used = {operator for entry in builtin_entries() for operator in entry.operators}
    assert used and used <= operators()


def test_the_readme_describes_a_file_that_is_valid():
    text = (BUILTIN / "README.md").read_text()
    block = "\n".join(
        line.removeprefix("    ") for line in text[text.index("    ---") :].split("\n\nThe next")[0].splitlines()
    )
    assert parse(block, name="README").insights[0].operators == ["gated_delta_rule", "decay_init_long"]
    assert BUILTIN / "README.md" not in paper_files(BUILTIN)
