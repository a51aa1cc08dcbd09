"""What asking a claim needs, and what the user asked for: shared by the modules that ask one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from move37.lab.archive.store import Archive
from move37.lab.confirming import ConfirmationPlan
from move37.lab.measuring import MeasuringContext
from move37.lab.records import Comparison, Metric
from move37.lab.tasks.task import QuestionedTask


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationRequest:
    """What the user asked for beyond the experiment."""

    seeds: int | None = None
    trials: int | None = None
    second_corpus: Path | None = None
    everything: bool = False  # go on after the first question that fails


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimWatch:
    """Callbacks while a claim is asked."""

    begins: Callable[[ConfirmationPlan, int], None]  # (plan, trainings)
    run: Callable[[str, int, bool], None]  # (name, seed, kept)
    answers: Callable[[Comparison, Metric], None]
    notice: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimGround:
    """What asking a claim needs: task, sandbox, archive, cache."""

    archive: Archive
    task: QuestionedTask  # with the campaign's own draw of what decides
    context: MeasuringContext
    cache: Path  # of the home
    watch: ClaimWatch
