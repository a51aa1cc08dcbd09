"""How `mixers` measures one rung with one seed: the probes, or a training that is scored on validation text.

Read `trained`: train in a sandbox, score in another, add up outside.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from move37.lab.probes.run import PROBES, QUICK_PROBES, run_probe
from move37.lab.records import DECIDE, SCREEN, Candidate, Measurement
from move37.lab.scale import CPU, Scale
from move37.lab.tasks.mixers_schedule import ALL_PROBES_RUNG
from move37.lab.tasks.task import Measured, OnProgress, Progress, Rung
from move37.lab.training import data
from move37.lab.training.jobs import Network, Tokens
from move37.lab.training.runs import CheckpointStore, train
from move37.lab.training.schedule import TOTAL_STEPS
from move37.lab.training.score import score
from move37.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from move37.lab.tasks.mixers import MixersTask

UNIFORM_BITS = 8.0  # of a uniform guess: the value of a diverged training
# A loss well above a uniform guess, after the first fifty steps, does not recover.
BYTES = Network(kind="bytes", total_steps=TOTAL_STEPS, ceiling=1.2 * math.log(256))
MARGIN = 1.02  # times the scale's parameters: 1 % for rounding the MLP's width, 1 % for a mixer's buffers


async def probed(candidate: Candidate, *, experiment: str, rung: Rung, seed: int, sandbox: Sandbox) -> Measured:
    """Every probe of the rung, or the quick ones; ends at the first that the candidate fails to run."""
    found: list[Measurement] = []
    where: dict[str, str] = {}
    for probe in PROBES if rung == ALL_PROBES_RUNG else QUICK_PROBES:
        measurement, failure, where = await run_probe(
            probe, candidate, experiment=experiment, seed=seed, sandbox=sandbox
        )
        if measurement is None:
            return Measured(measurements=tuple(found), failure=failure, sandbox=where)
        found.append(measurement)
    return Measured(measurements=tuple(found), sandbox=where)


async def trained(
    task: MixersTask, candidate: Candidate, *, experiment: str, rung: Rung, seed: int, learning_rate: float,
    fresh: bool, sandbox: Sandbox, workdir: Path, on_progress: OnProgress | None,
) -> Measured:  # fmt: skip
    """Train to `rung.steps`, answer validation text in another sandbox, score its answers here."""

    def on_loss(step: int, loss: float) -> None:
        if on_progress is not None:
            bits = loss / math.log(2)
            on_progress(
                Progress(experiment=experiment, rung=rung.name, seed=seed, step=step, steps=rung.steps, loss=bits)
            )

    def draw(first: int, stop: int) -> tuple[Tokens, Tokens]:
        windows = data.draw_batches(
            task.corpus.train, seed=seed, start=first, stop=stop, batch=task.scale.batch, length=task.scale.context
        )
        return windows[..., :-1], windows[..., 1:]

    network = replace(BYTES, total_steps=task.total_steps, scale=task.scale, gpus=int(task.device != "cpu"))
    kept = CheckpointStore.of(
        workdir, network, seed=seed, learning_rate=learning_rate, corpus=task.digest, sandbox=sandbox.name
    )
    spent_at = task.scale.batch * task.scale.context  # bytes a step
    run = await train(
        candidate, network, draw, experiment=experiment, seed=seed, stop=rung.steps, learning_rate=learning_rate,
        most_parameters=int(MARGIN * task.scale.parameters), wall_seconds=_patience(task.scale, rung.steps),
        sandbox=sandbox, kept=kept, on_loss=on_loss,
    )  # fmt: skip
    where = {"backend": run.backend, "image": run.image}
    if run.failure:
        return Measured(measurements=(), failure=run.failure, starved=run.starved, sandbox=where)
    scored = None
    if run.weights is not None:
        windows = data.scoring_windows(
            task.corpus.validation, fresh=fresh, secret=task.secret, length=task.scale.context
        )
        scored = await score(
            candidate, network, run.weights, windows[:, :-1], windows[:, 1:], seed=seed,
            experiment=experiment, sandbox=sandbox, wall_seconds=_patience(task.scale, 0),
        )  # fmt: skip
        if scored.failure:
            return Measured(measurements=(), failure=scored.failure, starved=scored.starved, sandbox=where)
    known = task.calibrated and (
        task.measured_by_the_lab if task.calibration is None else task.calibration.scale == task.scale.key
    )
    sums = scored.sums if scored is not None else None
    bits = sums.mean_nats / math.log(2) if sums is not None else UNIFORM_BITS
    # Within the warm-up a start may lie above a guess.
    diverged = sums is None or (bits >= UNIFORM_BITS and rung.steps > task.scale.warmup)
    measurement = Measurement(
        metric=task.metric.name,
        value=UNIFORM_BITS if diverged else bits,
        rung=rung.number,
        seed=seed,
        steps=rung.steps,
        total_steps=task.total_steps,
        width=task.scale.width,
        scale=task.scale.key,
        device=task.device,
        text=task.text or (DECIDE if fresh else SCREEN),
        learning_rate=learning_rate,
        fresh=fresh,
        self_reported=run.spent.self_reported or bool(scored and scored.self_reported),
        custom_backward=run.spent.custom_backward,
        diverged=diverged,
        calibrated=known and task.total_steps == task.scale.steps,
        noise=task.calibration.noise if task.calibration and known else None,
        train_seconds=run.spent.wall_seconds,
        cpu_seconds=run.spent.cpu_seconds + (scored.cpu_seconds if scored else 0.0),
        eval_seconds=scored.wall_seconds if scored else 0.0,
        tokens_seen=rung.steps * spent_at,
        tokens_per_second=run.spent.steps_per_second * spent_at,
        flops_per_token=run.spent.flops_per_token,
        peak_flops=run.spent.peak_flops,
        peak_memory_bytes=max(run.spent.peak_memory_bytes, scored.peak_memory_bytes if scored else 0),
    )
    return Measured(measurements=(measurement,), sandbox=where)


def _patience(scale: Scale, steps: int) -> float:
    """Seconds of wall time for `steps`: over ten times what the slowest baseline needs on an idle core.

    Large, so that a busy machine fails no good candidate; slow candidates are found by the gate `complexity`.
    """
    ours, measured = (s.parameters * s.batch * s.context for s in (scale, CPU))
    work = ours / measured
    return (180.0 + 0.8 * steps) * max(1.0, work)
