"""`move37 memory` as a person runs it: statuses, JSON alone on stdout, one line for each fault."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from move37.app.__main__ import run
from move37.memory import open_memory
from move37.memory.schema import COGNITION as COGNITION_NAME
from tests.memory.test_ingest import COGNITION, write
from tests.memory.test_papers import GOOD


class Shell:
    """Runs one command line in this process."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self._capsys = home, capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        self._capsys.readouterr()
        status = run(["--home", str(self.home), "memory", *arguments])
        self.out, self.err = self._capsys.readouterr()
        return status

    def json(self, *arguments: str):
        assert self(*arguments, "--json") == 0, self.err
        return json.loads(self.out)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "home", capsys)


def test_an_empty_home_has_empty_answers_and_stays_untouched(shell: Shell):
    assert shell.json("stats")["cognition"] == {}
    assert not shell.home.exists()
    assert shell.json("search", "anything")[0]["hits"] == []
    assert "add --builtin" in shell.err


def test_the_builtin_base_is_added_and_searched(shell: Shell):
    assert shell("add", "--builtin") == 0
    (answer,) = shell.json("search", "parity stays at chance whatever the width", "--limit", "3")
    first = next(hit for hit in answer["hits"] if hit["key"] == "2411.12537")
    assert first["why"] and first["score"] <= 1.0 and "beta_two" in first["operators"]
    ids = [hit["id"] for hit in answer["hits"]]
    assert 1 <= len(set(ids)) == len(ids) <= 3
    (item,) = shell.json("show", first["id"])
    assert item["key"] == "2411.12537" and item["symptoms"]
    assert len(shell.json("show", "2411.12537")) >= 2
    stats = shell.json("stats")
    assert stats["cognition"]["builtin"] == stats["cognition"]["insights"] > 0
    assert shell("export") == 0 and shell.out == "", "the built-in base is not exported unasked"


def test_a_query_file_gets_one_answer_a_line_even_when_ids_repeat(shell: Shell, tmp_path: Path):
    shell("import", str(write(tmp_path, "papers/2400.00001.json", json.dumps([COGNITION]))))
    queries = [
        {"id": "a", "text": "late tokens are lost"},
        {"id": "a", "text": "gates near one"},
        {"id": 7, "text": ""},
    ]
    path = write(tmp_path, "q.jsonl", "".join(json.dumps(query) + "\n\n" for query in queries))
    answers = shell.json("search", "--file", str(path), "--limit", "5")
    assert [answer["id"] for answer in answers] == ["a", "a", 7]
    assert answers[0]["hits"][0]["key"] == "2400.00001" and answers[2]["hits"] == []
    first = answers[0]["hits"][0]
    assert set(first) >= {"id", "key", "score", "why", "says", "remedy", "source"} and first["says"]


def test_import_takes_a_folder_and_never_the_builtin_base(shell: Shell, tmp_path: Path):
    write(tmp_path, "papers/2400.00001.md", GOOD)
    write(tmp_path, "papers/notes.txt", "Some notes about decay.")
    write(tmp_path, "papers/broken.json", "{")
    assert shell("import", str(tmp_path / "papers")) == 0
    assert "skipped broken.json" in shell.err and "2 files: 2 insights" in shell.err
    assert shell.json("stats")["cognition"] == {"insights": 2, "papers": 2, "builtin": 0, "symptoms": 2}
    assert shell("export") == 0
    again = write(tmp_path, "out.jsonl", shell.out)
    assert shell("import", str(again)) == 0 and "0 of them new or changed" in shell.err
    assert shell("forget", "notes") == 0
    assert shell.json("stats")["cognition"]["insights"] == 1


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    (
        (("add",), 2, "name a file"),
        (("search",), 2, "give either"),
        (("search", "  "), 2, "the text is empty"),
        (("search", "--file", "missing.jsonl"), 2, "cannot be read"),
        (("import", "missing"), 2, "does not exist"),
        (("add", "missing.md"), 2, "no file"),
        (("show", "nothing"), 2, "holds nothing called"),
        (("forget", "nothing"), 2, "holds nothing called"),
        (("migrate", "nowhere"), 2, "no server URL"),
        (("migrate", "http://127.0.0.1:9"), 3, "is the server up"),
        (("check", "missing"), 2, "does not exist"),
    ),
)
def test_wrong_use_and_faults_are_one_line_with_their_status(
    shell: Shell, arguments: tuple[str, ...], status: int, said: str
):
    assert shell(*arguments) == status
    assert said in shell.err and shell.err.count("move37: ") == 1 and "Traceback" not in shell.err


