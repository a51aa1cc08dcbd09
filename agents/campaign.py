"""Cycles until the budget ends: the campaign. Resume runs the same code; finished steps are read from the archive.

Read `run` first (the order of the phases), then `_search` (candidates, several at once), then the watchers that let a
user or a limit end it at any moment. One experiment: cycle.py; what it starts with: open_experiment.py; the upper
rungs: promotion.py; claims for candidates that beat their rivals there: campaign_claims.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from move37.agents import bookkeeping, campaign_claims, cycle, promotion, reflection, sharing, time_left
from move37.agents.approval import decided
from move37.agents.budget import exhausted
from move37.agents.context import CampaignContext
from move37.agents.directions import from_facts
from move37.agents.errors import BudgetSpent
from move37.agents.events import ExperimentUpdated, Notice
from move37.agents.experiment_context import ExperimentContext, baselines_of
from move37.agents.extending import extend
from move37.agents.gather import gather
from move37.agents.inbox import Decision
from move37.agents.open_experiment import begin, open_experiment
from move37.agents.steps import Steps
from move37.lab.archive.message import PROPOSED, UNHEARD
from move37.lab.errors import ArchiveError
from move37.lab.records import Experiment, ExperimentStatus, Role
from move37.lab.tasks.task import Rung

log = structlog.get_logger()
VETO = "veto"  # stage: the user ended the experiment
STORE_EVERY = 30.0  # seconds of the clock that a kill may cost while no stage ends


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignResult:
    """How a session ended."""

    status: str  # finished or stopped
    reason: str  # one sentence


async def run(campaign: CampaignContext) -> CampaignResult:
    """Run (or resume) the campaign to its end. Raises what broke, after everything finished is stored.

    A limit of the brief ends it as finished; a user's stop leaves it resumable.
    """
    session = _Campaign(campaign)
    try:
        ending = await session.run()
    except BaseException:
        with suppress(ArchiveError):  # what broke may be the archive itself
            bookkeeping.store_seconds(campaign)
        raise
    campaign.archive.update_campaign(campaign.record.id, status=ending.status, seconds=campaign.clock.seconds)
    campaign_claims.tell_open(campaign, ending.status)
    bookkeeping.tell_budget(campaign, "done")
    log.info("campaign_ended", campaign=campaign.record.id, status=ending.status, reason=ending.reason)
    return ending


class _Campaign:
    def __init__(self, campaign: CampaignContext) -> None:
        self._context = campaign
        self._running: dict[str, asyncio.Task[None]] = {}  # candidates in their cycle, oldest first
        self._stored_at = campaign.clock.seconds
        self._directions = from_facts(campaign.record.facts)
        self._phase = ""
        self._walked: set[int] = set()  # numbers of candidates that this session began or took up again
        self._granted = asyncio.Event()  # the user changed a limit
        self._early: list[str] = []  # candidates screened during a promotion: they are in the next one
        self._hurried = False  # the user was told that the time left is kept for the best so far

    async def run(self) -> CampaignResult:
        campaign = self._context
        for line in campaign.archive.lines(campaign=campaign.record.id):
            if line.stage in (UNHEARD, PROPOSED):
                campaign.inbox.put_back(line)
        campaign.inbox.put_back_directions(self._directions)
        bookkeeping.reopen_unfinished(campaign)
        main = asyncio.create_task(self._whole())
        watchers = [asyncio.create_task(w) for w in (self._listen(), self._wait_for_stop(), self._wait_for_limit())]
        try:
            await asyncio.wait({main, *watchers[1:]}, return_when=asyncio.FIRST_COMPLETED)
            if main.done() and not main.cancelled():
                main.result()
                return CampaignResult(status="finished", reason=self._limit() or "the budget is spent")
        except BudgetSpent as error:
            bookkeeping.close_unfinished(campaign, str(error))
            return CampaignResult(status="finished", reason=str(error))
        finally:
            for task in (main, *watchers):
                task.cancel()
            await asyncio.gather(main, *watchers, return_exceptions=True)
            self._store_lines()
            self._store_directions()
        if campaign.inbox.stopped:
            return CampaignResult(status="stopped", reason="the user stopped it; `move37 resume` goes on")
        reason = self._limit() or "a limit is reached"
        bookkeeping.close_unfinished(campaign, reason)
        return CampaignResult(status="finished", reason=reason)

    async def _whole(self) -> None:
        campaign, schedule = self._context, self._context.schedule
        self._enter("baselines")
        await self._baselines(schedule.baseline_rungs[:1])
        bookkeeping.need_a_baseline(campaign)
        everybody: list[str] = []
        numbers = list(range(1, min(schedule.generation, campaign.record.brief.budget) + 1))
        while numbers:  # again, where a limit was raised while the last ones were confirmed
            while numbers or self._early:
                everybody += await self._generation(numbers)
                numbers = self._open_numbers(schedule.generation)
            for own in baselines_of(campaign):
                await campaign.sandbox.release(own.id)
            self._enter("confirm")
            for work in (promotion.tune, promotion.screen_again, promotion.confirm):
                await work(campaign, everybody, self._open)
            await campaign_claims.confirm_standing(campaign, self._open, self._limit)
            numbers = self._open_numbers(schedule.generation)

    def _open_numbers(self, most: int) -> list[int]:
        """Numbers of the next candidates; none while a limit is reached or the time left is kept for the best."""
        campaign = self._context
        self._hear_budget()
        found = [n for n in range(1, campaign.record.brief.budget + 1) if n not in self._walked]
        if found and (self._limit() or self._time_is_for_the_best()):
            found = [n for n in found if bookkeeping.begun(campaign, n)]
        return found[:most]

    def _hear_budget(self) -> None:
        """Apply limits that the user changed; after that candidates may begin, and what a limit closed goes on."""
        if extend(self._context):
            self._granted.set()
            self._hurried = False
            self._walked -= set() if self._limit() else bookkeeping.reopen_unfinished(self._context)
            bookkeeping.tell_budget(self._context, self._phase)

    async def _generation(self, numbers: Sequence[int]) -> list[str]:
        """Screen candidates concurrently, then promote the best; ids of all that were screened before the promotion.

        Candidates that a raised limit allows meanwhile are screened beside the promotion and are in the next one.
        """
        rest = set(range(1, self._context.record.brief.budget + 1)) - self._walked - set(numbers)
        self._enter("search")
        generation, self._early = self._early, []
        generation += await self._search(numbers)
        self._enter("climb")
        climb = asyncio.ensure_future(self._climb(generation))
        try:
            while not climb.done() and not rest:  # else the rest waits for what this promotion teaches
                self._granted.clear()
                self._early += await self._search(self._open_numbers(self._context.schedule.generation))
                heard = asyncio.ensure_future(self._granted.wait())
                await asyncio.wait({climb, heard}, return_when=asyncio.FIRST_COMPLETED)
                heard.cancel()
            await climb
        finally:
            climb.cancel()
        await reflection.reflect(self._context, generation, self._limit)
        return generation

    async def _climb(self, generation: Sequence[str]) -> None:
        campaign = self._context
        probed = time_left.holds_probes(campaign, generation)
        own, theirs = (
            promotion.above_screen(rungs, probed=probed)
            for rungs in (campaign.schedule.baseline_rungs, campaign.schedule.rungs)
        )
        baselines_done = asyncio.ensure_future(self._baselines_climb(own))
        try:
            await promotion.promote(campaign, generation, theirs, self._open, baselines_done)
            await baselines_done
        finally:
            baselines_done.cancel()

    def _enter(self, phase: str) -> None:
        self._phase = phase
        bookkeeping.tell_budget(self._context, phase)

    # The lab's own ------------------------------------------------------------------------------------------

    async def _baselines(self, rungs: Sequence[Rung], names: Collection[str] | None = None) -> None:
        own = enumerate(self._context.task.baselines)
        await gather(*(self._baseline(n, rungs) for n, b in own if names is None or b.name in names))

    async def _baselines_climb(self, rungs: Sequence[Rung]) -> None:
        """Successive halving of the baselines: one that is far behind at a fifth of the steps is no rival."""
        last = self._context.schedule.baseline_rungs[0]
        for rung in rungs:
            await self._baselines((rung,), promotion.kept_baselines(self._context, last))
            last = rung if rung.steps else last

    async def _baseline(self, number: int, rungs: Sequence[Rung]) -> None:
        campaign = self._context
        own = campaign.task.baselines[number]
        experiment = campaign.archive.begin_experiment(
            campaign.record.id,
            number,
            Role.BASELINE,
            name=own.name,
            family=own.candidate.family,
            environment=campaign.environment,
        )
        sharing.share(campaign, experiment, own)
        ctx, step = self._open(experiment)
        await cycle.baseline(ctx, step, own.candidate, tuple(rungs))
        campaign.on_event(ExperimentUpdated(experiment=campaign.archive.experiment(experiment.id)))

    # Candidates ---------------------------------------------------------------------------------------------

    async def _search(self, numbers: Sequence[int]) -> list[str]:
        # Gates and trainings have slots of their own (`workers`): who talks holds none of them.
        slots = asyncio.Semaphore(self._context.places or self._context.workers)
        midway = reflection.Midway(self._context, numbers, self._limit)

        async def tried(number: int) -> str:
            async with slots:
                if ident := await self._candidate(number):
                    await midway.ended(ident)  # before its slot is free: the next one reads the revision
            return ident

        return [ident for ident in await gather(*(tried(n) for n in numbers)) if ident]

    async def _candidate(self, number: int) -> str:
        campaign = self._context
        await campaign.inbox.while_paused()
        if not bookkeeping.begun(campaign, number) and (
            self._limit() or number > campaign.record.brief.budget or self._time_is_for_the_best()
        ):
            return ""  # no new candidate; those that were begun go on
        self._walked.add(number)
        self._store_lines()
        experiment = begin(campaign, number)
        ctx, step = self._open(experiment)
        try:
            through = self._is_vetoed(experiment.id) or await self._walk(ctx, step)
            if self._is_vetoed(experiment.id):  # now, or in an earlier session: it is explained, and no more
                await cycle.learn(ctx, step)
        finally:
            await campaign.sandbox.release(experiment.id)
        campaign.on_event(ExperimentUpdated(experiment=campaign.archive.experiment(experiment.id)))
        bookkeeping.tell_budget(campaign, "search")
        return experiment.id if through else ""  # who is closed may be walked again

    def _time_is_for_the_best(self) -> bool:
        campaign = self._context
        tried = sum(e.role is Role.CANDIDATE for e in campaign.archive.experiments(campaign.record.id))
        if not self._hurried:
            if tried < (campaign.schedule.rungs[0].keep or 1) or time_left.another_candidate(campaign):
                return False
            self._hurried = True
            begun_so_far = "1 candidate is" if tried == 1 else f"{tried} candidates are"
            campaign.on_event(Notice(text=f"{begun_so_far} tried; {time_left.SPOKEN_FOR}"))
        return True

    async def _walk(self, ctx: ExperimentContext, step: Steps) -> bool:
        """The cycle to its end, or until the user's veto cancels it; False: a limit was spent before."""
        task = self._running[ctx.id] = asyncio.create_task(cycle.cycle(ctx, step))
        try:
            await task
        except BudgetSpent as error:
            bookkeeping.close(self._context, ctx.id, str(error))
            return False
        except asyncio.CancelledError:
            mine = asyncio.current_task()
            if not self._is_vetoed(ctx.id) or (mine is not None and mine.cancelling()):
                raise
        finally:
            task.cancel()
            self._running.pop(ctx.id, None)
        return True

    def _is_vetoed(self, ident: str) -> bool:
        return self._context.archive.stage(ident, VETO) is not None

    def _open(self, experiment: Experiment) -> tuple[ExperimentContext, Steps]:
        """The conversation and the durable steps of one experiment."""
        return open_experiment(self._context, experiment, self._limit)

    # Watchers -----------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Store typed lines before an agent reads them, and carry out vetoes that answer no request."""
        campaign = self._context
        while True:
            self._store_lines()
            self._store_directions()
            self._hear_budget()
            self._store_seconds()
            if (decision := campaign.inbox.take_decision(self._unasked)) is not None:
                self._carry_out(decision)
            await campaign.inbox.changed(timeout=0.5)

    def _unasked(self, decision: Decision) -> bool:
        """Whether it answers no open request."""
        waiting = [request.experiment for request in self._context.approvals.waiting]
        return decision.experiment not in waiting if decision.experiment else not waiting

    def _carry_out(self, decision: Decision) -> None:
        campaign = self._context
        chosen = decision.experiment or next(reversed(self._running), "")
        if decision.kind == "veto" and chosen in self._running:
            reason = f"vetoed by the user: {decision.reason}"
            campaign.archive.say(campaign.record.id, decided(decision, chosen, stage=VETO))
            campaign.archive.finish_stage(chosen, VETO, {}, status=ExperimentStatus.REJECTED, reason=reason)
            self._running[chosen].cancel()
            campaign.on_event(Notice(text=f"{chosen} is vetoed: {decision.reason}"))
        else:
            what = f"{decision.experiment} does not wait" if decision.experiment else "Nothing waits"
            campaign.on_event(Notice(text=f"{what} for an answer: /{decision.kind} changes nothing."))

    def _store_seconds(self) -> None:
        """Also between stages: somebody outside may take hours for one."""
        if (now := self._context.clock.seconds) - self._stored_at >= STORE_EVERY:
            self._stored_at = now
            with suppress(ArchiveError):  # the next stage will say that nothing can be written
                bookkeeping.store_seconds(self._context)

    def _store_directions(self) -> None:
        campaign = self._context
        if campaign.inbox.directions != self._directions:
            self._directions = campaign.inbox.directions
            campaign.archive.update_campaign(campaign.record.id, directions=self._directions)

    def _store_lines(self) -> None:
        for said in self._context.inbox.take_unstored():
            self._context.archive.say(self._context.record.id, said)

    async def _wait_for_stop(self) -> None:
        while not self._context.inbox.stopped:
            await self._context.inbox.changed(timeout=1.0)

    async def _wait_for_limit(self) -> None:
        while self._context.clock.hard is None or self._context.clock.hard_left:
            await asyncio.sleep(min(1.0, self._context.clock.hard_left or 1.0))

    def _limit(self) -> str:
        return exhausted(self._context.budget, bookkeeping.spent_of(self._context))
