"""A home with a claim to ask, and the mixers task by arithmetic: for tests of what a claim asks and of whom."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from move37.agents.search.codegen import emit, genome_of
from move37.agents.search.grammar import BASELINES, operators_in
from move37.agents.search.operators import put
from move37.lab import baselines
from move37.lab.archive.store import Archive
from move37.lab.claims import BASELINE
from move37.lab.judging.checked import Checked, Fingerprint
from move37.lab.records import (
    BITS_PER_BYTE,
    DECIDE,
    Analysis,
    Brief,
    Candidate,
    Comparison,
    ExperimentStatus,
    GateResult,
    Measurement,
    Metric,
    Role,
    Stage,
    Verdict,
)
from move37.lab.tasks.mixers import MixersTask
from move37.lab.tasks.task import Measured, Rung
from move37.sandbox.sandbox import Sandbox
from tests.builders import a_candidate, a_hypothesis, a_measurement

STEPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoned(MixersTask):
    """The mixers task with arithmetic in place of training: who holds the new part is better by `gain`."""

    gain: float = 0.3

    def second(self, *, cache: Path, corpus: Path) -> Reckoned:
        return replace(self, corpus=MixersTask.open(cache=cache, corpus=corpus).corpus)

    async def check(
        self, candidate: Candidate, *, trust: str, sandbox: Sandbox, known: Sequence[Fingerprint]
    ) -> Checked:
        return Checked(results=(GateResult(name="shape", passed=True, value=0.0, limit=0.0, message="ok"),))

    async def measure(self, candidate: Candidate, **how: Any) -> Measured:
        return await reckoned(self, candidate, gain=self.gain, **how)


async def reckoned(
    task: MixersTask, candidate: Candidate, *, experiment: str, rung: Rung, seed: int, learning_rate: float,
    fresh: bool, sandbox: Sandbox, workdir: Path, on_progress: Any = None, gain: float = 0.3,
) -> Measured:  # fmt: skip
    """In place of `MixersTask.measure`."""
    noise = int(hashlib.sha256(f"{candidate.source}{seed}".encode()).hexdigest()[:6], 16) / 2**24 - 0.5
    genome = genome_of(candidate.source)
    mine = genome is not None and "residual_path" in operators_in(genome)
    return Measured(
        measurements=(
            Measurement(
                metric=task.metric.name, value=3.0 - gain * mine + 1e-5 * noise, rung=rung.number, seed=seed,
                steps=rung.steps, total_steps=task.total_steps, width=task.scale.width, scale=task.scale.key,
                text=task.text or (DECIDE if fresh else "screen"), learning_rate=learning_rate, fresh=fresh,
                cpu_seconds=1.0,
            ),
        )
    )  # fmt: skip


def a_task(home: Path, **changes: Any) -> Reckoned:
    return Reckoned(corpus=MixersTask.open(cache=home / "cache").corpus, total_steps=STEPS, **changes)


def a_home(
    archive: Archive, *, low: float = 0.2, brief: Brief | None = None, cost: float = 1.0,
    metric: Metric = BITS_PER_BYTE,
) -> str:  # fmt: skip
    """Two baselines and a candidate that beat both on fresh seeds, as a campaign leaves them before its last stage."""
    campaign = archive.begin_campaign(brief or Brief(budget=1, preset="full"))
    for number, name in enumerate(("linear", "retnet")):
        family = baselines.FAMILIES[name]
        ident = archive.begin_experiment(campaign.id, number, Role.BASELINE, name=name, family=family).id
        own = a_candidate(source=baselines.source(name), author="baseline", family=family)
        archive.finish_stage(ident, Stage.CANDIDATE, {"candidate": own})
        _measured(archive, ident, 3.5 + number / 10, cost, metric)
    genome = put("residual_path", BASELINES["linear"], Random(0))
    assert genome is not None
    ident = archive.begin_experiment(campaign.id, 1, Role.CANDIDATE, parents=(f"c{campaign.id}-linear",)).id
    hypothesis = a_hypothesis(family="linear", base="linear", plan=genome.to_json())
    archive.finish_stage(ident, Stage.HYPOTHESIS, {"hypothesis": hypothesis}, name="skip", family="linear")
    mine = a_candidate(source=emit(genome, name="skip"), family="linear")
    archive.finish_stage(ident, Stage.CANDIDATE, {"candidate": mine})
    _measured(archive, ident, 3.4, cost, metric)
    met = Comparison(
        question=BASELINE, rival=f"c{campaign.id}-linear", name="linear", effect=low + 0.1, low=low, high=low + 0.2,
        confidence=0.97, seeds=2,
    )  # fmt: skip
    verdict = Verdict(
        baseline=met.rival, effect=met.effect, low=low, high=met.high, tried=1, text="Better.", confirmation=1,
        comparisons=(met,),
    )  # fmt: skip
    archive.finish_stage(ident, "verdict:fresh", {"verdict": verdict})
    archive.finish_stage(
        ident, "analysis:fresh", {"analysis": Analysis(expected="more", seen="more", why="a skip", next="confirm it")}
    )
    return ident


def _measured(archive: Archive, ident: str, value: float, cost: float, metric: Metric) -> None:
    for fresh in (False, True):
        m = a_measurement(
            metric=metric.name, value=value, steps=STEPS, total_steps=STEPS, width=64, fresh=fresh, cpu_seconds=cost
        )
        archive.finish_stage(
            ident, "lm", {"measurements": (m,)}, rung=2, reached=2, seed=int(fresh), status=ExperimentStatus.PROMOTED
        )
