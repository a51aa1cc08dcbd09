"""THE LOOP: one experiment, from what is known to what was learned. The paper's algorithm on one page.

recall -> propose and negotiate -> write -> gate and debug -> train -> judge -> explain -> keep

Each line that says `step` is durable: its result is in the archive before the next line runs. A restarted cycle
walks the same lines from the top; finished steps answer from the archive. What a step does stands in dialogue.py
execution.py and remembering.py, what is known before it in context_builder.py; promotion after the screen and fresh
seeds, in promotion.py; how many cycles, in campaign.py.
"""

from __future__ import annotations

from move37.agents import context_builder, dialogue, execution, remembering
from move37.agents.experiment_context import ExperimentContext
from move37.agents.results import (
    AnalysisResult,
    CodeResult,
    GateReport,
    MemoryResult,
    NegotiationResult,
    TrainingResult,
    VerdictResult,
)
from move37.agents.steps import Steps
from move37.lab.records import Candidate, Stage
from move37.lab.tasks.task import Rung


async def cycle(ctx: ExperimentContext, step: Steps) -> None:
    """One candidate through the screen. However it ends, it is explained and kept."""
    known = await context_builder.recall(ctx)
    agreed = await step(Stage.HYPOTHESIS, NegotiationResult, dialogue.negotiate, ctx, known)
    if agreed.accepted:
        written = await step(Stage.CANDIDATE, CodeResult, dialogue.write, ctx, agreed)
        if written.candidate is not None:
            gated = await step(Stage.GATES, GateReport, execution.gate_and_debug, ctx, written.candidate)
            if gated.passed:
                screen = ctx.campaign.schedule.rungs[0]
                await train(ctx, step, gated.candidate, screen)
                await step(f"verdict:{screen.name}", VerdictResult, execution.judge, ctx, rung=screen.number)
    await learn(ctx, step)


async def baseline(ctx: ExperimentContext, step: Steps, candidate: Candidate, rungs: tuple[Rung, ...]) -> None:
    """One baseline through the same gates and rungs as candidates, so that it is as strong a rival as it can be."""
    written = await step(Stage.CANDIDATE, CodeResult, _given, candidate)
    assert written.candidate is not None
    gated = await step(Stage.GATES, GateReport, execution.gate_baseline, ctx, written.candidate)
    for rung in rungs:
        if gated.passed:
            gated_still = await train(ctx, step, written.candidate, rung)
            if gated_still.failure:
                return


async def train(
    ctx: ExperimentContext,
    step: Steps,
    candidate: Candidate,
    rung: Rung,
    *,
    seed: int | None = None,
    rate: float | None = None,
    fresh: bool = False,
    climbed: bool = False,
) -> TrainingResult:
    """Train one rung with one seed, at `rate` or the schedule's rate; another rate on a screening seed is tuning.

    Raises `BudgetSpent` where the campaign's time ends first, and stores nothing then. A screen ends in any case, so
    that the slowest machine ranks somebody.
    """
    schedule, first = ctx.campaign.schedule, ctx.campaign.record.brief.seed
    seed = first if seed is None else seed
    rate = schedule.learning_rate if rate is None else rate
    name = rung.name if rate == schedule.learning_rate else f"{rung.name} lr={rate:g}"

    tuning = rate != schedule.learning_rate and not fresh
    screens = rung.name == schedule.rungs[0].name and seed == first and not fresh and not tuning

    async def work() -> TrainingResult:
        trained = execution.train(ctx, candidate, rung, seed, rate, fresh=fresh, climbed=climbed, tuning=tuning)
        return await (trained if screens else ctx.campaign.clock.within(trained))

    return await step(name, TrainingResult, work, rung=rung.number, seed=seed)


async def learn(ctx: ExperimentContext, step: Steps, after: str = "") -> None:
    """Explain what the archive holds now and store the lesson; done again after each promotion."""
    suffix = f":{after}" if after else ""
    await step(Stage.ANALYSIS + suffix, AnalysisResult, dialogue.explain, ctx)
    await step(Stage.MEMORY + suffix, MemoryResult, remembering.keep, ctx)


async def _given(candidate: Candidate) -> CodeResult:
    return CodeResult(candidate=candidate)
