"""The actions of a coding agent, as plain methods: each answers a turn of the campaign or reads its archive.

Every answer holds `next` (what may be done now) and `budget`. What cannot be done, or was asked for in a wrong form,
raises `CallRefused` with a sentence.
"""

from __future__ import annotations

import itertools
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from move37.agents import execution, ledger
from move37.agents.edits import EditRefused, written
from move37.agents.experiment_context import baselines_of, comparable
from move37.agents.messages import Precedents
from move37.agents.rendering import render, request
from move37.agents.replies import Code, Proposal, Proposals, Report
from move37.agents.seat.desk import Turn
from move37.app.mcp import views
from move37.app.mcp.laboratory import PHASES, CallRefused, Laboratory
from move37.lab.archive import principles
from move37.lab.effects import effects_of
from move37.lab.errors import UnknownExperiment
from move37.lab.records import Candidate, Experiment, ExperimentStatus
from move37.memory.errors import MemoryFault
from move37.memory.records import MEMORY_KINDS

LONGEST_WAIT = 45.0  # seconds: clients give up on a tool after a minute
A_WHILE = 40.0  # seconds that a tool waits for its turn by itself
LONGEST_TEXT = 8_000  # characters of one argument
LONGEST_SOURCE = 120_000
CHARACTERS_A_TOKEN = 3.5


