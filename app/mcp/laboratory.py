"""The campaign behind the tools: begun or taken up again, running beside them, and told about in sentences.

`Laboratory.run` is a task of its own; it ends with the campaign. Whatever breaks it becomes `trouble`, which every tool
answers from then on: a server that dies tells a coding agent nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from move37.agents.context import CampaignContext
from move37.agents.events import BudgetUpdated, Event, Notice
from move37.agents.experiment_context import baselines_of
from move37.agents.external.turns import PendingTurns, Turn
from move37.agents.inbox import Inbox
from move37.app import wiring
from move37.app.exits import status_of
from move37.app.live_state import LiveState
from move37.app.mcp.refusals import PHASES, UPPER, WAITS, CallRefused
from move37.app.notify import Send, sender_of
from move37.app.settings import Settings
from move37.app.steering import Steering
from move37.app.views.campaign import metric_of
from move37.lab.archive.store import Archive, Campaign
from move37.lab.errors import ArchiveError
from move37.lab.parents import ALIVE
from move37.lab.records import Experiment, ExperimentStatus, Role
from move37.lab.tasks.task import Schedule

MODEL = "seat"


class Laboratory:
    """One campaign, and its turns that wait for the tools."""

    def __init__(self, settings: Settings) -> None:
        self._settings = replace(settings, models=settings.models.changed(model=MODEL))
        self.pending = PendingTurns()
        self.inbox = Inbox()
        self.notices: deque[str] = deque(maxlen=8)
        self.phase = "opening"
        self.trouble = ""  # why nothing can be done any more
        self.ended = ""  # how the campaign ended
        self._context: CampaignContext | None = None
        self._archive: Archive | None = None
        self._steering: Steering | None = None
        self._send: Send | None = None  # to the user's own place for notices
        self._open = ExitStack()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Laboratory]:
        """Run the campaign beside the block, and stop it softly when the block ends: what is finished stays."""
        self._task = asyncio.create_task(self.run())
        try:
            yield self
        finally:
            self.inbox.stop()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            if self._archive is not None:
                self._archive.close()

    async def run(self) -> None:
        """The campaign, to its end or its trouble."""
        try:
            unfinished = self._unfinished()
            wanted: dict[str, Any] = {"inbox": self.inbox, "on_event": self._event, "pending": self.pending}
            wanted |= {"on_ready": self._ready, "on_open": self._opened}
            wanted |= {"campaign": unfinished.id} if unfinished is not None else {}
            begin = wiring.run_campaign if unfinished is None else wiring.resume_campaign
            self._send = sender_of(self._settings, unfinished)
            with self._open:
                result = await begin(self._settings, **wanted)
                assert result is not None and self._steering is not None  # only a finished one is not taken up
                self.ended = result.ending.reason
                self.phase = "stopped" if result.ending.status == "stopped" else "ended"
                self._steering.ending = (result.ending.status, self.ended)
        except Exception as error:
            known = status_of(error) is not None
            self.trouble = str(error) if known else f"a fault of move37 itself ({error!r}); nothing stored is lost"
        finally:
            self.pending.notify()

    def _unfinished(self) -> Campaign | None:
        """The home's newest campaign of an external agent that can be taken up again."""
        with suppress(ArchiveError), Archive.open(self._settings.home, readonly=True) as archive:
            newest = next((c for c in reversed(archive.campaigns()) if c.brief.model == MODEL), None)
            if newest and newest.status != "finished" and newest.brief.task == self._settings.campaign.task:
                return newest
        return None

    def _ready(self, campaign: Campaign, _: Schedule) -> None:
        # Users at the page or `move37 attach` see the campaign from now on, steer it, and speak to the agent.
        home = self._settings.home
        with Archive.open(home, readonly=True) as archive:
            board = LiveState(metric_of(campaign), archive.experiments(campaign.id))
        steering = Steering(home, campaign, board, self.inbox, self._event, send=self._send, tell_lines=True)
        self._steering = self._open.enter_context(steering)

    def _opened(self, context: CampaignContext) -> None:
        # A reader of its own: what was found can still be read when the campaign has closed its archive.
        self._archive = Archive.open(self._settings.home, readonly=True)
        self._context = replace(context, archive=self._archive)
        self.pending.notify()

    def _event(self, event: Event) -> None:
        if self._steering is not None:
            self._steering.see(event)
        if isinstance(event, Notice):
            self.notices.append(event.text)
        if isinstance(event, BudgetUpdated):
            self.phase = event.phase
        self.pending.notify()

    # What tools ask ---------------------------------------------------------------------------------------------

    @property
    def context(self) -> CampaignContext:
        """The campaign's surroundings. Raises `CallRefused` while there are none."""
        self.check()
        if self._context is None:
            raise CallRefused("the laboratory is still opening (sandbox, papers): call status() again in a few seconds")
        return self._context

    def check(self) -> None:
        """Raises `CallRefused` when the campaign cannot go on."""
        if self.trouble:
            raise CallRefused(f"the laboratory cannot work: {self.trouble}")

    def going_on(self) -> None:
        """Raises `CallRefused` when nothing more can be tried."""
        self.check()
        if self.inbox.stopped:
            raise CallRefused("the campaign was stopped: start `move37 mcp` again in this home to go on with it")
        if self.ended:
            raise CallRefused(f"the campaign has ended ({self.ended}): start `move37 mcp` again for another one")

    async def ready(self, seconds: float) -> CampaignContext:
        """The surroundings, waited for; as `context`."""
        await self.until(lambda: self._context is not None or bool(self.trouble), seconds)
        return self.context

    async def until(self, found: object, seconds: float) -> bool:
        """Wait until `found()` holds, or so many seconds."""
        end = asyncio.get_running_loop().time() + seconds
        while not found():  # type: ignore[operator]
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            await self.pending.changed(min(left, 1.0))
        return True

    async def turn(
        self, role: str, experiment: str | None, seconds: float, *, vain: Callable[[], object] = lambda: None
    ) -> Turn | None:
        """A waiting turn, waited for until waiting is in `vain`."""
        await self.until(lambda: self.pending.find(role, experiment) or self.trouble or self.ended or vain(), seconds)
        self.check()
        return self.pending.find(role, experiment)

    def mine(self) -> list[Experiment]:
        """The campaign's candidates, in order."""
        context = self.context
        found = context.archive.experiments(context.record.id)
        return [e for e in found if e.role is Role.CANDIDATE]

    def needs(self, experiment: Experiment) -> str:
        """Which tool an experiment waits for; "" while the lab works on it, or when it has ended."""
        for role, tool in (("Researcher", "propose"), ("Engineer", "submit"), ("Analyst", "analyse")):
            if self.pending.find(role, experiment.id) is not None:
                return tool
        return ""

    def at_work(self, experiment: Experiment) -> bool:
        """Whether the lab is busy with it and asks nobody outside: a baseline until measured, others until analysed."""
        if experiment.campaign != self.context.record.id or self.ended or self.needs(experiment):
            return False
        if experiment.role is Role.BASELINE:
            return experiment.status is ExperimentStatus.RUNNING
        return experiment.analysis is None

    def may_move(self, experiment: Experiment) -> bool:
        """Whether its numbers or state may still change without anybody outside: at work, or going up a rung."""
        climbs = self.phase in UPPER and not self.ended and experiment.status in ALIVE
        return self.at_work(experiment) or (climbs and experiment.campaign == self.context.record.id)

    def asked(self) -> dict[str, str]:
        """What waits for the user's word, and has none on its way: experiment -> a sentence."""
        waiting = self._context.approvals.waiting if self._context is not None else ()
        return {r.experiment: WAITS.format(r) for r in waiting if self.inbox.on_its_way(r.experiment) is None}

    def _owed(self, mine: Sequence[Experiment]) -> dict[str, list[str]]:
        """What waits for somebody outside: tool -> experiments, oldest first; proposals that may be made left out."""
        found: dict[str, list[str]] = {"analyse": [], "submit": []}
        for e in mine:
            if (tool := self.needs(e)) in found:
                found[tool].append(e.id)
        return found

    def is_held_up(self) -> bool:
        """Whether nothing goes on until somebody outside acts: all that was begun waits for a file, an analysis or the
        user's word.
        """
        mine, asked = self.mine(), self.asked()
        return bool(asked or any(self._owed(mine).values())) and all(e.id in asked or not self.at_work(e) for e in mine)

    def proposals_left(self) -> int:
        """Hypotheses that the budget has left."""
        begun = sum(e.hypothesis is not None or e.status is not ExperimentStatus.RUNNING for e in self.mine())
        return max(0, self.context.record.brief.budget - begun)

    def next(self) -> list[str]:
        """What may be done now, the most useful first."""
        if self.trouble or self.ended or self.inbox.stopped or self._context is None:
            return ["status()"]
        mine = self.mine()
        owed = self._owed(mine)
        actions = [f"analyse(experiment={i!r}, ...)" for i in owed["analyse"]]
        actions += [f"submit(proposal={i!r}, source=...)" for i in owed["submit"]]
        actions += ["check(source=...)"] if owed["submit"] else []
        actions += ["propose(...)"] if self.pending.find("Researcher") else []
        actions += [f"wait(experiment={e.id!r}, seconds=45)" for e in mine if e.hypothesis and self.at_work(e)]
        return actions or [self._pause(mine)]

    def _pause(self, mine: Sequence[Experiment]) -> str:
        """What passes the time while nothing is asked of anybody outside: who has no clock would only ask and ask."""
        known = (*(e for e in mine if e.hypothesis), *baselines_of(self.context))
        moving = next((e for e in known if self.may_move(e)), None)
        return f"wait(experiment={moving.id!r}, seconds=45)" if moving is not None else "status()"

    def why_not(self, tool: str) -> str:
        """Why there is no turn for `tool` now, and what to do."""
        self.going_on()
        if self.phase != "search":
            return f"{PHASES.get(self.phase, self.phase)}: {tool} is not asked for now, call {self.next()[0]}"
        mine = self.mine()
        waits = [f"{e.id} waits for {self.needs(e)}" for e in mine if self.needs(e)]
        busy = [self.asked().get(e.id, f"{e.id} is being tried") for e in mine if self.at_work(e)]
        held = "; ".join([*waits, *busy]) or "the lab is at work"
        if tool == "propose" and not self.proposals_left():
            return f"every proposal of the budget is made ({held}): call {self.next()[0]}"
        return f"no place is free for {tool} ({held}): call {self.next()[0]} first"
