"""The actions of a coding agent, as plain methods: each answers a turn of the campaign (`reading.py`: what only reads).

Every answer holds `next` (what may be done now) and `budget`. What cannot be done, or was asked for in a wrong form,
raises `CallRefused` with a sentence.
"""

from __future__ import annotations

import itertools
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from move37.agents import execution, precedents
from move37.agents.edits import EditRefused, written
from move37.agents.experiment_context import comparable
from move37.agents.external.turns import Turn
from move37.agents.messages import Precedents
from move37.agents.replies import Code, Prediction, Proposal, Proposals, Report
from move37.app.mcp import views
from move37.app.mcp.laboratory import Laboratory
from move37.app.mcp.reading import A_WHILE, ReadingTools, short_enough
from move37.app.mcp.refusals import CallRefused
from move37.lab.records import Candidate, Experiment, ExperimentStatus, Role

LONGEST_WAIT = 45.0  # seconds: clients give up on a tool after a minute
SOON = 3.0  # seconds in which a place that is about to be free is free
LONGEST_SOURCE = 120_000


class Tools(ReadingTools):
    """Reading, and the actions."""

    def __init__(self, lab: Laboratory) -> None:
        super().__init__(lab)
        self._checks = itertools.count(1)

    async def propose(
        self, name: str, base: str, motivation: str, change: str, predicted_effect: str
    ) -> dict[str, Any]:
        """A hypothesis; the next experiment is its own."""
        for label, text in (("name", name), ("motivation", motivation), ("change", change)):
            short_enough(label, text)
        short_enough("predicted_effect", predicted_effect)
        await self._lab.ready(A_WHILE)
        self._lab.going_on()
        vain = self._lab.is_held_up() or not self._lab.proposals_left()
        turn = await self._lab.turn(
            "Researcher", None, SOON if vain else A_WHILE, vain=lambda: not self._lab.proposals_left()
        )
        if turn is None:
            raise CallRefused(self._lab.why_not("propose"))
        everybody = [e for e in comparable(self._lab.context) if e.id != turn.experiment]
        if why := precedents.unfit(base, everybody):
            raise CallRefused(why)
        family = self._experiment(precedents.resolved(everybody)[base]).family
        proposal = _form(
            Proposal,
            name=name,
            base=base,
            family=family or "other",
            motivation=motivation,
            change=change,
            predicted_effect=predicted_effect if len(predicted_effect) >= 5 else f"effect {predicted_effect}",
            prediction=(expected := predicted(predicted_effect)),
            probe=self._lab.context.task.metric.name,
            risk="not said",
        )
        self._put(turn, Proposals(ideas=[proposal]))
        await self._negotiated(turn)
        again = self._lab.pending.find("Researcher", turn.experiment)
        if again is not None and (
            problems := [p for m in again.heard if isinstance(m, Precedents) for p in m.problems]
        ):
            raise CallRefused(f"the lab cannot judge it: {problems[-1]}; propose again")
        proposed = self._experiment(turn.experiment)
        if proposed.status is not ExperimentStatus.RUNNING:
            raise CallRefused(f"{proposed.id} ended as {proposed.status.value}: {proposed.reason}; analyse it")
        return self._answer(proposal=turn.experiment, **_scored(expected))

    async def check(self, source: str) -> dict[str, Any]:
        """Every gate on a file, in the sandbox, before it counts."""
        context = await self._lab.ready(A_WHILE)
        self._lab.going_on()
        candidate = Candidate(source=_file(source), author=MODEL_AUTHOR)
        trust = f"mcp-check-{next(self._checks)}"
        try:
            async with context.job_slots:
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
            turn := await self._lab.turn("Engineer", proposal, A_WHILE, vain=lambda: self._unsubmittable(proposal))
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
            return not lab.may_move(self._experiment(experiment)) or bool(lab.trouble or lab.ended)

        await lab.until(over, max(0.0, min(float(seconds), LONGEST_WAIT)))
        lab.check()
        found = self._experiment(experiment)
        return self._answer(**{"needs": lab.needs(found)} | self._whole(found, source=False))

    async def analyse(self, experiment: str, expected: str, seen: str, why: str, next: str) -> dict[str, Any]:
        """What an experiment taught; goes into memory, and every later context."""
        texts = {"expected": expected, "seen": seen, "why": why, "next": next}
        for label, text in texts.items():
            short_enough(label, text)
            if not text.strip():
                raise CallRefused(f"{label} is empty: an analysis is made once, and everybody after you reads it")
        await self._lab.ready(A_WHILE)
        self._lab.going_on()
        found = self._experiment(experiment)
        if (why := self._unanalysable(found)) or (turn := await self._lab.turn("Analyst", found.id, 5.0)) is None:
            again = self._experiment(found.id)
            raise CallRefused(why or self._unanalysable(again) or f"{found.id} is not ready yet: wait for it")
        self._put(turn, _form(Report, **texts))
        await self._stored(turn, "analysis")
        return self._answer(experiment=found.id)

    async def stop(self) -> dict[str, Any]:
        """End the campaign softly; it can be taken up again."""
        self._lab.inbox.stop()
        return self._answer(stopped=True, why="what is finished is kept; the next session goes on")

    def _unsubmittable(self, proposal: str) -> str:
        """Why a proposal takes no file; "" when it does, or will."""
        found = next((e for e in self._lab.mine() if e.id == proposal), None)
        if found is None or (found.hypothesis is None and self._lab.needs(found) == "propose"):
            return f"there is no proposal {str(proposal)[:60]!r}: call propose first, then submit under its id"
        if waits := self._lab.asked().get(found.id):
            return f"{waits}: wait(experiment={found.id!r}) until it is given"
        if found.candidate is not None:
            return f"{proposal} was submitted already: wait for it, or propose the next one"
        if found.status is not ExperimentStatus.RUNNING:
            return f"{proposal} takes no file any more ({found.reason or found.status.value}): propose the next one"
        return ""

    def _unanalysable(self, experiment: Experiment) -> str:
        """Why an experiment takes no analysis; "" when it does, or will."""
        if experiment.role is Role.BASELINE or experiment.campaign != self._lab.context.record.id:
            return f"{experiment.id} is not of your campaign: what you proposed here is analysed, and nothing else"
        if experiment.analysis is not None:
            return f"{experiment.id} has its analysis already: call {self._lab.next()[0]}"
        needs = self._lab.needs(experiment)
        return f"{experiment.id} needs {needs} first" if needs not in ("", "analyse") else ""

    def _put(self, turn: Turn, reply: BaseModel) -> None:
        if not self._lab.pending.put(turn, reply):
            raise CallRefused("another client was quicker: call status() to see what is free")

    async def _negotiated(self, turn: Turn) -> None:
        """Until a proposal is stored, sent back, or waits for the user's word."""

        def done() -> bool:
            pending, e = self._lab.pending, self._experiment(turn.experiment)
            asked = pending.find("Engineer", turn.experiment) or pending.find("Researcher", turn.experiment)
            return asked is not None or e.id in self._lab.asked() or self._over(e)

        await self._lab.until(done, A_WHILE)

    async def _stored(self, turn: Turn, what: str) -> None:
        """Until an answer is in the archive, where nothing is lost whoever is cut off, or waits for the user's word."""

        def done() -> bool:
            e = self._experiment(turn.experiment)
            waits = e.id in self._lab.asked()
            return getattr(e, what) is not None or waits or (what != "analysis" and self._over(e))

        await self._lab.until(done, A_WHILE)

    def _over(self, experiment: Experiment) -> bool:
        return experiment.status is not ExperimentStatus.RUNNING or bool(self._lab.trouble or self._lab.ended)


