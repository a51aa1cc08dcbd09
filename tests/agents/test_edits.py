"""A file from an answer: whole, fenced, or as edits; what does not fit is said, and applied nowhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.agents.edits import EditRefused, written
from move37.agents.replies import LONGEST_FILE, Edit

BASE = "import torch\n\n\nclass Mixer:\n    a = 1\n    b = 1\n"


def edit(search: str, replace: str) -> Edit:
    return Edit(search=search, replace=replace)


def test_edits_change_what_they_name_and_leave_the_rest() -> None:
    assert written("", [edit("a = 1", "a = 2"), edit("b = 1\n", "b = 3\n")], BASE) == BASE.replace(
        "a = 1", "a = 2"
    ).replace("b = 1", "b = 3")


@pytest.mark.parametrize("fence", ["```python\n{}```", "```\n{}\n```\n", "{}"])
def test_a_whole_file_may_be_fenced(fence: str) -> None:
    assert written(fence.format(BASE), [], "anything").strip() == BASE.strip()


@pytest.mark.parametrize(
    "edits, why",
    [
        ([edit("c = 1", "c = 2")], "stands nowhere in the file"),
        ([edit(" = 1", " = 2")], "stands 2 times in the file"),
        ([edit("", "x")], "is empty"),
        ([edit("a = 1", "a = 1")], "change nothing"),
        ([edit("a = 1", "a = 2"), edit("a = 1", "a = 3")], "Edit 2 was not applied"),
    ],
)
def test_an_edit_that_does_not_fit_is_named_with_its_reason(edits: list[Edit], why: str) -> None:
    with pytest.raises(EditRefused, match=why):
        written("", edits, BASE)


@pytest.mark.parametrize("source", ["", "   \n", "```python\n\n```"])
def test_nothing_is_no_file(source: str) -> None:
    with pytest.raises(EditRefused, match="neither a file"):
        written(source, [], BASE)


@pytest.mark.parametrize(
    "source, edits, base",
    [
        ("x" * (LONGEST_FILE + 1), [], BASE),
        ("", [edit("a" * LONGEST_FILE, "b")], BASE),
        ("", [edit("a = 1", "a" * (LONGEST_FILE - 5))], "# a base that is long itself\n" + BASE),
    ],
)
def test_a_file_has_a_limit_however_it_is_handed_in(source: str, edits: list[Edit], base: str) -> None:
    with pytest.raises(EditRefused, match=str(LONGEST_FILE)):
        written(source, edits, base)


def test_of_many_edits_that_do_not_fit_a_few_are_named() -> None:
    with pytest.raises(EditRefused) as refused:
        written("", [edit(f"no such line {n}", "x") for n in range(4_000)], BASE)
    told = str(refused.value)
    assert "Edit 8 was not applied" in told and told.endswith("So it is with 3992 more.") and len(told) < 3_000


READABLE = st.characters(exclude_characters="\0", exclude_categories=["Cs"])  # by Python; of the others, below


@given(st.text(READABLE, min_size=1), st.text(READABLE), st.text(READABLE))
def test_an_edit_is_applied_exactly_or_refused(search: str, replace: str, base: str) -> None:
    try:
        found = written("", [edit(search, replace)], base)
    except EditRefused:
        assert base.count(search) != 1 or search == replace
    else:
        head, _, tail = base.partition(search)
        assert found == head + replace + tail


@pytest.mark.parametrize("sign", ["\0", "\ud800"])
def test_a_file_that_python_cannot_read_is_refused_with_its_line(sign: str) -> None:
    with pytest.raises(EditRefused, match=r"Line 2 holds .* itself, which no Python file can"):
        written(f"x = 1\ny = '{sign}'\n", (), "")
    with pytest.raises(EditRefused, match="Line 2 holds"):
        written("", [Edit(search="2", replace="'\0'")], "x = 1\ny = 2\n")
