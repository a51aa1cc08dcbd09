"""What the tests of the command share: a clean environment, a finished home, and the command as a function."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from move37.app.__main__ import run
from tests.app.campaigns import a_whole_campaign


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    out: str
    err: str


Move37 = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [n for n in os.environ if n.startswith(("MOVE37_", "OPENAI_", "ANTHROPIC_", "QDRANT_", "OLLAMA_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def move37(capsys: pytest.CaptureFixture[str]) -> Move37:
    """The command in this process: everything but the start of an interpreter is real."""

    def call(*arguments: str) -> Answer:
        status = run(arguments)
        said = capsys.readouterr()
        return Answer(status=status, out=said.out, err=said.err)

    return call


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one finished campaign; not to be written to."""
    home = tmp_path_factory.mktemp("finished") / "home"
    a_whole_campaign(home)
    return home


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, in which every foreign text tries to break out of where it stands."""
    home = tmp_path_factory.mktemp("hostile") / "home"
    a_whole_campaign(home, hostile=True)
    return home
