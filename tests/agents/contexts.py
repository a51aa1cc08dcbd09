"""A campaign's surroundings in memory: a task that measures by arithmetic, no sandbox, no model but a scripted one."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from move37.agents.approval import Approvals, Approve
from move37.agents.budget import Budget, CampaignUsage
from move37.agents.clock import Clock
from move37.agents.context import CampaignContext
from move37.agents.events import Event, StageStarted
from move37.agents.inbox import Inbox
from move37.agents.language_model import LanguageModel
from move37.agents.limits import ConversationLimits
from move37.agents.replies import Principles
from move37.agents.roles import MEMBERS
from move37.lab.archive.store import Archive
from move37.lab.judging.checked import Checked, Fingerprint
from move37.lab.records import BITS_PER_BYTE, DECIDE, Brief, Candidate, GateResult, Measurement, Metric
from move37.lab.records import SCREEN as SCREENED
from move37.lab.tasks.task import Baseline, Measured, Rung, Schedule
from move37.memory.records import DeadEnd, Entry, Lesson, Newness, Precedent, Recollection, RecordedPrinciple
from tests.agents.scripted import Scripted, a_fix, a_proposal, a_report, accepted, some_code

PATIENCE = 300  # seconds for what a busy machine may be slow at
SCREEN = Rung(number=2, name="lm@100", steps=100, keep=2)
TOP = Rung(number=2, name="lm@200", steps=200, keep=1)


class Arithmetic:
    """Source "BAD" fails a gate, "DIVERGE" diverges, "SLOW" takes ten minutes; other sources get a number by hash.

    With `rates`, finalists are tuned: the rate 2e-2 diverges for everybody, and 5e-3 is worth 0.2.
    """

    name = "mixers"
    contract = "A class named Mixer."
    facts: Mapping[str, str] = {"width": "8"}
    uses_kernels = False
    digest = "arithmetic"
    metric: Metric = BITS_PER_BYTE

    def __init__(self, fresh_seeds: int = 3, rates: tuple[float, ...] = ()) -> None:
        self.fresh_seeds = fresh_seeds
        self.rates = rates
        self.measured: list[tuple[str, str, int]] = []

    @property
    def baselines(self) -> tuple[Baseline, ...]:
        return tuple(
            Baseline(name=n, candidate=Candidate(source=f"class Mixer: {n}", author="baseline", family=n))
            for n in ("linear", "gated_delta")
        )

    def schedule(self, preset: str) -> Schedule:
        return Schedule(
            preset=preset,
            candidates=4,
            generation=4,
            rungs=(SCREEN, TOP),
            baseline_rungs=(SCREEN, TOP),
            learning_rate=1e-2,
            finalist_rates=self.rates,
            confirm_seeds=self.fresh_seeds,
            shortened=("one learning rate",),
        )

    async def check(self, candidate: Candidate, *, trust: str, sandbox: Any, known: Sequence[Fingerprint]) -> Checked:
        bad = "BAD" in candidate.source
        gate = GateResult(
            name="shape",
            passed=not bad,
            value=1.0 * bad,
            limit=0.0,
            message="the output has another shape" if bad else "ok",
        )
        tree = hashlib.sha256(candidate.source.encode()).hexdigest()
        return Checked(results=(gate,), fingerprint=Fingerprint(experiment="", tree=tree))

    async def measure(
        self,
        candidate: Candidate,
        *,
        experiment: str,
        rung: Rung,
        seed: int,
        learning_rate: float,
        fresh: bool,
        sandbox: Any,
        workdir: Path,
        on_progress: Any = None,
    ) -> Measured:
        self.measured.append((experiment, rung.name, seed))
        await asyncio.sleep(600 if "SLOW" in candidate.source else 0)
        if "CRASH" in candidate.source:
            return Measured(measurements=(), failure="the training crashed: ZeroDivisionError")
        noise = int(hashlib.sha256(f"{candidate.source}{seed}".encode()).hexdigest()[:6], 16) / 2**24
        measurement = Measurement(
            metric=self.metric.name,
            value=3.0 - rung.steps / 1000 + noise / 10 - 0.2 * (learning_rate == 5e-3),
            rung=rung.number,
            seed=seed,
            steps=rung.steps,
            learning_rate=learning_rate,
            text=DECIDE if fresh else SCREENED,
            fresh=fresh,
            diverged="DIVERGE" in candidate.source or learning_rate == 2e-2,
            train_seconds=1.0,
        )
        return Measured(measurements=(measurement,), sandbox={"backend": "none"})


DECIDING = re.compile(r"\b4[0-9]\.\d")  # a value of `Marked` that decides; gains over it are small


class Marked(Arithmetic):
    """Whatever a fresh seed measures, and no other number anywhere, lies above 40."""

    async def measure(self, candidate: Candidate, **around: Any) -> Measured:
        found = await super().measure(candidate, **around)
        raised = [replace(m, value=m.value + 40.0) if m.fresh else m for m in found.measurements]
        return replace(found, measurements=tuple(raised))


@dataclass
class Remembered:
    """A memory that keeps its lessons in a list."""

    lessons: list[Lesson] = field(default_factory=list)
    believed: list[RecordedPrinciple] = field(default_factory=list)
    advice: tuple[Recollection, ...] = ()
    queries: list[str] = field(default_factory=list)
    similarity: float = 0.0

    async def recall(self, query: str, **_: Any) -> tuple[Recollection, ...]:
        self.queries.append(query)
        return self.advice

    async def is_new(self, text: str, **_: Any) -> Newness:
        near = Precedent(key="c1-001", kind="analysis", name="nearest", similarity=self.similarity)
        return Newness(nearest=(near,))

    async def is_dead_end(self, text: str, **_: Any) -> DeadEnd:
        return DeadEnd()

    async def remember_principle(self, principle: RecordedPrinciple) -> None:
        self.believed.append(principle)

    async def forget_principle(self, id: str, *, task: str = "", data: str = "") -> None:
        self.believed = [p for p in self.believed if (p.id, p.task, p.data) != (id, task, data)]

    async def paper(self, key: str) -> tuple[Entry, ...]:
        return ()

    async def remember(self, lesson: Lesson) -> None:
        self.lessons.append(lesson)


class NoSandbox:
    """Nothing runs in it."""

    name = "none"
    released: list[str]

    def __init__(self) -> None:
        self.released = []

    async def run(self, job: Any, *, on_output: Any = None) -> Any:
        raise AssertionError("this task needs no sandbox")

    async def release(self, trust: str) -> None:
        self.released.append(trust)

    async def protections(self) -> Any:
        return ()

    async def close(self) -> None: ...


def numbered_code() -> Callable[[Any], Any]:
    """Every file differs from the last one."""
    count = iter(range(1_000_000))
    return lambda _: some_code(f"class Mixer:\n    number = {next(count)}\n")


def numbered_proposal(**changes: Any) -> Callable[[Any], Any]:
    """Every hypothesis differs from the last one."""
    count = iter(range(1_000_000))
    return lambda _: a_proposal(change=f"a learned floor under decay {next(count)}", **changes)


def a_script(**changes: Any) -> Scripted:
    answers: dict[str, Any] = {
        "Proposal": numbered_proposal(),
        "Critique": accepted(),
        "Code": numbered_code(),
        "Fix": a_fix(),
        "Report": a_report(),
        "Principles": Principles(),
    }
    return Scripted(**(answers | changes))


def a_context(
    home: Path,
    client: Scripted | None = None,
    *,
    budget: int = 4,
    archive: Archive | None = None,
    approve: Approve = "never",
    spend: Budget | None = None,
    task: Arithmetic | None = None,
    inbox: Inbox | None = None,
    **changes: Any,
) -> tuple[CampaignContext, list[Event]]:
    """The surroundings of a new campaign, or of the archive's last one."""
    events: list[Event] = []
    inbox = inbox or Inbox()
    task = task or Arithmetic()
    client = client or a_script()
    archive = archive or Archive.open(home)
    campaign = archive.campaigns()[-1] if archive.campaigns() else archive.begin_campaign(Brief(budget=budget))
    spend = spend or Budget()
    fields: dict[str, Any] = {
        "archive": archive,
        "record": campaign,
        "task": task,
        "schedule": task.schedule("quick"),
        "sandbox": NoSandbox(),
        "memory": Remembered(),
        "scientists": {m.name: LanguageModel(client, signature="scripted") for m in MEMBERS},
        "prices": lambda role, prompt, completion, cached: 0.01,
        "operators_of": lambda source: ("gla",),
        "inbox": inbox,
        "approvals": Approvals(approve, inbox, events.append, partial(archive.say, campaign.id)),
        "usage": CampaignUsage(),
        "budget": spend,
        "on_event": events.append,
        "clock": Clock(hard=spend.seconds),
        "workdir": home / "work",
        "limits": ConversationLimits(debug_attempts=2, refusals_tried=0.0),
    }
    return CampaignContext(**(fields | changes)), events


def at_the_first_training(context: CampaignContext, act: Callable[[], None]) -> CampaignContext:
    """The same, in which `act` is called when the first candidate's training begins."""
    heard, begun = context.on_event, StageStarted(experiment="c1-001", stage=SCREEN.name)

    def on_event(event: Event) -> None:
        heard(event)
        if event == begun:
            act()

    return replace(context, on_event=on_event)
