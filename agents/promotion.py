"""After the screen: who goes up the ladder, and who is measured again on seeds that selected nothing.

`promote` is successive halving over the schedule's further rungs; `screen_again` gives those at the top further seeds
before one of them is chosen; `confirm` gives the finalists and the two best baselines the same fresh seeds, as many as
the noise asks for and the time left allows. Who is promoted is decided by lab/halving.py, which is pure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from move37.agents import cycle, execution, time_left
from move37.agents.approval import Doubt, is_dear
from move37.agents.bookkeeping import asked_once
from move37.agents.context import CampaignContext
from move37.agents.errors import BudgetSpent
from move37.agents.events import ExperimentUpdated, Notice
from move37.agents.experiment_context import ExperimentContext, baselines_of, confirmed
from move37.agents.gather import gather
from move37.agents.results import VerdictResult
from move37.agents.steps import Steps
from move37.agents.time_left import rivals_of
from move37.lab import halving
from move37.lab.records import Experiment, ExperimentStatus, Role
from move37.lab.tasks.task import Rung

FRESH = "verdict:fresh"  # stage: a finalist is judged on fresh seeds
NEAR = 1  # how many beyond those needed get the further screening seeds: the runner-up may be the better one

OpenExperiment = Callable[[Experiment], tuple[ExperimentContext, Steps]]


async def promote(
    campaign: CampaignContext, generation: Sequence[str], rungs: Sequence[Rung], reopen: OpenExperiment,
    baselines_done: Awaitable[object],
) -> None:  # fmt: skip
    """Take the generation's best from rung to rung; then each survivor is judged and explained again.

    `rungs` are those above the screen.

    `baselines_done` is the baselines' own promotion, which runs beside this one and ends before anything is judged.
    """
    last = campaign.schedule.rungs[0]
    going = _best(campaign, generation, last, last.keep)
    if campaign.schedule.refusal:
        await baselines_done
        await _refuse(campaign, going, campaign.schedule.refusal, reopen)
        return
    climbed: set[str] = set()
    late: set[str] = set()  # who has begun a rung that the time did not hold is judged when it has more of it
    for rung in rungs:
        going = await _approved(campaign, going, rung)
        failures = await gather(*(_in_time(campaign, ident, rung, reopen, late) for ident in going))
        climbed.update(going)
        going = tuple(ident for ident, failure in zip(going, failures, strict=True) if not failure)
        last = rung if rung.steps else last  # probes do not rank: the last rung with the primary metric does
        going = _best(campaign, going, last, rung.keep)
    await baselines_done
    for ident in sorted(climbed):
        await campaign.sandbox.release(ident)
        if ident in late:
            continue
        ctx, step = reopen(campaign.archive.experiment(ident))
        await step("verdict:climb", VerdictResult, execution.judge, ctx)
        await cycle.learn(ctx, step, after="climb")
        campaign.on_event(ExperimentUpdated(experiment=campaign.archive.experiment(ident)))


async def confirm(campaign: CampaignContext, candidates: Sequence[str], reopen: OpenExperiment) -> None:
    """Fresh seeds for the finalists and the best baselines, then the intervals.

    Once for each finalist: seeds that are added after a verdict was seen would be chosen by it.
    """
    schedule, metric = campaign.schedule, campaign.task.metric
    top = schedule.rungs[-1]
    standings = halving.screened_again(_standings(campaign, candidates, top))
    found = halving.finalists(standings, schedule.finalists, metric=metric)
    rivals = rivals_of(campaign, top, again=True)
    if not found or not rivals or schedule.confirm_seeds == 0:
        return
    able = _resolution(campaign, found, rivals)
    if refusal := schedule.refusal or able.refusal:
        await _refuse(campaign, found, refusal, reopen)
        return
    asked = tuple(ident for ident in found if campaign.archive.stage(ident, FRESH) is None)
    seeds = await _fresh(campaign, (*asked, *rivals), top, able.seeds, reopen) if asked else ()
    if asked and not seeds:
        campaign.on_event(
            Notice(text="No time is left for fresh seeds: no row gets an interval. `--max-time` gives more.")
        )
        found = tuple(ident for ident in found if ident not in asked)
    for ident in (*rivals, *found):
        await campaign.sandbox.release(ident)
    missing = (
        () if len(seeds) >= able.seeds else (f"Only {len(seeds)} of {able.seeds} fresh seeds fitted into the time.",)
    )
    for ident in found:
        ctx, step = reopen(campaign.archive.experiment(ident))
        await step(FRESH, VerdictResult, execution.judge_fresh, ctx, rivals, seeds, missing)
        await cycle.learn(ctx, step, after="fresh")
        campaign.on_event(ExperimentUpdated(experiment=campaign.archive.experiment(ident)))


async def _fresh(
    campaign: CampaignContext, arms: Sequence[str], top: Rung, wanted: int, reopen: OpenExperiment
) -> tuple[int, ...]:
    """The fresh seeds on which every arm was trained, up to `wanted`: fewer where the time ends, and then at least two.

    How many depends on time alone, on no result: computed again once the time of fresh runs is known.
    """
    seeds: tuple[int, ...] = ()
    while len(more := time_left.fresh_seeds(campaign, arms, wanted)) > len(seeds):
        try:
            await gather(*(_again(campaign, ident, top, seed, reopen) for seed in more[len(seeds) :] for ident in arms))
        except BudgetSpent:
            runs = [campaign.archive.experiment(ident).stages for ident in arms]
            trained = [{r.seed for r in own if "measurements" in r.payload} for own in runs]
            seeds = tuple(seed for seed in more if all(seed in own for own in trained))
            return seeds if len(seeds) >= halving.LEAST_SEEDS else ()
        seeds = more
    return seeds


async def screen_again(campaign: CampaignContext, candidates: Sequence[str], reopen: OpenExperiment) -> None:
    """The schedule's further screening seeds at the last rung, for those among whom finalists and rivals are chosen.

    One seed picks the wrong finalist, and the wrong best baseline, in a third of the cases. Each arm gets them at its
    best rate: at another, what `tune` found best would stay the luckiest of several runs.
    """
    schedule = campaign.schedule
    top = schedule.rungs[-1]
    near = _near(campaign, candidates)
    rivals = rivals_of(campaign, top, count=halving.RIVALS + NEAR)
    seed = campaign.record.brief.seed
    for extra in range(seed + 1, seed + schedule.screen_seeds):
        if not time_left.holds(campaign, (*near, *rivals), runs=len(near) + len(rivals)):
            campaign.on_event(Notice(text="No time is left for a second screening seed: one seed picks the finalist."))
            return
        await gather(*(_once_more(campaign, ident, top, extra, reopen) for ident in (*near, *rivals)))
    for ident in (*near, *rivals):
        await campaign.sandbox.release(ident)


async def tune(campaign: CampaignContext, candidates: Sequence[str], reopen: OpenExperiment) -> None:
    """The schedule's further learning rates for whoever may be a finalist and every baseline: tuned equally hard."""
    if not campaign.schedule.finalist_rates:
        return
    top = campaign.schedule.rungs[-1]
    arms = (*_near(campaign, candidates), *(e.id for e in baselines_of(campaign)))
    await gather(
        *(
            _go_up(campaign, ident, top, reopen, rate=rate)
            for rate in campaign.schedule.finalist_rates
            for ident in arms
        )
    )
    for ident in arms:
        await campaign.sandbox.release(ident)


