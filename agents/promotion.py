"""After the screen: who goes up the ladder, and who is measured again on seeds that selected nothing.

`climb` is successive halving over the schedule's further rungs; `confirm` gives the finalist and the best baseline the
same fresh seeds, as many as the time left allows. Who goes on is decided by lab/ladder.py; here it is only carried out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from move37.agents import cycle, execution
from move37.agents.context import CampaignContext
from move37.agents.events import ExperimentUpdated, Notice
from move37.agents.experiment_context import ExperimentContext, baselines_of
from move37.agents.gather import gather
from move37.agents.results import VerdictResult
from move37.agents.steps import Steps
from move37.lab import ladder
from move37.lab.records import Experiment, Role
from move37.lab.tasks.task import Rung

CONFIRM_COSTS = 1.2  # deciding reads three times the text that screening reads

Seat = Callable[[Experiment], tuple[ExperimentContext, Steps]]


async def promote(
    campaign: CampaignContext, generation: Sequence[str], seat: Seat, baselines_done: Awaitable[object]
) -> None:
    """Take the generation's best from rung to rung; then each survivor is judged and explained again.

    `yardstick` is the baselines' own climb, which runs beside this one and ends before anybody is judged.
    """
    last = campaign.schedule.rungs[0]
    going = _best(campaign, generation, last, last.keep)
    climbed: set[str] = set()
    for rung in campaign.schedule.rungs[1:]:
        going = await _approved(campaign, going, rung)
        failures = await gather(*(_go_up(campaign, ident, rung, seat) for ident in going))
        climbed.update(going)
        going = tuple(ident for ident, failure in zip(going, failures, strict=True) if not failure)
        last = rung if rung.steps else last  # probes do not rank: the last rung with the primary metric does
        going = _best(campaign, going, last, rung.keep)
    await baselines_done
    for ident in sorted(climbed):
        await campaign.sandbox.release(ident)
        ctx, step = seat(campaign.archive.experiment(ident))
        await step("verdict:climb", VerdictResult, execution.judge, ctx)
        await cycle.learn(ctx, step, after="climb")
        campaign.on_event(ExperimentUpdated(experiment=campaign.archive.experiment(ident)))


async def confirm(campaign: CampaignContext, candidates: Sequence[str], seat: Seat) -> None:
    """Fresh seeds for the finalists and the best baseline, then the interval."""
    schedule, metric = campaign.schedule, campaign.task.metric
    top = schedule.rungs[-1]
    found = ladder.finalists(_standings(campaign, candidates, top), schedule.finalists, metric=metric)
    rival = _best_baseline(campaign, top)
    if not found or rival is None or schedule.confirm_seeds == 0:
        return
    seeds = _seeds(campaign, (*found, rival))
    if not seeds:
        campaign.on_event(
            Notice(text="No time is left for fresh seeds: no row gets an interval. `--max-time` gives more.")
        )
        return
    await gather(*(_again(campaign, ident, top, seed, seat) for seed in seeds for ident in (rival, *found)))
    for ident in (rival, *found):
        await campaign.sandbox.release(ident)
    for ident in found:
        ctx, step = seat(campaign.archive.experiment(ident))
        await step("verdict:fresh", VerdictResult, execution.judge_fresh, ctx, rival, _missing(campaign, len(seeds)))
        await cycle.learn(ctx, step, after="fresh")
        campaign.on_event(ExperimentUpdated(experiment=campaign.archive.experiment(ident)))


async def tune(campaign: CampaignContext, candidates: Sequence[str], seat: Seat) -> None:
    """The schedule's further learning rates for the finalists and every baseline: tuned equally hard."""
    if not campaign.schedule.finalist_rates:
        return
    top = campaign.schedule.rungs[-1]
    standings = _standings(campaign, candidates, top)
    found = ladder.finalists(standings, campaign.schedule.finalists, metric=campaign.task.metric)
    arms = (*found, *(e.id for e in baselines_of(campaign)))
    await gather(
        *(_go_up(campaign, ident, top, seat, rate=rate) for rate in campaign.schedule.finalist_rates for ident in arms)
    )
    for ident in arms:
        await campaign.sandbox.release(ident)


