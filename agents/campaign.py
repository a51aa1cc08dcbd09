"""Cycles until the budget ends: the campaign. Resume is the same walk over an archive that already holds answers.

Read `run` first (the order of things), then `_search` (candidates, several at once), then the watchers that let a
person or a limit end it at any moment. What one experiment does stands in cycle.py; the upper rungs in climb.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from move37.agents import climb, cycle, prompts
from move37.agents.approval import decided
from move37.agents.budget import Spent, exhausted
from move37.agents.conversation import Conversation, Utterance
from move37.agents.errors import BudgetSpent
from move37.agents.events import BudgetMoved, ExperimentMoved, Notice, Spoke
from move37.agents.inbox import Said
from move37.agents.metering import Metered
from move37.agents.precedents import Precedents
from move37.agents.roles import MEMBERS, PERSON
from move37.agents.room import Room
from move37.agents.steps import Steps
from move37.agents.table import Table, comparable, the_baselines
from move37.agents.together import together
from move37.lab.archive.store import PROPOSED, UNHEARD, Call, Line, now
from move37.lab.errors import BadTask
from move37.lab.parents import draw_parents
from move37.lab.records import Experiment, ExperimentStatus, Role
from move37.lab.tasks.task import Rung

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a sitting ended."""

    status: str  # finished or stopped
    reason: str  # one sentence


async def run(room: Room) -> Ending:
    """Run (or resume) the campaign to its end. Raises what broke, after everything finished is stored.

    A limit of the brief ends it as finished; a person's stop leaves it resumable.
    """
    campaign = _Campaign(room)
    ending = await campaign.run()
    room.archive.update_campaign(room.campaign.id, status=ending.status, seconds=room.clock.seconds)
    campaign.tell_budget("done")
    log.info("campaign_ended", campaign=room.campaign.id, status=ending.status, reason=ending.reason)
    return ending


