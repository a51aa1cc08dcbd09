"""The work inside each durable step: recall, negotiate, write, gate and debug, train, judge, explain, keep.

In the order of the cycle. Every function takes the `Table` (one experiment's place in the room) and returns a record of
agents/results.py; a candidate that fails is such a record, an exception means that something of ours broke.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from agents import briefing, prompts
from agents.briefing import Past
from agents.conversation import Conversation
from agents.dossier import Dossier, block
from agents.errors import ModelReplyInvalid
from agents.events import GateSeen, Notice, TrainingMoved
from agents.replies import Code, Fix, Report
from agents.results import Agreed, Attempt, Explained, Gated, Judged, Kept, Trained, Written
from agents.room import Room
from agents.team import negotiation, settled, single
from lab.archive.store import now
from lab.ladder import best_baseline
from lab.parents import effect_of
from lab.records import Analysis, Candidate, Experiment, GateResult, Hypothesis, Measurement, Role, Verdict
from lab.tasks.task import Checked, Fingerprint, Rung
from lab.verdicts import confirm_verdict, screen_verdict
from memory.errors import MemoryFault
from memory.records import Lesson

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One experiment's place: the room around it and the conversation that it holds."""

    room: Room
    id: str
    number: int
    talk: Conversation
    proposals: tuple[str, ...] = ()  # hypotheses that the person handed over


# Recall ------------------------------------------------------------------------------------------------------


async def recall(table: Table) -> Past:
    """Parents from the archive, advice from memory, and the record of what was tried."""
    room, metric = table.room, table.room.task.metric
    others = [e for e in room.archive.experiments() if e.id != table.id]
    baselines = [e for e in others if e.role is Role.BASELINE]
    chosen = room.archive.experiment(table.id).parents
    parents = tuple((e, effect_of(e, baselines, metric)) for e in others if e.id in chosen)
    asked = briefing.question(room.campaign.brief.text, parents, table.proposals)
    manners = room.manners
    try:
        found = await room.memory.recall(
            asked, k=manners.recollections, budget_tokens=manners.recollection_tokens, kinds=manners.memory
        )
    except MemoryFault as error:
        room.on_event(Notice(text=f"{table.id} starts without recollections: {error}"))
        found = ()
    return Past(
        parents=parents,
        recollections=found,
        operators=briefing.operator_records(others, metric, room.operators_of),
        tried_plans=tuple(e.hypothesis.plan for e in others if e.hypothesis is not None and e.hypothesis.plan),
        person=table.proposals,
    )


# Negotiate ---------------------------------------------------------------------------------------------------


async def negotiate(table: Table, past: Past) -> Agreed:
    """Researcher and Critic, until one is convinced or the rounds end; then the person, where asked for."""
    room = table.room
    opening = briefing.for_hypothesis(
        task=room.task.name,
        metric=room.task.metric,
        contract=room.task.contract,
        seed=room.campaign.brief.seed,
        number=table.number,
        direction=room.campaign.brief.text,
        past=past,
    )
    try:
        replies = await table.talk.hold(
            _opener("open_hypothesis", opening, experiment=table.id), negotiation(room.manners.negotiation_rounds)
        )
    except ModelReplyInvalid as error:
        return Agreed(hypothesis=None, accepted=False, malformed=True, reason=str(error))
    proposal, accepted, reason = settled(replies)
    objections = sum(getattr(r, "accept", True) is False for r in replies)
    hypothesis = proposal.hypothesis()
    if accepted and (veto := await room.approvals.asked(table.id, "hypothesis", hypothesis.change)):
        accepted, reason = False, f"vetoed by the person: {veto}"
    return Agreed(hypothesis=hypothesis, accepted=accepted, reason=reason, objections=objections)


# Write -------------------------------------------------------------------------------------------------------


async def write(table: Table, agreed: Agreed) -> Written:
    """The Engineer's file for an accepted hypothesis."""
    assert agreed.hypothesis is not None
    room = table.room
    opening = briefing.for_candidate(agreed.hypothesis)
    try:
        replies = await table.talk.hold(_opener("open_candidate", opening), single("Engineer"))
    except ModelReplyInvalid as error:
        return Written(candidate=None, reason=str(error))
    code = _last(replies, Code)
    candidate = code.candidate(author=room.signatures["Engineer"], family=agreed.hypothesis.family)
    if veto := await room.approvals.asked(table.id, "code", candidate.source):
        return Written(candidate=None, vetoed=True, reason=f"vetoed by the person: {veto}")
    return Written(candidate=candidate)


# Gate and debug ----------------------------------------------------------------------------------------------


