"""After the screen: two rivals, a second screening seed, refusals for want of resolution, and a clock that is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from move37.agents import campaign, promotion, time_left
from move37.agents.budget import BudgetChange
from move37.agents.clock import Clock
from move37.agents.events import Notice
from move37.agents.inbox import Inbox
from move37.lab import halving
from move37.lab.effects import effect_between
from move37.lab.records import SCREEN, Brief, Candidate, Experiment, Measurement, Role
from move37.lab.summary import summarise
from move37.lab.tasks.task import Measured, Rung, Schedule
from tests.agents.contexts import Arithmetic, a_context

PROBES = Rung(number=1, name="probes")


class Scheduled(Arithmetic):
    """Arithmetic under a schedule of the test's."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.changes = changes

    def schedule(self, preset: str) -> Schedule:
        return replace(super().schedule(preset), **self.changes)


def everything(context: Any) -> list[Experiment]:
    return list(context.archive.experiments())


async def test_a_finalist_meets_the_two_best_baselines_on_the_same_fresh_seeds(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path)
    await campaign.run(context)
    (finalist,) = [e for e in everything(context) if e.role is Role.CANDIDATE and any(m.fresh for m in e.measurements)]
    assert finalist.verdict is not None and finalist.verdict.confirmation == 1
    assert {c.rival for c in finalist.verdict.comparisons} == {"c1-linear", "c1-gated_delta"}
    seeds = {e.id: {m.seed for m in e.measurements if m.fresh} for e in everything(context)}
    assert len({frozenset(s) for s in seeds.values() if s}) == 1


async def test_each_confirmation_of_a_home_counts_whatever_its_task(tmp_path: Path) -> None:
    first, _ = a_context(tmp_path)
    await campaign.run(first)
    for task in ("mixers", "program:/other"):
        first.archive.begin_campaign(Brief(budget=2, task=task))
        again, _ = a_context(tmp_path, archive=first.archive)
        await campaign.run(again)
    looks = [e.verdict.confirmation for e in everything(first) if e.verdict is not None and e.verdict.confirmation]
    assert looks == [1, 2, 3]