def above_screen(rungs: Sequence[Rung], *, probed: bool) -> tuple[Rung, ...]:
    """The rungs of a schedule above its first, with probes or without."""
    return tuple(r for r in rungs[1:] if r.steps or probed)


def kept_baselines(campaign: CampaignContext, rung: Rung) -> tuple[str, ...]:
    """The names of those that go on from a rung, best first."""
    own = {b.id: b.name for b in baselines_of(campaign)}
    return tuple(own[ident] for ident in _best(campaign, tuple(own), rung, rung.keep))


async def _refuse(campaign: CampaignContext, idents: Sequence[str], refusal: str, reopen: OpenExperiment) -> None:
    campaign.on_event(Notice(text=f"{refusal[:1].upper()}{refusal[1:]}."))
    for ident in idents:
        ctx, step = reopen(campaign.archive.experiment(ident))
        await step("verdict:refused", VerdictResult, _refused, ctx, refusal)


async def _refused(ctx: ExperimentContext, refusal: str) -> VerdictResult:
    verdict = ctx.campaign.archive.experiment(ctx.id).verdict
    return VerdictResult(verdict=verdict and replace(verdict, text=f"{verdict.text} Not confirmed: {refusal}."))


async def _go_up(
    campaign: CampaignContext,
    ident: str,
    rung: Rung,
    reopen: OpenExperiment,
    *,
    rate: float | None = None,
    seed: int | None = None,
) -> str:
    experiment = campaign.archive.experiment(ident)
    assert experiment.candidate is not None
    ctx, step = reopen(experiment)
    climbed = experiment.role is Role.CANDIDATE
    trained = await cycle.train(ctx, step, experiment.candidate, rung, rate=rate, seed=seed, climbed=climbed)
    campaign.on_event(ExperimentUpdated(experiment=campaign.archive.experiment(ident)))
    return trained.failure


async def _in_time(campaign: CampaignContext, ident: str, rung: Rung, reopen: OpenExperiment, late: set[str]) -> str:
    """Why a candidate goes no further than `rung`; empty where it may."""
    try:
        return await _go_up(campaign, ident, rung, reopen)
    except BudgetSpent as error:
        late.add(ident)
        campaign.on_event(Notice(text=f"{ident} stays below {rung.name}: {error}."))
        campaign.on_event(ExperimentUpdated(experiment=campaign.archive.experiment(ident)))  # it runs no more
        return str(error)