def _missing(campaign: CampaignContext, seeds: int) -> tuple[str, ...]:
    wanted = campaign.schedule.confirm_seeds
    return () if seeds >= wanted else (f"Only {seeds} of {wanted} fresh seeds fitted into the time.",)


async def _go_up(campaign: CampaignContext, ident: str, rung: Rung, seat: Seat, rate: float | None = None) -> str:
    experiment = campaign.archive.experiment(ident)
    assert experiment.candidate is not None
    ctx, step = seat(experiment)
    climbed = experiment.role is Role.CANDIDATE
    trained = await cycle.train(ctx, step, experiment.candidate, rung, rate=rate, climbed=climbed)
    campaign.on_event(ExperimentUpdated(experiment=campaign.archive.experiment(ident)))
    return trained.failure


async def _again(campaign: CampaignContext, ident: str, rung: Rung, seed: int, seat: Seat) -> None:
    experiment = campaign.archive.experiment(ident)
    assert experiment.candidate is not None
    ctx, step = seat(experiment)
    rate = ladder.tuned_rate(
        experiment.measurements, metric=campaign.task.metric, default=campaign.schedule.learning_rate
    )
    await cycle.train(ctx, step, experiment.candidate, rung, seed=seed, rate=rate, fresh=True)
    campaign.on_event(ExperimentUpdated(experiment=campaign.archive.experiment(ident)))


async def _approved(campaign: CampaignContext, idents: Sequence[str], rung: Rung) -> tuple[str, ...]:
    going = []
    for ident in idents:
        veto = await campaign.approvals.asked(ident, "promotion", f"{ident} goes up to {rung.name}")
        if veto:
            campaign.on_event(Notice(text=f"{ident} stays where it is: {veto}"))
        else:
            going.append(ident)
    return tuple(going)


def _standings(campaign: CampaignContext, idents: Sequence[str], rung: Rung) -> list[ladder.Standing]:
    found = (
        ladder.standing(i, campaign.archive.experiment(i).measurements, metric=campaign.task.metric, steps=rung.steps)
        for i in idents
    )
    return [s for s in found if s is not None]


def _best(campaign: CampaignContext, idents: Sequence[str], rung: Rung, keep: int | None) -> tuple[str, ...]:
    return ladder.climbers(_standings(campaign, idents, rung), keep, metric=campaign.task.metric)


def _best_baseline(campaign: CampaignContext, rung: Rung) -> str | None:
    measured = {b.id: b.measurements for b in baselines_of(campaign)}
    return ladder.best_baseline(measured, metric=campaign.task.metric, steps=rung.steps)


def _seeds(campaign: CampaignContext, arms: Sequence[str]) -> tuple[int, ...]:
    records = [campaign.archive.experiment(ident) for ident in arms]
    begun = {m.seed for m in records[0].measurements if m.fresh}
    affordable = ladder.affordable_seeds(
        campaign.schedule.confirm_seeds,
        arms=len(arms),
        seconds_per_run=max(_whole_run_seconds(campaign, e) for e in records) * CONFIRM_COSTS,
        seconds_left=campaign.clock.left,
        workers=campaign.workers,
    )
    if not affordable and campaign.clock.left and campaign.clock.hard is None:
        affordable = ladder.LEAST_SEEDS  # a soft end: a wide interval late beats none in time
    used = (campaign.record.brief.seed,)
    return ladder.fresh_seeds(max(affordable, len(begun)), campaign_seed=used[0], used=used)


def _whole_run_seconds(campaign: CampaignContext, experiment: Experiment) -> float:
    """Rungs continue each other, so a training from the start costs what one arm's screening runs cost together."""
    screened = {m.steps: m for m in experiment.measurements if m.metric == campaign.task.metric.name and not m.fresh}
    return sum(m.train_seconds + m.eval_seconds for m in screened.values())