async def test_a_confirmation_that_is_taken_up_again_asks_for_as_many_seeds_as_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own verdicts and fresh runs, which are stored by then, must not change how many seeds it takes."""
    asked: list[Any] = []

    def resolution(arms: Any, **how: Any) -> halving.Resolution:
        asked.append(([list(arm) for arm in arms], how))
        return halving.Resolution(seeds=2, floor=None)

    monkeypatch.setattr(halving, "resolution", resolution)
    context, _ = a_context(tmp_path, task=Scheduled(finalists=2))
    await campaign.run(context)
    fresh = [e for e in everything(context) if any(m.fresh for m in e.measurements)]
    found, rivals = ([e.id for e in fresh if e.role is role] for role in (Role.CANDIDATE, Role.BASELINE))
    assert len(found) == 2
    promotion._resolution(context, found, rivals)
    assert asked[0] == asked[1]


async def test_those_at_the_top_get_a_second_screening_seed_that_no_fresh_run_repeats(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, task=Scheduled(screen_seeds=2))
    await campaign.run(context)
    twice = [
        e for e in everything(context) if {m.seed for m in e.measurements if not m.fresh and m.steps == 200} == {0, 1}
    ]
    assert {e.role for e in twice} == {Role.BASELINE, Role.CANDIDATE}
    assert not any(m.fresh and m.seed in (0, 1) for e in everything(context) for m in e.measurements)


async def test_the_second_screening_seed_is_at_each_arms_best_rate_and_so_is_every_number_of_it(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, task=Scheduled(screen_seeds=2, finalist_rates=(5e-3, 2e-2), confirm_seeds=0))
    await campaign.run(context)
    twice = [e for e in everything(context) if any(m.seed == 1 and not m.fresh for m in e.measurements)]
    assert sum(e.role is Role.CANDIDATE for e in twice) == 2, "the finalist, and the runner-up that may become it"
    for e in twice:
        assert {m.seed for m in at(e, 5e-3)} == {0, 1} and at(e, 2e-2)
        assert all(m.seed == 0 for m in e.measurements if m not in at(e, 5e-3))
        mean = sum(m.value for m in at(e, 5e-3)) / 2
        assert summarise(e.measurements)["bits_per_byte"].mean == pytest.approx(mean)
    candidate, rival = (next(e for e in twice if e.role is role) for role in (Role.CANDIDATE, Role.BASELINE))
    effect = effect_between(candidate, rival, context.task.metric)
    assert effect is not None and effect.seeds == 2


async def test_who_was_screened_on_one_seed_alone_is_not_chosen_over_those_that_a_second_one_sobered(
    tmp_path: Path,
) -> None:
    class Sobering(Scheduled):
        async def measure(self, candidate: Candidate, **how: Any) -> Measured:
            found = await super().measure(candidate, **how)
            worse = 1.0 if how["seed"] == 1 and candidate.author != "baseline" else 0.0
            return replace(found, measurements=tuple(replace(m, value=m.value + worse) for m in found.measurements))

    rungs = tuple(replace(rung, keep=4) for rung in Scheduled().schedule("quick").rungs)
    context, _ = a_context(tmp_path, task=Sobering(rungs=rungs, screen_seeds=2), budget=4)
    await campaign.run(context)
    top = [e for e in everything(context) if e.role is Role.CANDIDATE and any(m.steps == 200 for m in e.measurements)]
    assert len(top) == 4
    (finalist,) = [e for e in top if any(m.fresh for m in e.measurements)]
    assert {m.seed for m in finalist.measurements if not m.fresh and m.steps == 200} == {0, 1}


def at(experiment: Experiment, rate: float) -> list[Measurement]:
    return [m for m in experiment.measurements if m.steps == 200 and m.learning_rate == rate]


async def test_a_best_rate_that_diverges_on_the_second_seed_gives_way_to_the_next_one(tmp_path: Path) -> None:
    class Wild(Scheduled):
        async def measure(self, candidate: Candidate, **how: Any) -> Measured:
            found = await super().measure(candidate, **how)
            wild = how["seed"] == 1 and how["learning_rate"] == 5e-3
            return replace(found, measurements=tuple(replace(m, diverged=wild) for m in found.measurements))

    context, _ = a_context(tmp_path, task=Wild(screen_seeds=2, finalist_rates=(5e-3,), confirm_seeds=0))
    await campaign.run(context)
    twice = [e for e in everything(context) if any(m.seed == 1 and m.diverged for m in e.measurements)]
    assert {e.role for e in twice} == {Role.BASELINE, Role.CANDIDATE}
    for e in twice:
        assert {(m.learning_rate, m.diverged) for m in e.measurements if m.seed == 1} == {(5e-3, True), (1e-2, False)}
        assert summarise(e.measurements)["bits_per_byte"].n == 2


async def test_a_metric_that_cannot_resolve_what_is_of_interest_is_not_confirmed_and_says_the_number(
    tmp_path: Path,
) -> None:
    context, events = a_context(tmp_path, task=Scheduled(screen_seeds=2, smallest_effect=1e-4))
    await campaign.run(context)
    assert not any(m.fresh for e in everything(context) for m in e.measurements)
    said = [e.text for e in events if isinstance(e, Notice) and "of interest" in e.text]
    told = [e.verdict.text for e in everything(context) if e.verdict is not None and "Not confirmed" in e.verdict.text]
    assert len(said) == 1 and len(told) == 1 and "0.0001 is of interest" in told[0]


@pytest.mark.parametrize("late", [False, True])
async def test_a_busy_machine_costs_probes_and_seeds_and_not_the_clock(tmp_path: Path, late: bool) -> None:
    rungs = (Rung(number=2, name="lm@100", steps=100, keep=2), PROBES, Rung(number=2, name="lm@200", steps=200, keep=1))
    task = Scheduled(rungs=rungs, baseline_rungs=(*rungs[::2], PROBES), screen_seeds=2)
    clock = Clock(before=570.0 if late else 0.0, soft=571.0)
    context, events = a_context(tmp_path, task=task, clock=clock)
    await campaign.run(context)
    probed = any(name == "probes" for _, name, _ in task.measured)
    again = any(not m.fresh and m.seed == 1 for e in everything(context) for m in e.measurements)
    fresh = any(m.fresh for e in everything(context) for m in e.measurements)
    assert (probed, again, fresh) == (not late,) * 3
    assert any("Probes are left out" in e.text for e in events if isinstance(e, Notice)) == late


@pytest.mark.parametrize(("seconds", "tried"), [(19.3, 2), (19.5, 4), (None, 4)])
async def test_a_slow_machine_gets_fewer_candidates_and_still_a_confirmation(
    tmp_path: Path, seconds: float | None, tried: int
) -> None:
    task = Scheduled(confirm_seeds=2)  # a run takes a second a rung: 19.4 for one more candidate and what follows
    context, events = a_context(tmp_path, task=task, clock=Clock(soft=seconds, now=lambda: 0.0), budget=4, workers=1)
    await campaign.run(context)
    candidates = [e for e in everything(context) if e.role is Role.CANDIDATE]
    assert len(candidates) == tried
    assert any(m.fresh for e in candidates for m in e.measurements)
    said = [e.text for e in events if isinstance(e, Notice) and "are tried" in e.text]
    assert said == ([f"{tried} candidates are tried; {time_left.SPOKEN_FOR}"] if tried == 2 else [])


async def test_who_grants_more_time_gets_the_candidates_that_time_had_held_back(tmp_path: Path) -> None:
    inbox, said = Inbox(), list[str]()

    def hear(event: Any) -> None:
        if isinstance(event, Notice) and "are tried" in event.text:
            said.append(event.text)
            inbox.change_budget(BudgetChange(seconds=1000.0))

    task = Scheduled(confirm_seeds=2)
    clock = Clock(soft=19.3, now=lambda: 0.0)
    context, _ = a_context(tmp_path, task=task, clock=clock, budget=4, workers=1, inbox=inbox, on_event=hear)
    await campaign.run(context)
    assert len(said) == 1 and sum(e.role is Role.CANDIDATE for e in everything(context)) == 4


async def test_seeds_are_added_while_the_time_that_fresh_runs_took_allows(tmp_path: Path) -> None:
    # The screen's guess is 2.4 s a run, a fresh one takes 1: two seeds are begun, and then as many as 18 s hold.
    task = Scheduled(confirm_seeds=8, most_seeds=8)
    context, _ = a_context(tmp_path, task=task, clock=Clock(soft=18.0, now=lambda: 0.0), workers=1)
    await campaign.run(context)
    seeds = {e.id: {m.seed for m in e.measurements if m.fresh} for e in everything(context)}
    (same,) = {frozenset(found) for found in seeds.values() if found}
    assert len(same) == 8


async def test_baselines_go_up_by_the_same_rule_as_candidates(tmp_path: Path) -> None:
    low, top = Rung(number=2, name="lm@100", steps=100, keep=1), Rung(number=2, name="lm@200", steps=200)
    task = Scheduled(baseline_rungs=(low, top, PROBES))
    context, _ = a_context(tmp_path, task=task)
    await campaign.run(context)
    first = {e.id: e.measurements[0].value for e in everything(context) if e.role is Role.BASELINE}
    climbed = {e.id for e in everything(context) if e.id in first and any(m.steps == 200 for m in e.measurements)}
    assert len(first) == 2 and climbed == {min(first, key=first.__getitem__)}
    assert {e for e, name, _ in task.measured if name == "probes" and e in first} == climbed


async def test_baselines_are_trained_once_a_home_and_their_fresh_seeds_are_nobody_elses(tmp_path: Path) -> None:
    here = {"machine": "x86_64 avx2", "sandbox": "none", "torch": "2", "move37": "1"}
    task = Scheduled(screen_seeds=2)
    first, _ = a_context(tmp_path, task=task, environment=here)
    await campaign.run(first)
    counts = []
    for environment in (here, {**here, "machine": "aarch64"}):
        first.archive.begin_campaign(Brief(budget=2))
        task.measured.clear()
        context, _ = a_context(tmp_path, archive=first.archive, task=task, environment=environment)
        await campaign.run(context)
        own = f"c{context.record.id}-"
        counts.append(sum(e.startswith(own) and not e[-1].isdigit() and s < 1000 for e, _, s in task.measured))
        baselines = [e for e in everything(context) if e.id.startswith(own) and e.role is Role.BASELINE]
        assert all(any(m.text == SCREEN for m in e.measurements) for e in baselines)
    assert counts[0] == 0 and counts[1] > 0


@pytest.mark.parametrize("rate", [1e-2, 5e-3])
async def test_baselines_are_shared_at_the_campaigns_learning_rate_alone(tmp_path: Path, rate: float) -> None:
    here = {"machine": "m", "sandbox": "none", "torch": "2", "move37": "1"}
    first, _ = a_context(tmp_path, task=Scheduled(), environment=here, budget=1)
    await campaign.run(first)
    first.archive.begin_campaign(Brief(budget=1))
    task = Scheduled(learning_rate=rate)  # as after a calibration
    context, _ = a_context(tmp_path, archive=first.archive, task=task, environment=here)
    await campaign.run(context)
    trained = [e for e, _, seed in task.measured if not e[-1].isdigit() and seed < 1000]
    assert bool(trained) == (rate != 1e-2)
    again = [e for e in everything(context) if e.campaign == 2 and e.role is Role.BASELINE]
    assert {m.learning_rate for e in again for m in e.measurements if not m.fresh} == {rate}


async def test_a_baseline_that_failed_once_is_tried_again(tmp_path: Path) -> None:
    class Broken(Arithmetic):
        broken = True

        async def measure(self, candidate: Candidate, **how: Any) -> Measured:
            if self.broken and candidate.author == "baseline" and "linear" in candidate.source:
                return Measured(measurements=(), failure="the training crashed")
            return await super().measure(candidate, **how)

    here = {"machine": "m", "sandbox": "none", "torch": "2", "move37": "1"}
    task = Broken()
    first, _ = a_context(tmp_path, task=task, environment=here)
    await campaign.run(first)
    task.broken = False
    first.archive.begin_campaign(Brief(budget=1))
    context, _ = a_context(tmp_path, archive=first.archive, task=task, environment=here)
    await campaign.run(context)
    assert context.archive.experiment("c2-linear").measurements
