"""What fits into the time that is left: probes, further seeds, one more candidate.

Read `holds` first. Costs are those of this campaign's own runs: a slow or busy machine gets fewer candidates and fewer
seeds. Where the least number of candidates fills the time, there are no fresh seeds. These are guesses beforehand: what
a training above the screen has not done at the end of the time is cut (`agents/cycle.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from move37.agents.context import CampaignContext
from move37.agents.events import Notice
from move37.agents.experiment_context import baselines_of
from move37.lab import halving
from move37.lab.records import Experiment
from move37.lab.tasks.task import SECRET, Rung

CONFIRM_COSTS = 1.2  # times a screening run: a confirmation scores three times as much text
SPOKEN_FOR = "the time left belongs to the climb of the best and to fresh seeds. `--max-time` gives more."
USEFUL_SEEDS = 3  # fresh seeds that are kept time for before anything optional begins


def holds(campaign: CampaignContext, arms: Sequence[str], *, runs: float, seeds: int = USEFUL_SEEDS) -> bool:
    """Whether `runs` whole trainings fit into the time left, beside a confirmation on `seeds` fresh seeds.

    They are taken to be as slow as the slowest of `arms`.
    """
    left = campaign.clock.left
    if left is None:
        return True
    slowest = max((_whole_run_seconds(campaign, campaign.archive.experiment(a)) for a in arms), default=0.0)
    # Each finalist and each rival runs once a seed.
    confirming = seeds * (halving.RIVALS + campaign.schedule.finalists) * CONFIRM_COSTS
    return left >= (runs + confirming) * slowest / max(1, campaign.workers)


def another_candidate(campaign: CampaignContext) -> bool:
    """Whether the time left holds one more candidate, the climb of the best so far and the least confirmation."""
    schedule = campaign.schedule
    own = tuple(b.id for b in baselines_of(campaign))
    screen = schedule.rungs[0].steps / max(1, schedule.rungs[-1].steps)
    runs = screen + _climb(schedule.rungs, among=schedule.generation)
    if not rivals_of(campaign, schedule.rungs[-1]):  # the baselines have not been promoted yet
        runs += _climb(schedule.baseline_rungs, among=len(own))
    return holds(campaign, own, runs=runs, seeds=halving.LEAST_SEEDS)


def holds_probes(campaign: CampaignContext, arms: Sequence[str]) -> bool:
    """Whether probes, which rank nobody, fit into the time left beside a confirmation; where not, it is told."""
    schedule, own = campaign.schedule, [b.id for b in baselines_of(campaign)]
    if all(r.steps for r in (*schedule.rungs, *schedule.baseline_rungs)):
        return True
    if holds(campaign, (*arms, *own), runs=2 * len(own)):
        return True
    campaign.on_event(Notice(text="Probes are left out: the time that is left belongs to the confirmation."))
    return False


def fresh_seeds(campaign: CampaignContext, arms: Sequence[str], wanted: int) -> tuple[int, ...]:
    """Up to `wanted` seeds that chose nothing: those begun already, and as many more as the time left holds.

    Before the first one their cost is guessed from the screen, which was three trainings one after another; asked
    again, it is what fresh runs took.
    """
    records = [campaign.archive.experiment(ident) for ident in arms]
    # Arms get the same seeds, so the first one's count for all.
    begun = len({m.seed for m in records[0].measurements if m.fresh})
    if begun:
        seconds = max(_fresh_run_seconds(campaign, e) for e in records)
    else:
        seconds = max(_whole_run_seconds(campaign, e) for e in records) * CONFIRM_COSTS
    fitting = halving.affordable_seeds(
        wanted, arms=len(arms), seconds_per_run=seconds, seconds_left=campaign.clock.left, workers=campaign.workers,
        begun=begun,
    )  # fmt: skip
    first = campaign.record.brief.seed
    used = range(first, first + campaign.schedule.screen_seeds)
    secret = campaign.record.facts.get(SECRET)
    base = (
        first if secret is None else int(secret) % halving.SEED_BASES
    )  # so that a candidate's author cannot know them
    return halving.fresh_seeds(max(fitting, begun), campaign_seed=base, used=used)


def rivals_of(
    campaign: CampaignContext, rung: Rung, count: int = halving.RIVALS, *, again: bool = False
) -> tuple[str, ...]:
    """The campaign's best baselines at a rung, best first; `again`: of those with the most screening seeds alone."""
    measured = {b.id: b.measurements for b in baselines_of(campaign)}
    return halving.best_baselines(measured, metric=campaign.task.metric, steps=rung.steps, count=count, again=again)


def _climb(rungs: Sequence[Rung], *, among: int) -> float:
    """What the rungs above the first cost `among` so many, in whole trainings."""
    trained = [r for r in rungs if r.steps]
    whole, going, runs = max((r.steps for r in trained), default=1), among, 0.0
    for below, rung in pairwise(trained):
        # A rung continues from the one below, so it costs the steps between them only.
        going = going if below.keep is None else min(below.keep, going)
        runs += going * (rung.steps - below.steps) / whole
    return runs


def _whole_run_seconds(campaign: CampaignContext, experiment: Experiment) -> float:
    """Rungs continue each other, so a training from the start costs what one arm's screening runs cost together."""
    seed = campaign.record.brief.seed
    screened = {
        m.steps: m
        for m in experiment.measurements
        if m.metric == campaign.task.metric.name and not m.fresh and m.seed == seed
    }
    done, whole = max(screened, default=0), campaign.schedule.rungs[-1].steps
    seconds = sum(m.train_seconds + m.eval_seconds for m in screened.values())
    return seconds * whole / done if done else seconds


def _fresh_run_seconds(campaign: CampaignContext, experiment: Experiment) -> float:
    fresh = [m for m in experiment.measurements if m.metric == campaign.task.metric.name and m.fresh]
    return max((m.train_seconds + m.eval_seconds for m in fresh), default=0.0)