class _Campaign:
    def __init__(self, room: Room) -> None:
        self._room = room
        self._running: dict[str, asyncio.Task[None]] = {}  # candidates in their cycle, oldest first
        self._vetoes: dict[str, str] = {}

    async def run(self) -> Ending:
        room = self._room
        for line in room.archive.lines(campaign=room.campaign.id):
            if line.stage in (UNHEARD, PROPOSED):
                said = Said(text=line.text, source=line.source, at=line.at, proposal=line.stage == PROPOSED)
                room.inbox.put_back(said)
        main = asyncio.create_task(self._whole())
        watchers = [asyncio.create_task(w) for w in (self._listen(), self._wait_for_stop(), self._wait_for_limit())]
        try:
            await asyncio.wait({main, *watchers[1:]}, return_when=asyncio.FIRST_COMPLETED)
            if main.done():
                main.result()
                return Ending(status="finished", reason="the budget is spent")
        except BudgetSpent as error:
            self._close_unfinished(str(error))
            return Ending(status="finished", reason=str(error))
        finally:
            for task in (main, *watchers):
                task.cancel()
            await asyncio.gather(main, *watchers, return_exceptions=True)
            self._store_lines()
        if room.inbox.stopped:
            return Ending(status="stopped", reason="the person stopped it; `move37 resume` goes on")
        reason = self._limit() or "a limit is reached"
        self._close_unfinished(reason)
        return Ending(status="finished", reason=reason)

    async def _whole(self) -> None:
        room, schedule = self._room, self._room.schedule
        first, rest = schedule.baseline_rungs[:1], schedule.baseline_rungs[1:]
        self.tell_budget("baselines")
        await self._baselines(first)
        self._need_a_baseline()
        everybody: list[str] = []
        for start in range(1, room.campaign.brief.budget + 1, schedule.generation):
            numbers = range(start, min(start + schedule.generation, room.campaign.brief.budget + 1))
            self.tell_budget("search")
            generation = await self._search(numbers)
            everybody += generation
            self.tell_budget("climb")
            yardstick = asyncio.ensure_future(self._baselines(rest))
            try:
                await climb.climb(room, generation, self.seat, yardstick)
                await yardstick
            finally:
                yardstick.cancel()
        for own in the_baselines(room):
            await room.sandbox.release(own.id)
        self.tell_budget("confirm")
        await climb.tune(room, everybody, self.seat)
        await climb.confirm(room, everybody, self.seat)

    # The lab's own ------------------------------------------------------------------------------------------

    async def _baselines(self, rungs: Sequence[Rung]) -> None:
        await together(*(self._baseline(n, rungs) for n in range(len(self._room.task.baselines))))

    async def _baseline(self, number: int, rungs: Sequence[Rung]) -> None:
        room = self._room
        own = room.task.baselines[number]
        experiment = room.archive.begin_experiment(
            room.campaign.id,
            number,
            Role.BASELINE,
            name=own.name,
            family=own.candidate.family,
            environment=room.environment,
        )
        table, step = self.seat(experiment)
        await cycle.baseline(table, step, own.candidate, tuple(rungs))
        room.on_event(ExperimentMoved(experiment=room.archive.experiment(experiment.id)))

    def _need_a_baseline(self) -> None:
        """Raises `BadTask` when nothing is there to compare with: the fault lies in the task, not in a candidate."""
        room = self._room
        own = the_baselines(room)
        if own and all(e.status is ExperimentStatus.FAILED for e in own):
            raise BadTask(
                f"no baseline of {room.task.name} could be measured ({own[0].reason}): mend the task and run again"
            )

    # Candidates ---------------------------------------------------------------------------------------------

    async def _search(self, numbers: Sequence[int]) -> list[str]:
        slots = asyncio.Semaphore(self._room.workers)
        return await together(*(self._candidate(number, slots) for number in numbers))

    async def _candidate(self, number: int, slots: asyncio.Semaphore) -> str:
        async with slots:
            room = self._room
            await room.inbox.while_paused()
            experiment = self._begin(number)
            table, step = self.seat(experiment)
            task = asyncio.create_task(cycle.cycle(table, step))
            self._running[experiment.id] = task
            try:
                await task
            except asyncio.CancelledError:
                if experiment.id not in self._vetoes:
                    raise
                await self._vetoed(table, step, self._vetoes[experiment.id])
            finally:
                task.cancel()
                self._running.pop(experiment.id, None)
                await room.sandbox.release(experiment.id)
            room.on_event(ExperimentMoved(experiment=room.archive.experiment(experiment.id)))
            self.tell_budget("search")
            return experiment.id

    def _begin(self, number: int) -> Experiment:
        room = self._room
        parents = draw_parents(comparable(room), metric=room.task.metric, seed=room.campaign.brief.seed, number=number)
        experiment = room.archive.begin_experiment(
            room.campaign.id,
            number,
            Role.CANDIDATE,
            parents=tuple(p.experiment for p in parents),
            environment=room.environment,
        )
        if not experiment.stages and (said := room.inbox.take_proposal()) is not None:
            self._store_lines()
            room.archive.heard(
                room.campaign.id,
                Line(
                    source=said.source,
                    to="Researcher",
                    text=said.text,
                    at=said.at,
                    person=True,
                    experiment=experiment.id,
                    stage=PROPOSAL,
                ),
            )
        room.on_event(ExperimentMoved(experiment=experiment))
        return experiment

    async def _vetoed(self, table: Table, step: Steps, reason: str) -> None:
        self._room.archive.finish_stage(
            table.id, "veto", {}, status=ExperimentStatus.REJECTED, reason=f"vetoed by the person: {reason}"
        )
        await cycle.learn(table, step)

    # Seats: everything that an experiment's conversation needs -------------------------------------------------

    def seat(self, experiment: Experiment) -> tuple[Table, Steps]:
        """The table and the durable steps of one experiment."""
        room, ident = self._room, experiment.id
        talk = Conversation(
            {m.name: self._client(m.name, m.prompt, ident) for m in MEMBERS},
            system=self._system,
            inbox=room.inbox,
            on_utterance=lambda stage, said: self._said(ident, stage, said),
            precedents=Precedents(room.memory),
            state=room.archive.team_state(ident),
        )
        proposals = tuple(line.text for line in room.archive.lines(ident) if line.person and line.stage == PROPOSAL)
        table = Table(room=room, id=ident, number=experiment.number, talk=talk, proposals=proposals)
        steps = Steps(room.archive, ident, room.on_event, team_state=lambda: talk.state, on_begin=talk.enter)
        return table, steps

    def _client(self, role: str, prompt: str, experiment: str) -> Metered:
        room = self._room

        async def before() -> None:
            await room.inbox.while_paused()
            if reason := self._limit():
                raise BudgetSpent(reason)

        def after(prompt_tokens: int, completion_tokens: int, seconds: float) -> None:
            cost = room.prices(role, prompt_tokens, completion_tokens)
            room.tally.add(prompt_tokens + completion_tokens, cost)
            call = Call(
                role=role,
                model=room.signatures[role],
                prompt_version=prompts.version(prompt),
                prompt_tokens=prompt_tokens,
                completion_tokens=completion_tokens,
                cost=cost,
                seconds=seconds,
            )
            room.archive.log_call(room.campaign.id, experiment, call)

        return Metered(room.models[role], before=before, after=after)

    def _system(self, role: str) -> str:
        task = self._room.task
        member = next(m for m in MEMBERS if m.name == role)
        direction = "higher" if task.metric.higher_is_better else "lower"
        return prompts.fill(member.prompt, contract=task.contract, metric=task.metric.name, direction=direction)

    def _said(self, experiment: str, stage: str, said: Utterance) -> None:
        room = self._room
        line = Line(
            source=said.source,
            to=said.to,
            text=said.text,
            at=said.at or now(),
            person=said.person,
            experiment=experiment,
            stage=stage,
        )
        if said.person:
            room.archive.heard(room.campaign.id, line)
        else:
            room.archive.say(room.campaign.id, line)
        room.on_event(Spoke(experiment=experiment, source=said.source, to=said.to, text=said.text))

    # Watchers -----------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Store what is typed before anybody hears it, and carry out vetoes that nobody asked for."""
        room = self._room
        while True:
            self._store_lines()
            if not room.approvals.waiting and (decision := room.inbox.take_decision()) is not None:
                if decision.kind == "veto" and self._running:
                    newest = next(reversed(self._running))
                    room.archive.say(room.campaign.id, decided(decision, newest, stage="veto"))
                    self._vetoes[newest] = decision.reason
                    self._running[newest].cancel()
                    room.on_event(Notice(text=f"{newest} is vetoed: {decision.reason}"))
                else:
                    room.on_event(Notice(text=f"Nothing waits for an answer: /{decision.kind} changes nothing."))
            await room.inbox.changed(timeout=0.5)

    def _store_lines(self) -> None:
        for said in self._room.inbox.take_unstored():
            stage = PROPOSED if said.proposal else UNHEARD
            line = Line(source=said.source or PERSON, to="all", text=said.text, at=said.at, person=True, stage=stage)
            self._room.archive.say(self._room.campaign.id, line)

    async def _wait_for_stop(self) -> None:
        while not self._room.inbox.stopped:
            await self._room.inbox.changed(timeout=1.0)

    async def _wait_for_limit(self) -> None:
        while self._room.clock.hard is None or self._room.clock.hard_left:
            await asyncio.sleep(min(1.0, self._room.clock.hard_left or 1.0))

    def _limit(self) -> str:
        room = self._room
        spent = Spent(seconds=room.clock.seconds, tokens=room.tally.tokens, cost=room.tally.cost)
        return exhausted(room.allowance, spent)

    def _close_unfinished(self, reason: str) -> None:
        """No experiment of a finished campaign stays running."""
        room = self._room
        for e in room.archive.experiments(room.campaign.id):
            if e.status is ExperimentStatus.RUNNING:
                room.archive.finish_stage(
                    e.id, "ended", {}, status=ExperimentStatus.FAILED, reason=f"not finished: {reason}"
                )

    def tell_budget(self, phase: str) -> None:
        """Show what is spent and what is left."""
        room = self._room
        candidates = [e for e in room.archive.experiments(room.campaign.id) if e.role is Role.CANDIDATE]
        room.on_event(
            BudgetMoved(
                done=sum(e.status is not ExperimentStatus.RUNNING for e in candidates),
                budget=room.campaign.brief.budget,
                seconds=room.clock.seconds,
                seconds_left=room.clock.left,
                tokens=room.tally.tokens,
                cost=room.tally.cost,
                phase=phase,
            )
        )


PROPOSAL = "proposal"  # stage of a line that hands over a hypothesis
