"""Run one probe: train on sent examples, score test inputs in another job.

Test inputs are drawn anew for each measurement, without a seed, so that no candidate can be prepared for them; with
thousands of answers that changes an accuracy by less than .005. Prefixes are not checked as for text, because here no
input contains the answer of an earlier position.
Runs outside the sandbox; the makers of the data are the files beside it.
"""

from __future__ import annotations

import zlib

import numpy as np

from move37.lab.probes.copying import SELECTIVE_COPY
from move37.lab.probes.mqar import MQAR
from move37.lab.probes.overwrite import OVERWRITE_RECALL
from move37.lab.probes.parity import PARITY, PARITY_FAR
from move37.lab.probes.probe import IGNORE, Probe
from move37.lab.probes.word_problem import S3_FAR
from move37.lab.records import Candidate, Measurement
from move37.lab.training.jobs import Network, Tokens
from move37.lab.training.runs import train
from move37.lab.training.score import score
from move37.sandbox.sandbox import Sandbox

QUICK_PROBES = (OVERWRITE_RECALL, PARITY)
PROBES = (*QUICK_PROBES, SELECTIVE_COPY, MQAR, PARITY_FAR, S3_FAR)
CHANCE = {probe.name: probe.chance for probe in PROBES}  # accuracy of a guess, by metric

MOST_PARAMETERS = 32_000  # a mixer of 1.05 x the largest baseline, an embedding, and what two heads for four may add
WALL_SECONDS = 400.0  # twenty times what the slowest baseline needs on an idle core


async def run_probe(
    probe: Probe, candidate: Candidate, *, experiment: str, seed: int, sandbox: Sandbox
) -> tuple[Measurement | None, str, dict[str, str]]:  # fmt: skip
    """The accuracy of `candidate` on `probe`, or None and its fault; and which sandbox ran it."""
    network = Network(kind="probe", vocabulary=probe.vocabulary, total_steps=probe.steps, enough=probe.enough)

    def draw(first: int, stop: int) -> tuple[Tokens, Tokens]:
        rng = np.random.default_rng((seed, zlib.crc32(probe.name.encode())))
        inputs, answers = probe.make(rng, (stop - first) * probe.batch)
        shape = (stop - first, probe.batch, probe.length)
        return inputs.reshape(shape), due(answers).reshape(shape)

    trained = await train(
        candidate, network, draw, experiment=experiment, seed=seed, stop=probe.steps,
        learning_rate=probe.learning_rate, most_parameters=MOST_PARAMETERS, wall_seconds=WALL_SECONDS,
        sandbox=sandbox, kept=None,
    )  # fmt: skip
    where = {"backend": trained.backend, "image": trained.image}
    if trained.weights is None and not trained.diverged:
        return None, f"{probe.name}: {trained.failure}", where
    inputs, answers = probe.draw_test(np.random.default_rng())
    value, spent, scored = 0.0, trained.spent, None
    if trained.weights is not None:
        scored = await score(
            candidate, network, trained.weights, inputs, due(answers), seed=seed, experiment=experiment,
            sandbox=sandbox, wall_seconds=WALL_SECONDS, check_prefixes=False,
        )  # fmt: skip
        if scored.failure:
            return None, f"{probe.name}: {scored.failure}", where
        if scored.sums is not None:
            value = scored.sums.accuracy
    measurement = Measurement(
        metric=probe.name,
        value=value,
        rung=1,
        seed=seed,
        steps=probe.steps,
        learning_rate=probe.learning_rate,
        self_reported=spent.self_reported or bool(scored and scored.self_reported),
        custom_backward=spent.custom_backward,
        diverged=trained.diverged or (scored is not None and scored.diverged),
        train_seconds=spent.wall_seconds,
        cpu_seconds=spent.cpu_seconds + (scored.cpu_seconds if scored else 0.0),
        eval_seconds=scored.wall_seconds if scored else 0.0,
        tokens_seen=probe.steps * probe.batch * probe.length,
        peak_memory_bytes=max(spent.peak_memory_bytes, scored.peak_memory_bytes if scored else 0),
    )
    return measurement, "", where


def due(answers: Tokens) -> Tokens:
    """Answers as targets: -1 where none is due."""
    return np.where(answers == IGNORE, -1, answers.astype(np.int16))