F = TypeVar("F", bound=BaseModel)
MODEL_AUTHOR = "an external agent"
_NUMBER = r"([+-]?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}))"
_PREDICTED = re.compile(rf"\s*{_NUMBER}\s*\[\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\]")
UNSCORED = "kept as words: begin with '+0.03 [0.00, 0.06]' (gain, 80 % interval) next time, and it is scored"

MOVED = "put in order: the lower bound stands first, and the gain lies within its interval"


def predicted(text: str) -> Prediction | None:
    """The forecast that a text begins with, as "+0.03 [0.00, 0.06]"; words are kept, and never guessed into numbers."""
    found = _PREDICTED.match(text)
    if found is None:
        return None
    effect, low, high = (float(number) for number in found.groups())
    return Prediction(effect=effect, low=low, high=high)


def _scored(expected: Prediction | None) -> dict[str, Any]:
    """The forecast as it is stored and will be scored, and in words what it is not."""
    if expected is None:
        return {"forecast": None, "note": UNSCORED}
    stored = expected.forecast("Researcher")
    found: dict[str, Any] = {"forecast": {"effect": stored.effect, "low": stored.low, "high": stored.high}}
    return found if found["forecast"] == expected.model_dump() else found | {"note": MOVED}


def _file(source: str) -> str:
    if len(source) > LONGEST_SOURCE:
        raise CallRefused(f"the file has {len(source)} characters: a candidate has at most {LONGEST_SOURCE}")
    try:
        return written(source, (), "")
    except EditRefused as error:
        raise CallRefused(str(error)) from error


def _form(form: type[F], **values: Any) -> F:
    try:
        return form.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise CallRefused(
            f"{'.'.join(str(p) for p in first['loc'])}: {first['msg'][:1].lower()}{first['msg'][1:]}"
        ) from error
