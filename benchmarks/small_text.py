"""The task `mixers`, cut down so that a whole campaign of the search takes two CPU seconds a candidate.

Conversation, memory, archive and analysis are a campaign's own; a candidate's worth is that of one layer of width 32
after 100 steps on 64 bytes (`rediscovery_tasks.train`, the text task), in this process, without gates: only files that
the grammar's emitter wrote can be measured. Trainings are kept by genome and seed in a file that campaigns share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from move37.agents.search.codegen import emit, genome_of
from move37.agents.search.grammar import BASELINES
from move37.benchmarks.predictions_campaign import STEPS, CachedTrainings, measurement
from move37.lab.judging.checked import Checked, Fingerprint
from move37.lab.records import Candidate
from move37.lab.tasks.mixers import MixersTask
from move37.lab.tasks.task import Baseline, Measured, OnProgress, Rung
from move37.sandbox.sandbox import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallText(MixersTask):
    """`mixers` whose numbers come from small trainings in this process. One campaign at a time."""

    trainings: CachedTrainings

    @classmethod
    def small(cls, *, cache: Path, trainings: Path) -> SmallText:
        """With the pinned corpus; trainings are kept in the file `trainings`."""
        task = MixersTask.open(cache=cache)
        return cls(corpus=task.corpus, trainings=CachedTrainings(trainings, STEPS, None))

    @property
    def baselines(self) -> tuple[Baseline, ...]:
        """The seven, as the grammar writes them."""
        return tuple(
            Baseline(name=name, candidate=Candidate(source=emit(g, name=name), author="baseline", family=g.family))
            for name, g in BASELINES.items()
        )

    async def check(
        self, candidate: Candidate, *, trust: str, sandbox: Sandbox, known: Sequence[Fingerprint]
    ) -> Checked:
        """No gate is asked."""
        return Checked(results=())

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
        """The small training's bits per byte, or the failure that the file is not the grammar's."""
        genome = genome_of(candidate.source)
        if genome is None:
            return Measured(measurements=(), failure="only what the grammar wrote is measured here")
        value = await asyncio.to_thread(self.trainings.value, genome, seed)
        return Measured(measurements=(measurement(value, seed),))
