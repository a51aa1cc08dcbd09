"""One training, from checkpoint to checkpoint: its jobs, their progress and results. Runs outside the sandbox only.

A checkpoint is kept for each (seed, learning rate) in the experiment's own folder, beside a small record of what its
last segment cost; the next rung continues from there. A campaign that was killed between a training and its record in
the archive finds both, and scores without training again.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import uuid4

import structlog

from move37.lab import machine
from move37.lab.records import Candidate
from move37.lab.training.jobs import CHECKPOINT, Network, Segment, Tokens, train_job
from move37.lab.training.outcomes import TrainingReport, fault, read_report, starved
from move37.lab.training.score import NOT_FINITE, clean_weights
from move37.sandbox.job import Outcome, Status, Stream
from move37.sandbox.sandbox import Sandbox

log = structlog.get_logger()

Draw = Callable[[int, int], tuple[Tokens, Tokens]]  # (first, stop) -> inputs, targets: [steps, batch, time]
OnLoss = Callable[[int, float], None]  # steps done, loss in nats

LARGEST_LINE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCost:
    """Cost of the last training segment (to `steps`), measured outside; each rung's record has its own segment."""

    steps: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    self_reported: bool = False  # a lock was missing in a segment
    custom_backward: str = ""  # what the candidate declares; its gradients were then not checked
    loop_seconds: float = 0.0  # of the training loop alone
    loop_steps: int = 0  # in that time
    flops_per_token: float = 0.0  # 0: not counted
    peak_flops: float = 0.0  # 0: unknown

    @property
    def steps_per_second(self) -> float:
        """Of the loop; 0 where it is not known."""
        return self.loop_steps / self.loop_seconds if self.loop_seconds > 0 else 0.0

    def after(self, outcome: Outcome, steps: int, report: TrainingReport | None, *, within: bool) -> RunCost:
        """What a segment that ended at `steps` cost; together with this one where both are `within` one rung."""
        before = self if within else RunCost()
        return RunCost(
            steps=steps,
            wall_seconds=before.wall_seconds + outcome.wall_seconds,
            cpu_seconds=before.cpu_seconds + outcome.cpu_seconds,
            peak_memory_bytes=max(before.peak_memory_bytes, outcome.peak_memory_bytes),
            self_reported=self.self_reported or report is None or report.self_reported,
            custom_backward="" if report is None else report.custom_backward,
            loop_seconds=before.loop_seconds + (report.seconds if report else 0.0),
            loop_steps=before.loop_steps + (report.steps if report else 0),
            flops_per_token=report.flops_per_token if report else before.flops_per_token,
            peak_flops=report.peak_flops if report else before.peak_flops,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedWeights:
    """Weights that were checked, or why there are none."""

    weights: bytes | None
    spent: RunCost
    failure: str = ""  # the candidate's fault
    diverged: bool = False
    starved: bool = False  # it failed for want of processor time
    backend: str = ""
    image: str = ""


async def train(
    candidate: Candidate, network: Network, draw: Draw, *, experiment: str, seed: int, stop: int, learning_rate: float,
    most_parameters: int, wall_seconds: float, sandbox: Sandbox, kept: CheckpointStore | None,
    on_loss: OnLoss | None = None,
) -> TrainedWeights:  # fmt: skip
    """Train to step `stop`, continuing from the checkpoint that is `kept` (None: nothing is).

    A long training is split into segments, a job each, so that no job holds more than `SEGMENT_TOKENS`; after a kill it
    continues, bit for bit, from the end of the last segment.
    """
    spent, checkpoint = kept.latest(stop) if kept else (RunCost(), None)
    if checkpoint is not None and spent.steps == stop:
        weights, problem = await asyncio.to_thread(clean_weights, checkpoint, most_parameters=most_parameters)
        return TrainedWeights(weights=weights, spent=spent, failure=problem, backend=sandbox.name)
    begun = spent.steps
    while True:
        end = min(stop, spent.steps + network.segment_steps)
        inputs, targets = await asyncio.to_thread(draw, spent.steps, end)
        segment = Segment(
            seed=seed, first=spent.steps, stop=end, learning_rate=learning_rate, inputs=inputs, targets=targets,
            checkpoint=checkpoint,
        )  # fmt: skip
        job = train_job(candidate, network, segment, trust=experiment, wall_seconds=wall_seconds)
        outcome = await sandbox.run(job, on_output=_listener(on_loss))
        report = read_report(outcome)
        spent = spent.after(outcome, end, report, within=segment.first > begun)
        log.info("training_ended", job=job.id, status=str(outcome.status), seconds=round(outcome.wall_seconds, 2))
        ended = TrainedWeights(weights=None, spent=spent, backend=outcome.backend, image=outcome.image)
        checkpoint = outcome.files.get(CHECKPOINT)
        if outcome.status is not Status.DONE or checkpoint is None or report is None:
            return replace(ended, failure=fault(outcome, doing="training")[0], starved=starved(outcome))
        if report.diverged:
            return replace(ended, diverged=True)
        weights, problem = await asyncio.to_thread(clean_weights, checkpoint, most_parameters=most_parameters)
        if weights is None:
            diverged = problem == NOT_FINITE
            return replace(ended, failure="" if diverged else problem, diverged=diverged)
        if kept:
            await asyncio.to_thread(kept.put, checkpoint, spent)
        if end == stop or report.step < end:  # a probe may have ended early
            return replace(ended, weights=weights)


class CheckpointStore:
    """The one checkpoint of a training, replaced whole: a killed write leaves the older one.

    `stem` names all that a training's numbers depend on but the steps reached; a longer schedule is another training.
    """

    def __init__(self, folder: Path, stem: str) -> None:
        self.folder, self.stem = folder, stem

    @classmethod
    def of(
        cls, folder: Path, network: Network, *, seed: int, learning_rate: float, corpus: str, sandbox: str
    ) -> CheckpointStore:
        """For one network, seed and rate, on text of this digest, in this kind of sandbox of this machine."""
        sizes = network.scale
        around = f"{network.kind}{network.vocabulary}-{sizes.key}"
        around += f"-by{sizes.micro_batch}" if sizes.micro_batch else ""  # exact only where a batch is cut alike
        around += "-gpu" if network.gpus else ""
        where = f"{corpus[:12]}-{machine.conditions(sandbox)}"
        return cls(folder, f"seed{seed}-lr{learning_rate:g}-{around}-of{network.total_steps}-{where}")

    def latest(self, most_steps: int) -> tuple[RunCost, bytes | None]:
        """The checkpoint and what it cost, if it is not past `most_steps`; otherwise training starts at 0."""
        for record in sorted(self.folder.glob(f"{self.stem}-*.json"), key=lambda p: -_steps_of(p)):
            try:
                spent = RunCost(**json.loads(record.read_text()))
                checkpoint = record.with_suffix(".safetensors").read_bytes()
            except (OSError, ValueError, TypeError):
                continue
            if 0 < spent.steps <= most_steps:
                return spent, checkpoint
        return RunCost(), None

    def put(self, checkpoint: bytes, spent: RunCost) -> None:
        """Write weights, then the record that makes them count, then drop the older ones."""
        self.folder.mkdir(parents=True, exist_ok=True)
        stem = f"{self.stem}-{spent.steps}"
        for name, content in (
            (f"{stem}.safetensors", checkpoint),
            (f"{stem}.json", json.dumps(asdict(spent)).encode()),
        ):
            # A name of its own: two `move37 measure` of one file write the same checkpoint.
            fresh = self.folder / f"{name}.{uuid4().hex}.new"
            try:
                fresh.write_bytes(content)
                os.replace(fresh, self.folder / name)
            finally:
                fresh.unlink(missing_ok=True)
        for old in self.folder.glob(f"{self.stem}-*"):
            if not old.name.startswith(f"{stem}.") and old.suffix != ".new":
                old.unlink(missing_ok=True)


def _steps_of(record: Path) -> int:
    tail = record.stem.rpartition("-")[2]
    return int(tail) if tail.isdigit() else 0


def _listener(on_loss: OnLoss | None) -> Callable[[Stream, bytes], None] | None:
    """Reads progress lines out of stdout; whatever else stands there is skipped."""
    if on_loss is None:
        return None
    held = bytearray()

    def hear(stream: Stream, chunk: bytes) -> None:
        if stream != "stdout":
            return
        held.extend(chunk)
        *lines, rest = held.split(b"\n")
        held[:] = rest[-LARGEST_LINE:]
        for line in lines:
            try:
                told = json.loads(line)
                on_loss(int(told["step"]), float(told["loss"]))
            except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
                continue

    return hear
