"""The MCP tools that only read: what is known, one experiment, the leaderboard, how the campaign stands.

Every answer holds what to do next and what is left of the budget. `tools.py` adds the actions, `declared_tools.py` says
how clients see both.
"""

from __future__ import annotations

from typing import Any

from move37.agents import kernels_card, ledger
from move37.agents.context_builder import as_known_now, beside, task_card
from move37.agents.experiment_context import baselines_of, comparable
from move37.agents.rendering import render, request
from move37.app.mcp import views
from move37.app.mcp.laboratory import Laboratory
from move37.app.mcp.refusals import PHASES, CallRefused
from move37.lab.archive import principles
from move37.lab.effects import effects_of
from move37.lab.errors import UnknownExperiment
from move37.lab.records import Experiment, ExperimentStatus
from move37.memory.errors import MemoryFault
from move37.memory.records import MEMORY_KINDS

A_WHILE = 40.0  # seconds that a tool waits for its turn by itself
LONGEST_TEXT = 8_000  # characters of one argument
CHARACTERS_A_TOKEN = 3.5


class ReadingTools:
    """What a model may read of one laboratory."""

    def __init__(self, lab: Laboratory) -> None:
        self._lab = lab

    async def brief(self) -> dict[str, Any]:
        """What is searched for, under which contract and rules."""
        context = await self._lab.ready(A_WHILE)
        task, schedule, card = context.task, context.schedule, task_card(context)
        return self._answer(
            task=task.name,
            direction=context.record.brief.text,
            contract=task.contract,
            **({"kernels": kernels_card.card()} if card.uses_kernels else {}),
            facts=dict(card.facts),
            metric=task.metric.name,
            higher_is_better=task.metric.higher_is_better,
            baselines=[b.name for b in task.baselines],
            rungs=[r.name for r in schedule.rungs],
            sandbox=context.sandbox.name,
            rules="propose, write, check, submit, wait, analyse, and again; seeds, metric and deciding text are ours",
        )

    async def context_text(self, max_tokens: int = 12_000) -> dict[str, Any]:
        """What a Researcher would read before a proposal."""
        campaign = await self._lab.ready(A_WHILE)
        turn = await self._lab.turn("Researcher", None, 3.0)  # who is asked next has the parents of the next one
        # A turn may have waited for hours; while nobody is asked, there are no parents either.
        context = as_known_now(turn.context, campaign, comparable(campaign)) if turn is not None else beside(campaign)
        budget = max(1_000, min(max_tokens, 100_000))
        rendered = render(
            context, "Researcher", budget=budget, count=lambda text: int(len(text) / CHARACTERS_A_TOKEN) + 1
        )
        ending = request(context, "Researcher")
        return self._answer(context=rendered.text.removesuffix(ending).rstrip(), left_out=rendered.left_out)

    async def recall(self, query: str, kind: str = "") -> dict[str, Any]:
        """What memory holds about something."""
        context = await self._lab.ready(A_WHILE)
        short_enough("query", query)
        if not query.strip():
            raise CallRefused("the query is empty: describe what was seen, or what you want to know")
        if kind and kind not in MEMORY_KINDS:
            raise CallRefused(f"there is no kind {kind[:60]!r}: use one of {', '.join(MEMORY_KINDS)}, or leave it out")
        try:
            found = await context.memory.recall(
                query, k=6, budget_tokens=3_000, task=context.task.name, kinds=(kind,) if kind else MEMORY_KINDS
            )
        except MemoryFault as error:
            raise CallRefused(f"memory does not answer: {error}") from error
        return self._answer(found=[views.recollection(r) for r in found])

    async def paper(self, key: str) -> dict[str, Any]:
        """Every insight of one paper, by its key as it is cited."""
        context = await self._lab.ready(A_WHILE)
        short_enough("key", key)
        found = await context.memory.paper(key.strip())
        if not found:
            raise CallRefused(f"there is no paper {key[:60]!r}: recall names their keys")
        return self._answer(key=key.strip(), title=found[0].title, insights=[views.insight(e) for e in found])

    async def read_experiment(self, experiment: str) -> dict[str, Any]:
        """One experiment or baseline, with its source."""
        await self._lab.ready(A_WHILE)
        return self._answer(**self._whole(self._experiment(experiment)))

    async def leaderboard(self, steps: int | None = None) -> dict[str, Any]:
        """Screened values, best first, at each number of steps: values at other steps do not compare."""
        context = await self._lab.ready(A_WHILE)
        boards = ledger.leaderboard(comparable(context), context.task.metric)
        if steps is not None and steps not in boards:
            known = ", ".join(str(s) for s in boards) or "nothing yet"
            raise CallRefused(f"nothing was measured at that many steps: there is {known}")
        chosen = {s: rows for s, rows in boards.items() if steps in (None, s)}
        return self._answer(
            leaderboard={str(s): [views.leaderboard_row(r) for r in rows] for s, rows in chosen.items()}
        )

    async def principles(self) -> dict[str, Any]:
        """What the laboratory holds to be so."""
        context = await self._lab.ready(A_WHILE)
        return self._answer(principles=[views.principle(p) for p in principles.standing(context.archive)])

    async def status(self) -> dict[str, Any]:
        """Everything that is needed to go on after the conversation was lost."""
        lab = self._lab
        if lab.trouble:
            return self._answer(state="trouble", why=lab.trouble, experiments=[])
        try:
            context = await lab.ready(3.0)
        except CallRefused as opening:
            return self._answer(state="opening", why=str(opening), experiments=[])
        metric = context.task.metric.name
        mine = [e for e in lab.mine() if e.hypothesis or e.status is not ExperimentStatus.RUNNING]  # else: a free place
        return self._answer(
            state=lab.phase,
            why=PHASES.get(lab.phase, lab.ended),
            campaign=context.record.id,
            task=context.task.name,
            metric=metric,
            experiments=[views.row(e, metric, needs=lab.needs(e)) for e in mine],
            baselines=[views.row(e, metric) for e in baselines_of(context)],
            ideas=[views.idea(i) for i in ledger.pool(comparable(context))],
            notices=list(lab.notices),
        )

    def refusal(self, sentence: str) -> dict[str, Any]:
        """What cannot be done, and what can."""
        return self._answer(error=sentence)

    def _answer(self, **found: Any) -> dict[str, Any]:
        asked = list(self._lab.asked().values())
        return {**found, **({"user": asked} if asked else {}), "next": self._lab.next(), "budget": self._budget()}

    def _budget(self) -> dict[str, Any]:
        lab = self._lab
        try:
            clock = lab.context.clock
        except CallRefused:
            return {}
        return {
            "proposals_left": lab.proposals_left(),
            "of": lab.context.record.brief.budget,
            "seconds_left": None if clock.hard is None else round(clock.hard_left or 0.0),
        }

    def _experiment(self, ident: str) -> Experiment:
        context = self._lab.context
        try:
            found = context.archive.experiment(str(ident))
        except UnknownExperiment:
            named = {b.name: b.id for b in baselines_of(context)}
            if ident in named:
                return context.archive.experiment(named[ident])
            known = ", ".join(e.id for e in self._lab.mine()[-8:]) or "none yet"
            raise CallRefused(f"there is no experiment {str(ident)[:60]!r}: there is {known}") from None
        return found

    def _whole(self, experiment: Experiment, *, source: bool = True) -> dict[str, Any]:
        context = self._lab.context
        return views.whole(experiment, effects_of(experiment, comparable(context), context.task.metric), source=source)


def short_enough(label: str, text: str) -> None:
    """Raises `CallRefused` where an argument is longer than any needs to be."""
    if len(text) > LONGEST_TEXT:
        raise CallRefused(f"{label} has {len(text)} characters: at most {LONGEST_TEXT}, say it shorter")
