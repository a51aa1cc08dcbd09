"""Folders with real records, and a command line typed as a page shows it."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from move37.app.__main__ import run
from move37.lab import baselines
from tests.guides.pages import PAGES, ROOT

RECORDS = ROOT / "docs" / "results"
CACHE = str(Path(tempfile.gettempdir()) / "move37-guides-cache")
A_RUN, A_CLAIM = "2026-11-29-make-run", "2026-11-29-input-shift"
COMPARED = "2026-11-29-search-in-rounds"
LAYER = '''import torch
from torch import nn


class Averages(nn.Module):
    """A running mean, in the style of flash-linear-attention."""

    def __init__(self, hidden_size: int = 64, **kwargs: object) -> None:
        super().__init__()
        self.proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, hidden_states: torch.Tensor, **kwargs: object) -> tuple[torch.Tensor, None, None]:
        count = torch.arange(1, hidden_states.shape[1] + 1, dtype=hidden_states.dtype)[None, :, None]
        return self.proj(hidden_states.cumsum(1) / count), None, None
'''


def a_folder(folder: Path, record: str = "", settings: str = "") -> Path:
    """Where a reader stands: the files that the pages name, and a home with what a campaign or a claim has left."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "direction.md").write_text("Try decays a channel.\n")
    (folder / "untrusted.py").write_text("from pathlib import Path\nPath('out.txt').write_text('42')\nprint(6 * 7)\n")
    (folder / "my_mixer.py").write_text(baselines.source("gla"))
    (folder / "their_layers").mkdir(exist_ok=True)
    (folder / "their_layers" / "averages.py").write_text(LAYER)
    _write_text(folder / "my_text")
    if settings:
        (folder / "move37.toml").write_text(settings)
    (folder / "results.tsv").write_text("commit\tval_bpb\tstatus\na\t1.02\tkeep\nb\t1.00\tkeep\nc\t1.01\tdiscard\n")
    (folder / "lab").symlink_to(ROOT / "lab")  # the checkout's
    if record:
        (folder / ".move37").mkdir()
        shutil.copy(RECORDS / record / "archive.sqlite", folder / ".move37")
        shutil.copy(RECORDS / COMPARED / "comparisons.jsonl", folder / ".move37")
    return folder


def _write_text(folder: Path) -> None:
    """1.2 MB in forty files, made of the pages themselves: the least that a corpus may have is a megabyte."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.txt").write_text((pages[number * 997 :] + pages)[:30_000])


def surroundings(**more: str) -> dict[str, str]:
    """Nothing of this machine's settings and keys; a browser that opens nothing."""
    private = ("MOVE37_", "OPENAI_", "ANTHROPIC_", "QDRANT_", "OLLAMA_", "PYTEST_", "NICEGUI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(private)}
    # Whoever runs the tests may have fetched a model: a cache of the tests' own has none.
    ours = {"BROWSER": "true", "OMP_NUM_THREADS": "1", "MOVE37_SANDBOX": "process", "XDG_CACHE_HOME": CACHE}
    return kept | ours | more


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder with a record in its home: one for all commands that only look."""
    made: dict[str, Path] = {}

    def given(record: str) -> Path:
        if record not in made:
            made[record] = a_folder(tmp_path_factory.mktemp("reader") / "here", record)
        return made[record]

    return given


@pytest.fixture
def answer_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """(words, folder) -> the exit status, and what was said on both streams. In this process: imports are paid once."""

    def call(words: list[str], folder: Path, stdin: str = "") -> tuple[int, str]:
        for name in os.environ.keys() - surroundings().keys():
            monkeypatch.delenv(name)
        for name, value in surroundings().items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        status = run(words)
        said = capsys.readouterr()
        return status, said.out + said.err

    return call