class Tools:
    """The actions on one laboratory."""

    def __init__(self, lab: Laboratory) -> None:
        self._lab = lab
        self._checks = itertools.count(1)

    # Reading --------------------------------------------------------------------------------------------------

    async def brief(self) -> dict[str, Any]:
        """What is searched for, under which contract and rules."""
        context = await self._lab.ready(A_WHILE)
        task, schedule = context.task, context.schedule
        return self._answer(
            task=task.name,
            direction=context.record.brief.text,
            contract=task.contract,
            facts=dict(task.facts),
            metric=task.metric.name,
            higher_is_better=task.metric.higher_is_better,
            baselines=[b.name for b in task.baselines],
            rungs=[r.name for r in schedule.rungs],
            sandbox=context.sandbox.name,
            rules="propose, write, check, submit, wait, analyse, and again; seeds, metric and deciding text are ours",
        )

    async def context_text(self, max_tokens: int = 12_000) -> dict[str, Any]:
        """What a Researcher would read before a proposal."""
        await self._lab.ready(A_WHILE)
        turn = await self._lab.turn("Researcher", None, 3.0)  # whose context holds what was just analysed
        context = turn.context if turn is not None else self._lab.desk.context
        if context is None:
            raise CallRefused(self._lab.why_not("context"))
        budget = max(1_000, min(max_tokens, 100_000))
        rendered = render(
            context, "Researcher", budget=budget, count=lambda text: int(len(text) / CHARACTERS_A_TOKEN) + 1
        )
        ending = request(context, "Researcher")
        return self._answer(context=rendered.text.removesuffix(ending).rstrip(), left_out=rendered.left_out)

    async def recall(self, query: str, kind: str = "") -> dict[str, Any]:
        """What memory holds about something."""
        context = await self._lab.ready(A_WHILE)
        _short("query", query)
        if kind and kind not in MEMORY_KINDS:
            raise CallRefused(f"there is no kind {kind!r}: use one of {', '.join(MEMORY_KINDS)}, or leave it out")
        try:
            found = await context.memory.recall(
                query, k=6, budget_tokens=3_000, task=context.task.name, kinds=(kind,) if kind else MEMORY_KINDS
            )
        except MemoryFault as error:
            raise CallRefused(f"memory does not answer: {error}") from error
        return self._answer(found=[views.recollection(r) for r in found])

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
            raise CallRefused(f"nothing was measured at {steps} steps: there is {known}")
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
        mine, metric = lab.mine(), context.task.metric.name
        return self._answer(
            state="ended" if lab.ended else lab.phase or "opening",
            why=lab.ended or PHASES.get(lab.phase, ""),
            campaign=context.record.id,
            task=context.task.name,
            metric=metric,
            experiments=[views.row(e, metric, needs=lab.needs(e)) for e in mine],
            baselines=[views.row(e, metric) for e in baselines_of(context)],
            ideas=[views.idea(i) for i in ledger.pool(comparable(context))],
            notices=list(lab.notices),
        )

    # Acting ---------------------------------------------------------------------------------------------------

    async def propose(
        self, name: str, base: str, motivation: str, change: str, predicted_effect: str
    ) -> dict[str, Any]:
        """A hypothesis; the next experiment is its own."""
        for label, text in (("name", name), ("motivation", motivation), ("change", change)):
            _short(label, text)
        _short("predicted_effect", predicted_effect)
        await self._lab.ready(A_WHILE)
        self._lab.going_on()
        turn = await self._lab.turn("Researcher", None, A_WHILE)
        if turn is None:
            raise CallRefused(self._lab.why_not("propose"))
        known = self._bases(turn)
        if base not in known:
            raise CallRefused(f"there is no base {base!r}: name one of {', '.join(sorted(known)[:20])}")
        family = self._experiment(known[base]).family
        proposal = _form(
            Proposal,
            name=name,
            base=base,
            family=family or "other",
            motivation=motivation,
            change=change,
            predicted_effect=predicted_effect if len(predicted_effect) >= 5 else f"effect {predicted_effect}",
            probe=self._lab.context.task.metric.name,
            risk="not said",
        )
        self._put(turn, Proposals(ideas=[proposal]))
        await self._negotiated(turn)
        again = self._lab.desk.find("Researcher", turn.experiment)
        if again is not None and (
            problems := [p for m in again.heard if isinstance(m, Precedents) for p in m.problems]
        ):
            raise CallRefused(f"the lab cannot judge it: {problems[-1]}; propose again")
        proposed = self._experiment(turn.experiment)
        if proposed.status is not ExperimentStatus.RUNNING:
            raise CallRefused(f"{proposed.id} ended as {proposed.status.value}: {proposed.reason}; analyse it")
        return self._answer(proposal=turn.experiment)

    async def check(self, source: str) -> dict[str, Any]:
        """Every gate on a file, in the sandbox, before it counts."""
        context = await self._lab.ready(A_WHILE)
        self._lab.going_on()
        candidate = Candidate(source=_file(source), author=MODEL_AUTHOR)
        trust = f"mcp-check-{next(self._checks)}"
        try:
            async with context.bench:
                checked = await context.task.check(
                    candidate, trust=trust, sandbox=context.sandbox, known=execution.fingerprints(context, "")
                )
        finally:
            await context.sandbox.release(trust)
        return self._answer(passed=checked.passed, gates=[views.gate(g) for g in checked.results])

    async def submit(self, proposal: str, source: str) -> dict[str, Any]:
        """The file of a proposal; gates and training follow by themselves."""
        text = _file(source)
        await self._lab.ready(A_WHILE)
        self._lab.going_on()
        if (why := self._unsubmittable(proposal)) or (
            turn := await self._lab.turn("Engineer", proposal, A_WHILE)
        ) is None:
            raise CallRefused(why or self._unsubmittable(proposal) or self._lab.why_not("submit"))
        self._put(turn, Code(source=text))
        await self._stored(turn, "candidate")
        return self._answer(experiment=turn.experiment)

    async def wait(self, experiment: str, seconds: float = LONGEST_WAIT) -> dict[str, Any]:
        """Until an experiment has ended or needs its author, or so many seconds."""
        await self._lab.ready(A_WHILE)
        self._experiment(experiment)
        lab = self._lab

        def over() -> bool:
            return not lab.at_work(self._experiment(experiment)) or bool(lab.trouble or lab.ended)

        await lab.until(over, max(0.0, min(float(seconds), LONGEST_WAIT)))
        lab.check()
        found = self._experiment(experiment)
        return self._answer(**{"needs": lab.needs(found)} | self._whole(found, source=False))

    async def analyse(self, experiment: str, expected: str, seen: str, why: str, next: str) -> dict[str, Any]:
        """What an experiment taught; goes into memory, and every later context."""
        texts = {"expected": expected, "seen": seen, "why": why, "next": next}
        for label, text in texts.items():
            _short(label, text)
        await self._lab.ready(A_WHILE)
        found = self._experiment(experiment)
        turn = await self._lab.turn("Analyst", experiment, 5.0)
        if turn is None:
            if found.analysis is not None:
                raise CallRefused(f"{experiment} has its analysis already; propose the next one")
            needs = self._lab.needs(found)
            raise CallRefused(f"{experiment} {f'needs {needs} first' if needs else 'is not ready yet: wait for it'}")
        self._put(turn, _form(Report, **texts))
        await self._stored(turn, "analysis")
        return self._answer(experiment=experiment)

    async def stop(self) -> dict[str, Any]:
        """End the campaign softly; it can be taken up again."""
        self._lab.inbox.stop()
        return self._answer(stopped=True, why="what is finished is kept; the next session goes on")

    # What they share --------------------------------------------------------------------------------------------

    def refusal(self, sentence: str) -> dict[str, Any]:
        """What cannot be done, and what can."""
        return self._answer(error=sentence)

    def _answer(self, **found: Any) -> dict[str, Any]:
        return {**found, "next": self._lab.next(), "budget": self._budget()}

    def _budget(self) -> dict[str, Any]:
        lab = self._lab
        if lab.trouble or not lab.is_open:
            return {}
        mine, clock = lab.mine(), lab.context.clock
        begun = sum(bool(e.hypothesis) for e in mine)
        return {
            "proposals_left": max(0, lab.context.record.brief.budget - begun),
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

    def _bases(self, turn: Turn) -> dict[str, str]:
        everybody = comparable(self._lab.context)
        return dict(turn.context.known_bases) | {
            e.id: e.id for e in everybody if e.candidate is not None and e.id != turn.experiment
        }

    def _whole(self, experiment: Experiment, *, source: bool = True) -> dict[str, Any]:
        context = self._lab.context
        return views.whole(experiment, effects_of(experiment, comparable(context), context.task.metric), source=source)

    def _unsubmittable(self, proposal: str) -> str:
        """Why a proposal takes no file; "" when it does, or will."""
        found = next((e for e in self._lab.mine() if e.id == proposal), None)
        if found is None or found.hypothesis is None:
            return f"there is no proposal {str(proposal)[:60]!r}: call propose first, then submit under its id"
        if found.candidate is not None:
            return f"{proposal} was submitted already: wait for it, or propose the next one"
        if found.status is not ExperimentStatus.RUNNING:
            return f"{proposal} takes no file any more ({found.reason or found.status.value}): propose the next one"
        return ""

    def _put(self, turn: Turn, reply: BaseModel) -> None:
        if not self._lab.desk.put(turn, reply):
            raise CallRefused("another client was quicker: call status() to see what is free")

    async def _negotiated(self, turn: Turn) -> None:
        """Until a proposal is stored, or sent back."""

        def done() -> bool:
            desk, e = self._lab.desk, self._experiment(turn.experiment)
            asked = desk.find("Engineer", turn.experiment) or desk.find("Researcher", turn.experiment)
            return asked is not None or self._over(e)

        await self._lab.until(done, A_WHILE)

    async def _stored(self, turn: Turn, what: str) -> None:
        """Until an answer is in the archive: then nothing is lost, whoever is cut off."""

        def done() -> bool:
            e = self._experiment(turn.experiment)
            return getattr(e, what) is not None or (what != "analysis" and self._over(e))

        await self._lab.until(done, A_WHILE)

    def _over(self, experiment: Experiment) -> bool:
        return experiment.status is not ExperimentStatus.RUNNING or bool(self._lab.trouble or self._lab.ended)


F = TypeVar("F", bound=BaseModel)
MODEL_AUTHOR = "an outsider"


def _file(source: str) -> str:
    if len(source) > LONGEST_SOURCE:
        raise CallRefused(f"the file has {len(source)} characters: a candidate has at most {LONGEST_SOURCE}")
    try:
        return written(source, (), "")
    except EditRefused as error:
        raise CallRefused(str(error)) from error


def _short(label: str, text: str) -> None:
    if len(text) > LONGEST_TEXT:
        raise CallRefused(f"{label} has {len(text)} characters: at most {LONGEST_TEXT}, say it shorter")


def _form(form: type[F], **values: Any) -> F:
    try:
        return form.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise CallRefused(
            f"{'.'.join(str(p) for p in first['loc'])}: {first['msg'][:1].lower()}{first['msg'][1:]}"
        ) from error
