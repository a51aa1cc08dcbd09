"""What a task is: a candidate contract, gates, rungs, a primary metric, baselines.

`move37.lab.tasks.mixers` and `move37.lab.tasks.program` implement `Task`. To add one: a file here and a line in
`lab/tasks/registry.py`. The task decides how a candidate is run; the ladder (`lab/halving.py`) which ones are promoted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from move37.lab.calibration import Calibrations, ScaleCalibration
from move37.lab.effects import Conditions
from move37.lab.judging.checked import Checked, Fingerprint
from move37.lab.records import Candidate, Measurement, Metric
from move37.lab.scale import Scale
from move37.sandbox.sandbox import Sandbox

SECRET = "secret"  # the fact of a campaign from which deciding windows and fresh seeds are drawn
SECRET_BITS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One step of the ladder. Rungs of equal `number` differ in steps and continue each other's training."""

    number: int  # 1 probes, 2 small language model, ...
    name: str  # unique in a schedule, e.g. "probes", "lm@100"
    steps: int = 0  # total optimiser steps reached; 0 where there are none
    keep: int | None = None  # how many candidates go on from here; None: all


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The plan of a preset, and what it leaves out."""

    preset: str
    candidates: int  # default budget
    generation: int  # candidates screened between two climbs
    rungs: tuple[Rung, ...]  # the first one screens every candidate; later ones only who was kept
    baseline_rungs: tuple[Rung, ...]
    learning_rate: float
    finalist_rates: tuple[float, ...] = ()  # further learning rates tried for finalists and baselines
    screen_seeds: int = 1  # seeds at the last rung that pick finalists and their rivals
    finalists: int = 1  # candidates that get fresh seeds
    confirm_seeds: int = 5  # fresh seeds of a finalist and of each rival, at least
    most_seeds: int = 5  # where the noise asks for more of them
    smallest_effect: float | None = None  # of interest, in the metric's unit; no confirmation that cannot find it
    claims: bool = False  # at the end, ask claims of candidates that beat their rivals on fresh seeds
    max_seconds: float | None = None  # soft end of the preset; fewer fresh seeds are run when it nears
    shortened: tuple[str, ...] = ()  # printed under every table
    refusal: str = ""  # why nothing is promoted or confirmed here; empty: go on


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Progress of a running measurement, for displays only (it is self-reported)."""

    experiment: str
    rung: str
    seed: int
    step: int
    steps: int
    loss: float | None  # in the primary metric's unit


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The result of one rung. `failure`: the candidate's fault in one sentence; the lab's own are exceptions."""

    measurements: tuple[Measurement, ...]
    failure: str = ""
    sandbox: Mapping[str, str] = field(default_factory=dict)  # backend, image digest
    starved: bool = False  # it failed for want of processor time, or slept


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A candidate of the lab's own."""

    name: str
    candidate: Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The task under the conditions of one of a claim's questions."""

    task: Task
    rung: Rung
    where: Conditions  # that its measurements will have


class Task(Protocol):
    """The protocol of a task: what is searched for, and how it is measured."""

    @property
    def name(self) -> str:
        """As given to --task."""
        ...

    @property
    def metric(self) -> Metric:
        """The primary metric, with its direction."""
        ...

    @property
    def caveat(self) -> str:
        """What its numbers do not show, one sentence: printed under every table."""
        ...

    @property
    def contract(self) -> str:
        """The candidate contract, as the Engineer reads it (Markdown)."""
        ...

    @property
    def facts(self) -> Mapping[str, str]:
        """What else an author must know, label -> value with its unit: sizes, limits, noise."""
        ...

    @property
    def uses_kernels(self) -> bool:
        """Whether candidates may import our kernels."""
        ...

    @property
    def digest(self) -> str:
        """Of the data and files that its numbers depend on: a campaign is not resumed under another one."""
        ...

    @property
    def baselines(self) -> tuple[Baseline, ...]:
        """Judged by the same gates (less novelty) and rungs as candidates."""
        ...

    def drawn(self, secret: int | None) -> Task:
        """The task with its deciding data drawn by a campaign's secret, which no candidate's author can know.

        None, as in campaigns without a secret: the deciding data are fixed.
        """
        ...

    def schedule(self, preset: str) -> Schedule:
        """What `quick` and `full` mean here."""
        ...

    async def check(
        self, candidate: Candidate, *, trust: str, sandbox: Sandbox, known: Sequence[Fingerprint]
    ) -> Checked:
        """Run every gate; `known` are the fingerprints of the archive (empty: novelty is null)."""
        ...

    async def measure(
        self,
        candidate: Candidate,
        *,
        experiment: str,
        rung: Rung,
        seed: int,
        learning_rate: float,
        fresh: bool,
        sandbox: Sandbox,
        workdir: Path,
        on_progress: OnProgress | None = None,
    ) -> Measured:
        """Run one rung with one seed. `workdir` is this experiment's own folder for checkpoints.

        Raises `MeasurementBroken` when the fault is ours.
        """
        ...


@runtime_checkable
class ScaledTask(Task, Protocol):
    """A task that trains networks at a scale which can be measured beforehand (`TaskKind.scales`)."""

    @property
    def scale(self) -> Scale:
        """Of its networks."""
        ...

    @property
    def refusal(self) -> str:
        """Why nothing is promoted at this scale; empty where its noise was measured."""
        ...

    @property
    def calibrated(self) -> bool:
        """Whether the noise between seeds is known for its scale, data and device."""
        ...

    @property
    def calibration(self) -> ScaleCalibration | None:
        """What `move37 calibrate` measured here; None: nothing, or the lab itself did."""
        ...

    def at_rate(self, rate: float) -> Self:
        """The same at the learning rate with which a campaign began, whatever was calibrated since."""
        ...

    def calibrations(self, cache: Path) -> Calibrations:
        """Where that is kept, for its data and device."""
        ...


@runtime_checkable
class QuestionedTask(Task, Protocol):
    """A task of which a claim's questions can be asked (`TaskKind.questions`)."""

    @property
    def smallest_effect(self) -> float:
        """That a confirmation must be able to find, in the metric's unit."""
        ...

    def drawn(self, secret: int | None) -> Self:
        """As `Task.drawn`."""
        ...

    @property
    def sealed(self) -> str:
        """Digest of the data that hold what nothing may see before the end, for the log of openings."""
        ...

    def check_sealed(self) -> None:
        """Raises `BadCorpus` where the data that nothing may see before the end are not what was sealed."""
        ...

    def second(self, *, cache: Path, corpus: Path) -> Self:
        """The same on other data of the user's. Raises `BadCorpus`."""
        ...

    def variant(self, question: str, *, second: QuestionedTask | None = None) -> Variant:
        """As that question wants it. Raises `BadTask` where it cannot be asked, and `BadCorpus`."""
        ...


def left_out_of(task: object) -> tuple[str, ...]:
    """Files of a task's corpus that were not read, each with its reason; none where it reads no corpus."""
    return tuple(getattr(getattr(task, "corpus", None), "left_out", ()))