async def gate_and_debug(table: Table, candidate: Candidate) -> Gated:
    """All gates; while one refuses, the Debugger changes the file, at most `debug_attempts` times."""
    attempts: list[Attempt] = []
    diagnosis = ""
    while True:
        checked = await _checked(table, candidate)
        attempts.append(Attempt(source=candidate.source, gates=checked.results, diagnosis=diagnosis))
        gated = Gated(
            candidate=candidate,
            gates=checked.results,
            passed=checked.passed,
            reason="" if checked.passed else _refusal(checked.results),
            fingerprint=checked.fingerprint,
            facts=checked.facts,
            attempts=tuple(attempts),
        )
        if checked.passed or candidate.attempt > table.room.manners.debug_attempts:
            return gated
        opening = briefing.for_debugging(candidate, checked.results, candidate.attempt)
        try:
            opener = _opener("open_gates", opening, attempt=str(candidate.attempt))
            fix = _last(await table.talk.hold(opener, single("Debugger")), Fix)
        except ModelReplyInvalid as error:
            return replace(gated, reason=f"{gated.reason}; the Debugger gave no valid reply ({error})")
        if fix.give_up:
            return replace(gated, reason=f"{gated.reason}; the Debugger gave up: {fix.diagnosis}")
        if fix.source.strip() == candidate.source.strip():
            return replace(gated, reason=f"{gated.reason}; the Debugger changed nothing")
        diagnosis = fix.diagnosis
        candidate = replace(
            candidate, source=fix.source, attempt=candidate.attempt + 1, author=table.room.signatures["Debugger"]
        )


async def gate_baseline(table: Table, candidate: Candidate) -> Gated:
    """A baseline meets the same gates once; novelty does not apply to it."""
    checked = await table.room.task.check(candidate, trust=table.id, sandbox=table.room.sandbox, known=())
    reason = "" if checked.passed else _refusal(checked.results)
    return Gated(
        candidate=candidate,
        gates=checked.results,
        passed=checked.passed,
        reason=reason,
        fingerprint=checked.fingerprint and replace(checked.fingerprint, experiment=table.id),
        facts=checked.facts,
    )


async def _checked(table: Table, candidate: Candidate) -> Checked:
    room = table.room
    checked = await room.task.check(
        candidate, trust=table.id, sandbox=room.sandbox, known=_fingerprints(room, table.id)
    )
    for gate in checked.results:
        room.on_event(GateSeen(experiment=table.id, gate=gate))
    if checked.fingerprint is not None:
        checked = replace(checked, fingerprint=replace(checked.fingerprint, experiment=table.id))
    return checked


# Train -------------------------------------------------------------------------------------------------------


async def train(
    table: Table, candidate: Candidate, rung: Rung, seed: int, rate: float, *, fresh: bool, climbed: bool
) -> Trained:
    """One rung with one seed, in the sandbox, outside of any conversation."""
    room = table.room
    await room.inbox.while_paused()
    workdir = room.workdir / table.id / f"{seed}-{rate:g}"
    workdir.mkdir(parents=True, exist_ok=True)
    measured = await room.task.measure(
        candidate,
        experiment=table.id,
        rung=rung,
        seed=seed,
        learning_rate=rate,
        fresh=fresh,
        sandbox=room.sandbox,
        workdir=workdir,
        on_progress=lambda progress: room.on_event(TrainingMoved(progress=progress)),
    )
    failure = measured.failure
    if not failure and any(m.diverged for m in measured.measurements):
        failure = f"training diverged at {rung.name} with seed {seed}: one divergence rejects"
    return Trained(
        measurements=measured.measurements, rung=rung.number, climbed=climbed, failure=failure, sandbox=measured.sandbox
    )


# Judge -------------------------------------------------------------------------------------------------------


async def judge(table: Table, *, fresh: bool = False, missing: Sequence[str] = ()) -> Judged:
    """The verdict over everything measured so far, against the best baseline at the same steps."""
    room, metric = table.room, table.room.task.metric
    experiment = room.archive.experiment(table.id)
    baselines = _baselines(room)
    steps = {m.steps for m in experiment.measurements if m.metric == metric.name and m.fresh == fresh}
    rival = next((b for s in sorted(steps, reverse=True) if (b := _rival(baselines, room, s, fresh)) is not None), None)
    if rival is None:
        return Judged(verdict=None)
    verdict: Verdict | None
    if fresh:
        verdict = confirm_verdict(
            metric=metric,
            candidate=experiment.measurements,
            baseline=rival.measurements,
            baseline_id=rival.id,
            baseline_name=rival.name,
            tried=_tried(room),
            relatives=experiment.family == rival.family,
            missing=missing,
        )
    else:
        verdict = screen_verdict(
            metric=metric,
            candidate=experiment.measurements,
            baseline=rival.measurements,
            baseline_id=rival.id,
            baseline_name=rival.name,
            tried=_tried(room),
        )
    return Judged(verdict=verdict)