def test_a_line_that_is_no_query_is_named(shell: Shell, tmp_path: Path):
    path = write(tmp_path, "q.jsonl", '{"id": 1, "text": "a"}\n{"id": 2}\n')
    assert shell("search", "--file", str(path)) == 2 and "line 2" in shell.err


def test_a_query_may_hold_what_ends_a_line_elsewhere_and_a_mark_of_its_order(shell: Shell, tmp_path: Path):
    path = tmp_path / "q.jsonl"
    line = json.dumps({"id": 1, "text": "gates\u2028near\x85one"}, ensure_ascii=False)
    path.write_bytes(b"\xef\xbb\xbf" + line.encode() + b"\r\n")
    assert [answer["text"] for answer in shell.json("search", "--file", str(path))] == ["gates\u2028near\x85one"]
    path.write_text("[" * 100_000)
    assert shell("search", "--file", str(path)) == 2 and "line 1" in shell.err


def test_check_says_what_is_wrong_with_status_one(shell: Shell, tmp_path: Path):
    good = write(tmp_path, "2400.00001.md", GOOD)
    assert shell("check", str(good)) == 0 and shell.out == ""
    bad = write(tmp_path, "2400.00002.md", GOOD)
    assert shell("check", str(bad)) == 1 and "the file is called 2400.00002" in shell.out


def test_a_paper_about_a_folder_is_about_that_folder_from_everywhere(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert shell("add", str(write(tmp_path, "notes.txt", "Circles touch.")), "--task", "program:packing") == 0
    memory = open_memory(shell.home, read_only=True)
    (point,) = memory.index().store.scan(COGNITION_NAME)
    assert point.payload["task"] == f"program:{tmp_path.resolve() / 'packing'}"
    memory.close_now()


def test_a_file_that_replaces_another_of_its_name_says_so(shell: Shell, tmp_path: Path):
    one = write(tmp_path, "a/references.bib", "@article{o, title = {First}}\n@article{s, title = {Shared}}")
    two = write(tmp_path, "b/references.bib", "@article{s, title = {Shared}}\n@article{t, title = {Third}}")
    assert shell("add", str(one)) == 0 and "replaced" not in shell.err
    assert shell("add", str(one)) == 0 and "replaced" not in shell.err
    assert shell("add", str(two)) == 0
    assert "references: 1 stored titles are not in this file and were replaced (First)" in shell.err
    assert shell("import", str(tmp_path / "a")) == 0 and "replaced (Third)" in shell.err


def test_terminal_escapes_of_a_paper_are_shown_not_obeyed(shell: Shell, tmp_path: Path):
    shell("add", str(write(tmp_path, "evil.txt", "Title \x1b]0;owned\x07 \x1b[2J\nbody of text")))
    for arguments in (("search", "title body"), ("show", "evil")):
        assert shell(*arguments) == 0
        assert "\x1b" not in shell.out and "\x07" not in shell.out


def test_reading_commands_import_neither_torch_nor_transformers(tmp_path: Path):
    code = (
        "import sys; from move37.app.__main__ import run\n"
        "home = ['--home', sys.argv[1], 'memory']\n"
        "run([*home, 'add', '--builtin']); run([*home, 'stats', '--json']); run([*home, 'search', 'x', '--json'])\n"
        "run([*home, 'show', '2411.12537']); run([*home, 'export']); run([*home, '--help'])\n"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'heavy import'"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "h")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
