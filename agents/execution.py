"""The stages that run jobs and judge their results: gate and debug, train, judge.

In the order of the cycle. A candidate that fails a gate, crashes or diverges is a record of results.py. Jobs run
outside of conversations: the Debugger speaks between the gates' jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from move37.agents import context_builder
from move37.agents.context import CampaignContext
from move37.agents.edits import EditRefused, written
from move37.agents.errors import BudgetSpent, ModelReplyInvalid
from move37.agents.events import GateChecked, TrainingUpdated
from move37.agents.experiment_context import ExperimentContext, baselines_of, comparable, confirmed, last, tried
from move37.agents.messages import Opening, Refused
from move37.agents.replies import Fix
from move37.agents.results import Attempt, GateReport, TrainingResult, VerdictResult
from move37.agents.team import single
from move37.lab.comparisons import Rival
from move37.lab.effects import effects_of
from move37.lab.halving import best_baseline
from move37.lab.judging.checked import Checked, Fingerprint
from move37.lab.records import Candidate, Experiment, GateResult, Measurement
from move37.lab.tasks.task import Rung
from move37.lab.verdicts import confirm_verdict, screen_verdict

MOST_REWRITES = 2  # answers of the Debugger that make no file, after the first


async def gate_and_debug(ctx: ExperimentContext, candidate: Candidate) -> GateReport:
    """All gates; while one refuses, the Debugger changes the file, at most `debug_attempts` times."""
    attempts: list[Attempt] = []
    repairs = ctx.campaign.limits.debug_attempts if ctx.campaign.scientists["Debugger"].repairs else 0
    diagnosis = learned = ""
    while True:
        checked = await _checked(ctx, candidate)
        attempts.append(Attempt(source=candidate.source, gates=checked.results, diagnosis=diagnosis, learned=learned))
        gated = GateReport(
            candidate=candidate,
            gates=checked.results,
            passed=checked.passed,
            reason="" if checked.passed else _refusal(checked.results),
            fingerprint=checked.fingerprint,
            facts=checked.facts,
            attempts=tuple(attempts),
        )
        if checked.passed or candidate.attempt > repairs:
            return gated
        fix, reason = await _fixed(ctx, candidate, attempts)
        if fix is None:
            return replace(gated, reason=f"{gated.reason}; {reason}")
        diagnosis, learned = fix.diagnosis, fix.learned
        author = ctx.campaign.scientists["Debugger"].signature
        candidate = replace(candidate, source=fix.source, attempt=candidate.attempt + 1, author=author)


async def _fixed(ctx: ExperimentContext, candidate: Candidate, attempts: Sequence[Attempt]) -> tuple[Fix | None, str]:
    """The Debugger's answer as a whole file, or None and the reason. It is told about edits that do not fit."""
    hypothesis = ctx.campaign.archive.experiment(ctx.id).hypothesis
    context = context_builder.at_stage(ctx, hypothesis=hypothesis)
    refused = tuple(g for g in attempts[-1].gates if g.passed is False)
    problem = ""
    for _ in range(MOST_REWRITES + 1):
        told = Refused(
            candidate=candidate,
            gates=refused,
            attempts=tuple(attempts[:-1]),
            problem=problem,
            diagnosis=attempts[-1].diagnosis,
        )
        try:
            fix = last(await ctx.talk.hold([Opening(context=context), told], single("Debugger")), Fix)
        except BudgetSpent as error:
            return None, f"the Debugger was not asked ({error})"
        except ModelReplyInvalid as error:
            return None, f"the Debugger gave no valid reply ({error})"
        if fix.give_up:
            return None, f"the Debugger gave up: {fix.diagnosis}"
        try:
            source = written(fix.source, fix.edits, candidate.source)
        except EditRefused as error:
            problem = str(error)
            continue
        tried = next((n for n, a in enumerate(attempts, start=1) if a.source.strip() == source.strip()), None)
        if tried is not None:
            problem = f"It is the file of attempt {tried}, which was refused: change what the gate names."
            continue
        return fix.model_copy(update={"source": source}), ""
    return None, f"the Debugger wrote no file: {problem}"


async def gate_baseline(ctx: ExperimentContext, candidate: Candidate) -> GateReport:
    """All gates but novelty on a baseline, once."""
    async with ctx.campaign.job_slots:
        checked = await ctx.campaign.task.check(candidate, trust=ctx.id, sandbox=ctx.campaign.sandbox, known=())
    reason = "" if checked.passed else _refusal(checked.results)
    return GateReport(
        candidate=candidate,
        gates=checked.results,
        passed=checked.passed,
        reason=reason,
        fingerprint=checked.fingerprint and replace(checked.fingerprint, experiment=ctx.id),
        facts=checked.facts,
    )