# Explain and keep --------------------------------------------------------------------------------------------


async def explain(table: Table) -> Explained:
    """The Analyst's report on what the archive holds now: a failure is explained like a success."""
    room = table.room
    experiment = room.archive.experiment(table.id)
    baselines = _baselines(room)
    opening = briefing.for_analysis(
        experiment, baselines=baselines, effect=effect_of(experiment, baselines, room.task.metric)
    )
    try:
        report = _last(await table.talk.hold(_opener("open_analysis", opening), single("Analyst")), Report)
    except ModelReplyInvalid as error:
        return Explained(analysis=_plain(experiment.hypothesis, experiment.measurements, experiment.reason, str(error)))
    return Explained(analysis=report.analysis(author=room.signatures["Analyst"]))


async def keep(table: Table) -> Kept:
    """The lesson goes to memory; memory queues it on disk when its store is gone."""
    room = table.room
    experiment = room.archive.experiment(table.id)
    assert experiment.analysis is not None
    verdict = experiment.verdict
    fresh = {m.seed for m in experiment.measurements if m.fresh}
    baselines = _baselines(room)
    await room.memory.remember(
        Lesson(
            experiment=experiment.id,
            task=room.task.name,
            name=experiment.name,
            family=experiment.family,
            parents=experiment.parents,
            status=experiment.status.value,
            rung=experiment.rung,
            operators=tuple(room.operators_of(experiment.candidate.source)) if experiment.candidate else (),
            expected=experiment.analysis.expected,
            seen=experiment.analysis.seen,
            why=experiment.analysis.why,
            next=experiment.analysis.next,
            symptoms=experiment.analysis.symptoms,
            effect=verdict.effect if verdict else None,
            low=verdict.low if verdict else None,
            high=verdict.high if verdict else None,
            seeds=len(fresh) or len({m.seed for m in experiment.measurements}),
            deltas=_deltas(experiment.measurements, baselines),
            finished_at=now(),
        )
    )
    return Kept()


# Small pure helpers ------------------------------------------------------------------------------------------


def _opener(name: str, dossier: Dossier, **values: str) -> str:
    return prompts.fill(name, dossier=block(dossier), **values)


def _last(replies: Sequence[object], kind: type[T]) -> T:
    return next(r for r in reversed(replies) if isinstance(r, kind))


def _refusal(results: Sequence[GateResult]) -> str:
    refused = [g for g in results if g.passed is False]
    return "; ".join(f"gate {g.name}: {g.message}" for g in refused[:3])


def _baselines(room: Room) -> tuple[Experiment, ...]:
    return tuple(e for e in room.archive.experiments(room.campaign.id) if e.role is Role.BASELINE)


def _tried(room: Room) -> int:
    return sum(e.role is Role.CANDIDATE for e in room.archive.experiments(room.campaign.id))


def _rival(baselines: Sequence[Experiment], room: Room, steps: int, fresh: bool) -> Experiment | None:
    metric = room.task.metric
    measured = {b.id: [replace(m, fresh=False) for m in b.measurements if m.fresh == fresh] for b in baselines}
    best = best_baseline(measured, metric=metric, steps=steps)
    return next((b for b in baselines if b.id == best), None)


def _fingerprints(room: Room, without: str) -> tuple[Fingerprint, ...]:
    known = []
    for e in room.archive.experiments():
        for record in e.stages:
            found = record.payload.get("fingerprint") if record.stage == "gates" else None
            if isinstance(found, dict) and e.id != without:
                outputs = tuple(float(v) for v in found["outputs"])
                known.append(Fingerprint(experiment=e.id, tree=str(found["tree"]), outputs=outputs))
    return tuple(known)


def _deltas(measurements: Sequence[Measurement], baselines: Sequence[Experiment]) -> dict[str, float]:
    deltas: dict[str, float] = {}
    for m in measurements:
        theirs = [o.value for b in baselines for o in b.measurements if (o.metric, o.steps) == (m.metric, m.steps)]
        if theirs:
            deltas[m.metric] = m.value - sum(theirs) / len(theirs)
    return deltas


def _plain(hypothesis: Hypothesis | None, measurements: Sequence[Measurement], reason: str, error: str) -> Analysis:
    numbers = ", ".join(f"{m.metric} {m.value:.3f} at {m.steps} steps" for m in measurements) or "no measurement"
    return Analysis(
        expected=hypothesis.predicted_effect if hypothesis else "nothing was proposed",
        seen=f"{numbers}. {reason}".strip(),
        why=f"not analysed: {error}",
        next="ask a model that answers in the requested form",
        author="the lab, without a model",
    )
