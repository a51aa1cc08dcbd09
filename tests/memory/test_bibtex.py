"""BibTeX with marks where nobody expects them: fields stay apart, however they were written or cut off."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.memory import bibtex
from move37.memory.ingest import read_file

VALUES = {
    "title": ("{A {Deep} Net}", '"A {Deep} Net"', "'A Deep Net'", "{A } # {Deep Net}", 'start # " Net"', "whole"),
    "author": ("{Bob}", '"Bob"', "bob"),
    "note": ('{a "quoted" word}', '"a {"}quoted{"} word"', "{a quoted word, and one}", r"{a \{ word}"),
    "year": ("2020", "{2020}", '"2020"'),
}
STRINGS = '@string{start = "A Deep"}\n@string(whole = start # { Net})\n@string{bob = {Bob}}\n'
BETWEEN = (",", ",\n", "\n", ";\n", " , ,", ", % a note, with = marks\n", " % one\n, % two\n", ",\n  ")
ENDS = ("}", ",}", "\n}", ", % last\n}", "}}", "", "\n")
# Without commas behind the keys, so that they are read by hand.
ODD = "@article{a title = {Gr\u00f6\u00dfe}, year = 2020}\n@article{b title = {M\u00fcller}, year = 2020}\n"


@given(
    st.permutations(sorted(VALUES)),
    st.tuples(*(st.sampled_from(one) for _, one in sorted(VALUES.items()))),
    st.lists(st.sampled_from(BETWEEN), min_size=4, max_size=4),
    st.sampled_from(ENDS),
    st.sampled_from(("@article{key", "@ article { key", "@ARTICLE\n{key", "@article{")),
)
def test_fields_stay_apart_whatever_stands_between_them(order, values, between, end, begin):
    said = dict(zip(sorted(VALUES), values, strict=True))
    fields = "".join(f"{mark}{name} = {said[name]}" for mark, name in zip(between, order, strict=True))
    if begin == "@article{":  # without a key the first field follows at once
        fields = fields[len(between[0]) :]
    before, after = "@article{before, title = {Before}}", "@article{after, title = {After}}"
    text = f"{STRINGS}{before}\n{begin}{fields}{end}\n{after}"
    found, left_out = bibtex.entries("refs", text, "refs.bib")
    assert [entry.title for entry in found] == ["Before", "A Deep Net", "After"] and left_out == ""
    assert found[1].year == 2020 and found[1].insight.endswith(" Bob") and found[1].insight.startswith("a ")


@pytest.mark.parametrize("title", ("{Cut off", '"Cut off', "Cut off"))
@pytest.mark.parametrize("rest", ("", "}", ", abstract = {and this", ', abstract = "and this', ", abst"))
def test_what_a_cut_off_file_still_says_is_read(title: str, rest: str):
    closed = title + {"{": "}", '"': '"'}.get(title[0], "") * ("," in rest)
    text = f"@article{{a, title = {{One}}}}\n@article{{b, year = 1, title = {closed}{rest}"
    found, left_out = bibtex.entries("refs", text, "refs.bib")
    assert [entry.title for entry in found] == ["One", "Cut off"] and left_out == ""


@pytest.mark.parametrize(
    ("tex", "plain"),
    (
        (r"$\frac{a}{b}$ and $x_{ij}$ of {Nets}", r"$\frac{a}{b}$ and $x_{ij}$ of Nets"),
        (r"Sets \{1,2\} of {A}", "Sets {1,2} of A"),
        ("``Why?'': a--b", "\u201cWhy?\u201d: a\u2013b"),
        (r"{Un}balanced {title", "Unbalanced title"),
    ),
)
def test_formulas_keep_their_braces_and_titles_lose_theirs(tex: str, plain: str):
    assert bibtex._plain(tex) == plain


@pytest.mark.parametrize(
    "raw",
    (
        ODD.encode("utf-16-le"),
        ODD.encode("utf-16-be"),
        b"\xef\xbb\xbf" + ODD.encode("cp1252"),
        b"\xef\xbb\xbf" + ODD[: len(ODD) // 2].encode() + b"\xef\xbb\xbf" + ODD[len(ODD) // 2 :].encode("cp1252"),
    ),
)
def test_marks_of_byte_order_that_are_missing_or_too_many_cost_no_entry(raw: bytes, tmp_path: Path):
    (tmp_path / "refs.bib").write_bytes(raw)
    found = read_file(tmp_path / "refs.bib")
    assert [entry.title for entry in found.entries] == ["Gr\u00f6\u00dfe", "M\u00fcller"]
    assert found.left_out == "read as Windows-1252 where it is not UTF-8"


def test_reading_takes_time_in_proportion_to_the_entries():
    """Each entry's line was counted from the file's beginning: 60,000 entries took minutes."""

    def spent(count: int) -> float:
        text = f"@article{{a, title = {{T}}, abstract = {{{'word ' * 200}}}}}\n" * count
        start = time.process_time()
        bibtex._spans(text)
        return time.process_time() - start

    spent(100)
    assert spent(4_000) < 24 * max(spent(500), 1e-3)