async def _once_more(campaign: CampaignContext, ident: str, rung: Rung, seed: int, reopen: OpenExperiment) -> None:
    """A screening seed at the arm's best rate; where that diverges, at what is then its best."""
    tried: set[float] = set()
    while (rate := _tuned(campaign, ident)) not in tried:
        tried.add(rate)
        if await _go_up(campaign, ident, rung, reopen, rate=rate, seed=seed):
            return


def _tuned(campaign: CampaignContext, ident: str) -> float:
    """The arm's best rate so far."""
    known, default = campaign.archive.experiment(ident).measurements, campaign.schedule.learning_rate
    return halving.tuned_rate(known, metric=campaign.task.metric, default=default)


async def _again(campaign: CampaignContext, ident: str, rung: Rung, seed: int, reopen: OpenExperiment) -> None:
    experiment = campaign.archive.experiment(ident)
    assert experiment.candidate is not None
    ctx, step = reopen(experiment)
    rate = _tuned(campaign, ident)
    await cycle.train(ctx, step, experiment.candidate, rung, seed=seed, rate=rate, fresh=True)
    campaign.on_event(ExperimentUpdated(experiment=campaign.archive.experiment(ident)))


async def _approved(campaign: CampaignContext, idents: Sequence[str], rung: Rung) -> tuple[str, ...]:
    going = []
    cost = _seconds_at(campaign, rung)
    doubt: Doubt | None = "dear" if is_dear(cost, campaign.clock.left) else None
    for ident in idents:
        if campaign.archive.stage(ident, rung.name, rung=rung.number, seed=campaign.record.brief.seed) is not None:
            going.append(ident)  # in an earlier session
            continue
        text = f"{ident} goes up to {rung.name}" + (f", about {cost:.0f} s" if cost else "")
        veto = await asked_once(campaign, ident, "promotion", text, stage=f"approval:{rung.name}", doubt=doubt)
        if veto:
            campaign.on_event(Notice(text=f"{ident} stays where it is: {veto}"))
        else:
            going.append(ident)
    return tuple(going)


def _seconds_at(campaign: CampaignContext, rung: Rung) -> float:
    """What the slowest baseline's run at this rung took; 0 while none has been there."""
    own = (m for b in baselines_of(campaign) for m in b.measurements if (m.rung, m.steps) == (rung.number, rung.steps))
    return max((m.train_seconds + m.eval_seconds for m in own), default=0.0)


def _near(campaign: CampaignContext, candidates: Sequence[str]) -> tuple[str, ...]:
    """Those among whom finalists are chosen. Tuning makes nobody worse, so it leaves them the same."""
    schedule = campaign.schedule
    found = _standings(campaign, candidates, schedule.rungs[-1])
    return halving.finalists(found, schedule.finalists + NEAR, metric=campaign.task.metric)


def _standings(campaign: CampaignContext, idents: Sequence[str], rung: Rung) -> list[halving.Standing]:
    experiments = [e for e in map(campaign.archive.experiment, idents) if _may_go_on(campaign, e, rung)]
    metric = campaign.task.metric
    found = (halving.standing(e.id, e.measurements, metric=metric, steps=rung.steps) for e in experiments)
    return [s for s in found if s is not None]


def _may_go_on(campaign: CampaignContext, experiment: Experiment, rung: Rung) -> bool:
    """Whether it may be chosen at `rung`: no candidate that was vetoed or failed.

    Who failed above, or on a fresh seed, was chosen before that: a resumed campaign chooses nobody in its place.
    """
    failed = experiment.status is ExperimentStatus.FAILED
    if experiment.role is Role.BASELINE or not (failed or experiment.status is ExperimentStatus.REJECTED):
        return True
    names, first = [r.name for r in campaign.schedule.rungs], campaign.record.brief.seed
    above, screened = names[names.index(rung.name) + 1 :], range(first, first + campaign.schedule.screen_seeds)
    trained = [r for r in experiment.stages if "measurements" in r.payload]
    return failed and any(r.stage in above or r.seed not in screened for r in trained)


def _best(campaign: CampaignContext, idents: Sequence[str], rung: Rung, keep: int | None) -> tuple[str, ...]:
    return halving.climbers(_standings(campaign, idents, rung), keep, metric=campaign.task.metric)


def _resolution(campaign: CampaignContext, found: Sequence[str], rivals: Sequence[str]) -> halving.Resolution:
    """What a confirmation could tell, with the noise that the campaign's own runs show where none is calibrated.

    Taken up again, it is asked as it was the first time, before any fresh run and any verdict of `found`.
    """
    schedule = campaign.schedule
    everybody = {*found, *rivals, *(b.id for b in baselines_of(campaign))}
    stored = [campaign.archive.stage(ident, FRESH) for ident in found]
    known = [s["verdict"]["confirmation"] for s in stored if s and s["verdict"]]
    arms = [campaign.archive.experiment(ident).measurements for ident in sorted(everybody)]
    return halving.resolution(
        [[m for m in arm if not m.fresh] for arm in arms],
        metric=campaign.task.metric,
        wanted=schedule.confirm_seeds,
        smallest=schedule.smallest_effect,
        confirmation=min(known, default=confirmed(campaign) + 1),
        most=schedule.most_seeds,
    )
