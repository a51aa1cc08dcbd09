"""After the screen: who goes up the ladder, and who is measured again on seeds that selected nothing.

`climb` is successive halving over the schedule's further rungs; `confirm` gives the finalist and the best baseline the
same fresh seeds, as many as the time left allows. Who goes on is decided by lab/ladder.py; here it is only carried out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from move37.agents import cycle, verify
from move37.agents.events import ExperimentMoved, Notice
from move37.agents.results import Judged
from move37.agents.room import Room
from move37.agents.steps import Steps
from move37.agents.table import Table, the_baselines
from move37.agents.together import together
from move37.lab import ladder
from move37.lab.records import Experiment, Role
from move37.lab.tasks.task import Rung

CONFIRM_COSTS = 1.2  # deciding reads three times the text that screening reads

Seat = Callable[[Experiment], tuple[Table, Steps]]


async def climb(room: Room, generation: Sequence[str], seat: Seat, yardstick: Awaitable[object]) -> None:
    """Take the generation's best from rung to rung; then each survivor is judged and explained again.

    `yardstick` is the baselines' own climb, which runs beside this one and ends before anybody is judged.
    """
    last = room.schedule.rungs[0]
    going = _best(room, generation, last, last.keep)
    climbed: set[str] = set()
    for rung in room.schedule.rungs[1:]:
        going = await _approved(room, going, rung)
        failures = await together(*(_go_up(room, ident, rung, seat) for ident in going))
        climbed.update(going)
        going = tuple(ident for ident, failure in zip(going, failures, strict=True) if not failure)
        last = rung if rung.steps else last  # probes do not rank: the last rung with the primary metric does
        going = _best(room, going, last, rung.keep)
    await yardstick
    for ident in sorted(climbed):
        await room.sandbox.release(ident)
        table, step = seat(room.archive.experiment(ident))
        await step("verdict:climb", Judged, verify.judge, table)
        await cycle.learn(table, step, after="climb")
        room.on_event(ExperimentMoved(experiment=room.archive.experiment(ident)))


async def confirm(room: Room, candidates: Sequence[str], seat: Seat) -> None:
    """Fresh seeds for the finalists and the best baseline, then the interval."""
    schedule, metric = room.schedule, room.task.metric
    top = schedule.rungs[-1]
    found = ladder.finalists(_standings(room, candidates, top), schedule.finalists, metric=metric)
    rival = _best_baseline(room, top)
    if not found or rival is None or schedule.confirm_seeds == 0:
        return
    seeds = _seeds(room, (*found, rival))
    if not seeds:
        room.on_event(Notice(text="No time is left for fresh seeds: no row gets an interval. `--max-time` gives more."))
        return
    await together(*(_again(room, ident, top, seed, seat) for seed in seeds for ident in (rival, *found)))
    for ident in (rival, *found):
        await room.sandbox.release(ident)
    for ident in found:
        table, step = seat(room.archive.experiment(ident))
        await step("verdict:fresh", Judged, verify.judge_fresh, table, rival, _missing(room, len(seeds)))
        await cycle.learn(table, step, after="fresh")
        room.on_event(ExperimentMoved(experiment=room.archive.experiment(ident)))


async def tune(room: Room, candidates: Sequence[str], seat: Seat) -> None:
    """The schedule's further learning rates for the finalists and every baseline: tuned equally hard."""
    if not room.schedule.finalist_rates:
        return
    top = room.schedule.rungs[-1]
    standings = _standings(room, candidates, top)
    found = ladder.finalists(standings, room.schedule.finalists, metric=room.task.metric)
    arms = (*found, *(e.id for e in the_baselines(room)))
    await together(
        *(_go_up(room, ident, top, seat, rate=rate) for rate in room.schedule.finalist_rates for ident in arms)
    )
    for ident in arms:
        await room.sandbox.release(ident)


def _missing(room: Room, seeds: int) -> tuple[str, ...]:
    wanted = room.schedule.confirm_seeds
    return () if seeds >= wanted else (f"Only {seeds} of {wanted} fresh seeds fitted into the time.",)


async def _go_up(room: Room, ident: str, rung: Rung, seat: Seat, rate: float | None = None) -> str:
    experiment = room.archive.experiment(ident)
    assert experiment.candidate is not None
    table, step = seat(experiment)
    climbed = experiment.role is Role.CANDIDATE
    trained = await cycle.train(table, step, experiment.candidate, rung, rate=rate, climbed=climbed)
    room.on_event(ExperimentMoved(experiment=room.archive.experiment(ident)))
    return trained.failure


async def _again(room: Room, ident: str, rung: Rung, seed: int, seat: Seat) -> None:
    experiment = room.archive.experiment(ident)
    assert experiment.candidate is not None
    table, step = seat(experiment)
    rate = ladder.tuned_rate(experiment.measurements, metric=room.task.metric, default=room.schedule.learning_rate)
    await cycle.train(table, step, experiment.candidate, rung, seed=seed, rate=rate, fresh=True)
    room.on_event(ExperimentMoved(experiment=room.archive.experiment(ident)))


async def _approved(room: Room, idents: Sequence[str], rung: Rung) -> tuple[str, ...]:
    going = []
    for ident in idents:
        veto = await room.approvals.asked(ident, "promotion", f"{ident} goes up to {rung.name}")
        if veto:
            room.on_event(Notice(text=f"{ident} stays where it is: {veto}"))
        else:
            going.append(ident)
    return tuple(going)


def _standings(room: Room, idents: Sequence[str], rung: Rung) -> list[ladder.Standing]:
    found = (
        ladder.standing(i, room.archive.experiment(i).measurements, metric=room.task.metric, steps=rung.steps)
        for i in idents
    )
    return [s for s in found if s is not None]


def _best(room: Room, idents: Sequence[str], rung: Rung, keep: int | None) -> tuple[str, ...]:
    return ladder.climbers(_standings(room, idents, rung), keep, metric=room.task.metric)


def _best_baseline(room: Room, rung: Rung) -> str | None:
    measured = {b.id: b.measurements for b in the_baselines(room)}
    return ladder.best_baseline(measured, metric=room.task.metric, steps=rung.steps)


def _seeds(room: Room, arms: Sequence[str]) -> tuple[int, ...]:
    records = [room.archive.experiment(ident) for ident in arms]
    begun = {m.seed for m in records[0].measurements if m.fresh}
    affordable = ladder.affordable_seeds(
        room.schedule.confirm_seeds,
        arms=len(arms),
        seconds_per_run=max(_whole_run_seconds(room, e) for e in records) * CONFIRM_COSTS,
        seconds_left=room.clock.left,
        workers=room.workers,
    )
    if not affordable and room.clock.left and room.clock.hard is None:
        affordable = ladder.LEAST_SEEDS  # a soft end: a wide interval late beats none in time
    used = (room.campaign.brief.seed,)
    return ladder.fresh_seeds(max(affordable, len(begun)), campaign_seed=used[0], used=used)


def _whole_run_seconds(room: Room, experiment: Experiment) -> float:
    """Rungs continue each other, so a training from the start costs what one arm's screening runs cost together."""
    screened = {m.steps: m for m in experiment.measurements if m.metric == room.task.metric.name and not m.fresh}
    return sum(m.train_seconds + m.eval_seconds for m in screened.values())
