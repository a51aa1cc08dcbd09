"""What is audited is read in the forms that other people's tools leave it in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.audit.log_tables import read_log
from move37.lab.audit.programs import LARGEST_PROGRAM, read_programs
from move37.lab.errors import BadCandidate

CODE = "class Mixer: ...  # Größe\n"
ONE = [{"name": "a", "program": CODE}]
ARCHIVES: dict[str, bytes] = {
    "a list": json.dumps(ONE).encode(),
    "with a mark": b"\xef\xbb\xbf" + json.dumps(ONE).encode(),
    "UTF-16": json.dumps(ONE).encode("utf-16"),
    "one a line": json.dumps(ONE[0]).encode() + b"\n{cut",
    "one a line, with another's line ends": json.dumps({"note": "a\u2028b\x85c", **ONE[0]}, ensure_ascii=False).encode()
    + b"\n{cut",
    "one object": json.dumps(ONE[0]).encode(),
    "under a key": json.dumps({"version": 1, "tags": ["x"], "programs": ONE}).encode(),
    "by id": json.dumps({"programs": {"x1": {"id": "a", "code": CODE}}, "islands": [[1]]}).encode(),
    "as code": json.dumps([{"id": "a", "code": CODE}]).encode(),
}


@pytest.mark.parametrize("data", ARCHIVES.values(), ids=ARCHIVES.keys())
def test_an_archive_is_read_in_every_form(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "archive.json").write_bytes(data)
    (program,) = read_programs(tmp_path / "archive.json")
    assert (program.name, program.source) == ("a", CODE)


def test_a_record_without_a_program_is_named_and_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "archive.json"
    path.write_text(json.dumps([{"name": "none", "program": None}, 7, *ONE, {"name": "empty", "program": " "}]))
    found = read_programs(path)
    assert [(p.name, p.source is None, bool(p.reason)) for p in found] == [
        ("none", True, True),
        ("2", True, True),
        ("a", False, False),
        ("empty", True, True),
    ]


def test_a_program_is_too_large_in_an_archive_as_in_a_folder(tmp_path: Path) -> None:
    long = "#" * (LARGEST_PROGRAM + 1)
    (tmp_path / "long.py").write_text(long)
    (tmp_path / "archive.json").write_text(json.dumps([{"name": "long", "program": long}]))
    one, two = read_programs(tmp_path / "archive.json"), read_programs(tmp_path / "long.py")
    assert one == two and one[0].source is None and "over 1 MiB" in one[0].reason


def test_names_with_halves_of_characters_can_be_written_again(tmp_path: Path) -> None:
    (tmp_path / "archive.json").write_text(json.dumps([{"name": "a\ud800", "program": CODE}]))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "b\udcff.py").write_text(CODE)  # a name that is no UTF-8
    found = [*read_programs(tmp_path / "archive.json"), *read_programs(folder)]
    assert [p.name.encode("utf-8") for p in found] == [b"a?", b"b?"]
    (run,) = read_log('{"status": "keep", "loss": 1, "description": "c\\ud800"}')
    assert run.name == "c?"


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "ends too early"), (b'[{"program": "x', "ends too early"), (b"[]", "no record"), (b"null", "no record")],
)
def test_what_is_no_archive_says_which(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "archive.json").write_bytes(data)
    with pytest.raises(BadCandidate, match=said):
        read_programs(tmp_path / "archive.json")


@pytest.mark.parametrize(
    "data",
    [
        CODE.encode(),
        b"\xef\xbb\xbf" + CODE.encode(),
        CODE.replace("\n", "\r\n").encode(),
        b"# coding: latin-1\n" + CODE.encode("latin-1"),
    ],
)
def test_a_file_is_read_as_python_reads_it(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_bytes(data)
    (program,) = read_programs(tmp_path / "m.py")
    assert program.source is not None and program.source.endswith(CODE)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"# coding: nonsense\n", b"# coding: undefined\n"])
def test_a_file_in_no_encoding_is_no_program(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_bytes(data)
    (program,) = read_programs(tmp_path / "m.py")
    assert program.source is None and "encoding" in program.reason


ROWS: list[dict[str, Any]] = [
    {"commit": "a", "val_bpb": 1.0, "status": "keep"},
    {"commit": "b", "val_bpb": None, "status": "crash"},
    {"commit": "c", "val_bpb": 0.5, "status": "keep"},
]


def table(delimiter: str) -> str:
    return "\n".join(
        [delimiter.join(ROWS[0])] + [delimiter.join(str(v if v is not None else "") for v in r.values()) for r in ROWS]
    )


@pytest.mark.parametrize(
    "text",
    [
        table("\t"),
        table(","),
        table(";"),
        table(" | "),
        "| " + table(" | ").replace("\n", " |\n|---|---|---|\n| ", 1).replace("\n", " |\n| ").replace("| |", "|"),
        "\n\n" + table("\t").replace("\n", "\r\n"),
        json.dumps(ROWS),
        "\n".join(map(json.dumps, ROWS)) + '\n{"cut',
    ],
)
def test_a_log_is_read_in_every_form(text: str) -> None:
    assert [(r.name, r.value, r.kept) for r in read_log(text) if r.kept] == [("a", 1.0, True), ("c", 0.5, True)]
    assert len(read_log(text)) == 3


@pytest.mark.parametrize("delimiter", "\t,;")
@pytest.mark.parametrize("place", range(1, 4))
def test_a_quotation_mark_that_nobody_closed_swallows_no_runs(delimiter: str, place: int) -> None:
    rows = [["commit", "val_bpb", "status", "description"]]
    rows += [[f"c{n}", f"{1 - n / 100}", "keep", f'"wide{n}' if n == place else "more"] for n in range(6)]
    log = "\n".join(map(delimiter.join, rows))
    assert [r.value for r in read_log(log)] == [1 - n / 100 for n in range(6)]
    real = log.replace(f'"wide{place}', f'"two lines{delimiter} of\none description"')
    assert len(read_log(real)) == 6, "what is quoted may hold line ends"


@given(st.text(alphabet='{}[]",:\t\n;val_bpbstatus0.1', max_size=120))
def test_no_text_breaks_the_reader_of_logs(text: str) -> None:
    try:
        found = read_log(text)
    except BadCandidate:
        return
    assert found and all(run.name for run in found)
