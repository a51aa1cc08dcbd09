"""The record of every task, as far as it is known without opening it: its name, what a candidate is, the metric.

To add a task: a module with `open_task(folder, *, cache, corpus)` and a record in `TASKS`. Facts about a
task by its name are here only; standard library only, because help and settings import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from move37.lab.errors import BadTask
from move37.lab.records import BITS_PER_BYTE, COMBINED_SCORE, Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskKind:
    """One task."""

    name: str  # what --task begins with
    module: str  # that opens it
    metric: Metric
    candidate: str = "mixer"  # what an author writes, one word; its file is called so
    writes: Literal["grammar", "edits"] = "grammar"  # how the search makes candidates
    folder: bool = False  # one is named behind the task: "program:DIR"
    takes_corpus: bool = False  # --corpus says on what text
    scales: bool = False  # --scale and --device say where its networks train
    gates: str = ""  # a module whose `run_gates` needs none of the task's data; empty: the opened task checks
    questions: bool = False  # the questions of a claim can be asked (`QuestionedTask`)
    subject: str = ""  # what is measured, as the write-up of a claim begins: "A language model"

    @property
    def usage(self) -> str:
        """As a user writes it."""
        return f"{self.name}:DIR" if self.folder else self.name


TASKS: tuple[TaskKind, ...] = (
    TaskKind(
        name="mixers", module="move37.lab.tasks.mixers", metric=BITS_PER_BYTE, takes_corpus=True, scales=True,
        gates="move37.lab.judging.run", questions=True, subject="A byte-level language model",
    ),
    TaskKind(
        name="program", module="move37.lab.tasks.program", metric=COMBINED_SCORE, candidate="program", writes="edits",
        folder=True,
    ),
)  # fmt: skip
DEFAULT = TASKS[0].name


def usage() -> str:
    """Every task as a user writes it: "mixers, or program:DIR"."""
    *first, last = (kind.usage for kind in TASKS)
    return f"{', '.join(first)}, or {last}" if first else last


def kind_of(name: str) -> TaskKind:
    """The task that a --task means. Raises `BadTask` with the names that there are."""
    head, _, folder = name.partition(":")
    found = next((kind for kind in TASKS if kind.name == head), None)
    if found is None or (folder and not found.folder):
        raise BadTask(f"unknown task {name!r}: use {usage()}")
    if found.folder and not folder.strip():
        raise BadTask(f"--task {name} names no folder: write {found.usage}")
    return found


def asks_questions(metric: Metric) -> bool:
    """Whether a task of this metric is one of which a claim's questions can be asked."""
    return any(kind.questions for kind in TASKS if kind.metric == metric)


def metric_named(name: str) -> Metric | None:
    """The primary metric of that name; None for what is measured beside it, such as probes."""
    return next((kind.metric for kind in TASKS if kind.metric.name == name), None)


def folder_of(name: str) -> Path | None:
    """The folder that stands behind the colon. Raises `BadTask`."""
    return Path(name.partition(":")[2]).expanduser() if kind_of(name).folder else None


def full_name(name: str) -> str:
    """A task as its lessons are kept: with its folder in full, however it was typed. Other names stay."""
    kind, _, folder = name.partition(":")
    if not folder.strip() or not any(k.folder for k in TASKS if k.name == kind):
        return name
    return f"{kind}:{Path(folder).expanduser().resolve()}"
