"""Slips on the command line: what was meant is done where it is clear, else named in the one line of the answer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.app.cli import command
from move37.app.reading import pick_experiment, reading
from move37.app.wrong_use import ELSEWHERE
from move37.lab.errors import UnknownExperiment
from tests.app.conftest import Move37


def _every(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, below in group.commands.items():
        yield (*words, name), below
        if hasattr(below, "commands"):
            yield from _every(below, (*words, name))


EVERY = [(words, below) for words, below in _every(command()) if words != ("bench",)]


@pytest.mark.parametrize(("words", "below"), EVERY, ids=[" ".join(words) for words, _ in EVERY])
def test_global_options_may_stand_behind_every_command(move37: Move37, words: tuple[str, ...], below: Any) -> None:
    given_options = [option for param in below.params for option in param.opts]
    assert given_options.count("--home") == given_options.count("--log-level") == given_options.count("--version") == 1
    loud = move37(*words, "--log-level", "loud", *(["X"] if any(p.required for p in below.params) else []))
    assert loud.status == 2 and loud.err.startswith("move37: --log-level: 'loud'") and loud.err.count("\n") == 1


@pytest.mark.parametrize("line", ["show c1-001 --home {}", "show --home={} c1-001", "--home nowhere show 1 --home {}"])
def test_a_home_behind_the_command_is_the_home(move37: Move37, finished: Path, line: str) -> None:
    answer = move37(*line.format(finished).split())
    assert answer.status == 0 and "c1-001" in answer.out
    assert move37("memory", "stats", "--home", "elsewhere").out.startswith("memory      elsewhere")


def test_the_version_is_told_behind_a_command_and_help_stays_short(move37: Move37) -> None:
    assert move37("memory", "stats", "--version").out.startswith("move37")
    assert "--log-level" not in move37("list", "--help").out


def test_completion_looks_into_the_home_that_stands_behind(finished: Path) -> None:
    words = f"move37 show --home {finished} c1-00"
    asked = {"_MOVE37_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "4"}
    command = [sys.executable, "-m", "move37"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | asked, check=False)
    assert done.stdout.split()[:2] == ["c1-001", "c1-002"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("c1-001", "try `move37 show c1-001`"),
        ("7", "try `move37 show 7`"),
        ("1-gla", "try `move37 show 1-gla`"),
        ("C1-GLA", "try `move37 show C1-GLA`"),
        ("lst", "Did you mean 'list'?"),
        ("search softmax", "try `move37 memory search`"),
        ("memory serch", "Did you mean 'search'?: see `move37 memory --help`"),
        ("list 2", "try `move37 list --campaign 2`"),
        ("report 2", "try `move37 report --campaign 2`"),
        ("list c1-003", "try `move37 show c1-003`"),
        ("report --json", "`list`"),
        ("list --budget 3", "`run`"),
        ("run --budgit 3", "Did you mean --budget?"),
        ("--hom x list", "Did you mean --home?: see `move37 --help`"),
        ("exec a.py --epochs 3", "after --"),
        ("run --seed x", "a whole number"),
        ("serve --port 99999", "at most 65535"),
        ("list --campaign 0", "at least 1"),
        ("run --workers 0", "--workers: 0 cannot be used: it has to be at least 1"),
        ("run --brief nofile.md", "(No such file or directory)"),
        ("show c1-001 --home", "requires an argument: see `move37 --help`"),
        ("--home x export --to", "requires an argument: see `move37 export --help`"),
        ("memory export --out", "requires an argument: see `move37 memory export --help`"),
        *((word, remedy) for word, remedy in ELSEWHERE.items()),
    ],
)
def test_a_slip_is_answered_with_what_would_work(move37: Move37, line: str, says: str) -> None:
    answer = move37(*line.split())
    assert answer.status == 2 and answer.out == "" and answer.err.count("\n") == 1
    assert says in answer.err and "Input should" not in answer.err


@pytest.mark.parametrize("ident", ["3", "003", "1-3", "1-003", "c1-3", "C1-003", "c01-3", " c1-003 "])
def test_an_id_may_be_written_as_people_write_it(finished: Path, ident: str) -> None:
    with reading(finished) as archive:
        assert pick_experiment(archive, ident).id == "c1-003"


@pytest.mark.parametrize("ident", ["gla", "Gla", "1-gla", "C1-GLA"])
def test_so_may_a_baseline(finished: Path, ident: str) -> None:
    with reading(finished) as archive:
        assert pick_experiment(archive, ident).id == "c1-gla"


@pytest.mark.parametrize(("ident", "near"), [("c1-0033", "c1-003"), ("softmx", "c1-softmax"), ("c2-003", "c1-003")])
def test_the_nearest_ids_are_named(move37: Move37, finished: Path, ident: str, near: str) -> None:
    for name in ("show", "finalize", "paper", "confirm"):
        answer = move37(name, ident, "--home", str(finished))
        assert answer.status == 2 and answer.err.count("\n") == 1
        assert f"no experiment '{ident}' here: did you mean {near}" in answer.err


@pytest.mark.parametrize("ident", ["9" * 5_000, "c" + "9" * 5_000, f"1-{'9' * 5_000}", "²", "٣٣"])
def test_a_number_that_no_experiment_has_is_one_line(move37: Move37, finished: Path, ident: str) -> None:
    answer = move37("show", ident, "--home", str(finished))
    assert answer.status == 2 and answer.out == "" and "no experiment" in answer.err and answer.err.count("\n") == 1


@given(st.text(max_size=12))
def test_whatever_is_typed_for_an_id_is_an_experiment_or_one_line(finished: Path, ident: str) -> None:
    with reading(finished) as archive:
        known = {e.id for e in archive.experiments()}
        try:
            found = pick_experiment(archive, ident).id
        except UnknownExperiment as error:
            found = str(error)
        assert found in known or (found.startswith("no experiment ") and "\n" not in found)