async def _checked(ctx: ExperimentContext, candidate: Candidate) -> Checked:
    campaign = ctx.campaign
    async with campaign.job_slots:
        checked = await campaign.task.check(
            candidate, trust=ctx.id, sandbox=campaign.sandbox, known=fingerprints(campaign, ctx.id)
        )
    for gate in checked.results:
        campaign.on_event(GateChecked(experiment=ctx.id, gate=gate))
    if checked.fingerprint is not None:
        checked = replace(checked, fingerprint=replace(checked.fingerprint, experiment=ctx.id))
    return checked


async def train(
    ctx: ExperimentContext,
    candidate: Candidate,
    rung: Rung,
    seed: int,
    rate: float,
    *,
    fresh: bool,
    climbed: bool,
    tuning: bool,
) -> TrainingResult:
    """One rung with one seed, in the sandbox, outside of any conversation.

    A divergence rejects the candidate, except while `tuning`: then it excludes the rate that was tried.
    """
    campaign = ctx.campaign
    await campaign.inbox.while_paused()
    workdir = campaign.workdir / ctx.id / f"{seed}-{rate:g}"
    workdir.mkdir(parents=True, exist_ok=True)
    async with campaign.job_slots:
        measured = await campaign.task.measure(
            candidate,
            experiment=ctx.id,
            rung=rung,
            seed=seed,
            learning_rate=rate,
            fresh=fresh,
            sandbox=campaign.sandbox,
            workdir=workdir,
            on_progress=lambda progress: campaign.on_event(
                TrainingUpdated(progress=progress, learning_rate=rate, fresh=fresh)
            ),
        )
    failure = measured.failure
    if not failure and not tuning and any(m.diverged for m in measured.measurements):
        failure = f"training diverged at {rung.name} with seed {seed}: one divergence rejects"
    return TrainingResult(
        measurements=measured.measurements, rung=rung.number, climbed=climbed, failure=failure, sandbox=measured.sandbox
    )


async def judge(ctx: ExperimentContext) -> VerdictResult:
    """The verdict over the screening runs so far, against the best baseline at the same steps."""
    campaign, metric = ctx.campaign, ctx.campaign.task.metric
    experiment = campaign.archive.experiment(ctx.id)
    baselines = baselines_of(campaign)
    steps = {m.steps for m in experiment.measurements if m.metric == metric.name and not m.fresh}
    rival = next((b for s in sorted(steps, reverse=True) if (b := _rival(baselines, campaign, s)) is not None), None)
    effects = effects_of(experiment, comparable(campaign), metric)
    if rival is None:
        return VerdictResult(verdict=None, effects=effects)
    verdict = screen_verdict(
        metric=metric,
        candidate=experiment.measurements,
        baseline=rival.measurements,
        baseline_id=rival.id,
        baseline_name=rival.name,
        tried=tried(campaign),
    )
    return VerdictResult(verdict=verdict, effects=effects)


async def judge_fresh(
    ctx: ExperimentContext, rivals: Sequence[str], seeds: Sequence[int], missing: Sequence[str]
) -> VerdictResult:
    """The verdict over these fresh seeds, against the baselines that were given the same ones."""
    campaign = ctx.campaign
    experiment = campaign.archive.experiment(ctx.id)
    baselines = [campaign.archive.experiment(rival) for rival in rivals]

    def on_them(e: Experiment) -> list[Measurement]:
        return [m for m in e.measurements if m.fresh and m.seed in seeds]

    verdict = confirm_verdict(
        metric=campaign.task.metric,
        candidate=on_them(experiment),
        rivals=[Rival(id=b.id, name=b.name, measurements=on_them(b)) for b in baselines],
        tried=tried(campaign),
        confirmation=confirmed(campaign) + 1,
        missing=missing,
    )
    effects = effects_of(experiment, comparable(campaign), campaign.task.metric)
    return VerdictResult(verdict=verdict, effects=effects)


def _refusal(results: Sequence[GateResult]) -> str:
    refused = [g for g in results if g.passed is False]
    return "; ".join(f"gate {g.name}: {g.message}" for g in refused[:3])


def _rival(baselines: Sequence[Experiment], campaign: CampaignContext, steps: int) -> Experiment | None:
    best = best_baseline({b.id: b.measurements for b in baselines}, metric=campaign.task.metric, steps=steps)
    return next((b for b in baselines if b.id == best), None)


def fingerprints(campaign: CampaignContext, without: str) -> tuple[Fingerprint, ...]:
    """What the comparable experiments were, for the gate novelty."""
    known = []
    for e in comparable(campaign):
        for record in e.stages:
            found = record.payload.get("fingerprint") if record.stage == "gates" else None
            if isinstance(found, dict) and e.id != without:
                outputs = tuple(float(v) for v in found["outputs"])
                known.append(Fingerprint(experiment=e.id, tree=str(found["tree"]), outputs=outputs))
    return tuple(known)
