"""Searches side by side: each arm proposes valid new genomes, all get the same compute, and a better search wins."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from move37.agents import arms
from move37.agents.arms import ARMS, Tried
from move37.agents.comparing import CLIMBERS, ArmOutcome, Outcomes, StoredOutcome, campaign, laws, prepare, summarise
from move37.agents.search.codegen import genome_of
from move37.agents.search.grammar import BASELINES, Genome, faults, operators_in
from move37.lab import baselines
from move37.lab.measuring import MeasuringContext
from move37.lab.records import Candidate, Comparison
from move37.lab.standings import Standings
from move37.lab.tasks.task import Baseline, Rung, Schedule
from tests.lab.arithmetic import TOP, ArithmeticTask, noise

SCREEN = Rung(number=2, name="lm@100", steps=100)
LEVEL = {name: 2.9 - 0.05 * n for n, name in enumerate(BASELINES)}


class GrammarTask(ArithmeticTask):
    """The seven baselines, and a landscape over operators: a skip and a short decay help, twice as many heads hurt."""

    @property
    def baselines(self) -> tuple[Baseline, ...]:
        return tuple(
            Baseline(name=n, candidate=Candidate(source=f"baseline {f}", author="baseline", family=f))
            for n, f in baselines.FAMILIES.items()
        )

    def schedule(self, preset: str) -> Schedule:
        return Schedule(
            preset=preset, candidates=4, generation=4, rungs=(SCREEN, TOP), baseline_rungs=(TOP,), learning_rate=1e-2
        )


def level(source: str, rung: Rung, seed: int) -> float:
    genome = genome_of(source)
    family = genome.family if genome is not None else source.removeprefix("baseline ")
    names = operators_in(genome) if genome is not None else ()
    gain = 0.1 * ("learned_floor" in names) + 0.1 * ("decay_init_short" in names) - 0.2 * ("more_heads" in names)
    return LEVEL.get(family, 3.0) + (500 - rung.steps) / 1000 - gain + noise(source, seed, sd=0.005)


def a_context(home: Path, task: ArithmeticTask) -> MeasuringContext:
    return MeasuringContext(
        task=task, sandbox=None, standings=Standings(home / "s.jsonl"), workdir=home, places=asyncio.Semaphore(2)  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_proposes_valid_genomes_that_nobody_tried_and_repeats_itself(arm: str) -> None:
    def walk() -> list[Genome]:
        search, rng = ARMS[arm](3), Random(3)
        tried = [Tried(genome=g, value=LEVEL[f]) for f, g in BASELINES.items()]
        for _ in range(12):
            found = search.propose(tried, rng)
            assert found is not None and not faults(found.genome)
            assert found.genome not in {t.genome for t in tried}
            value = None if len(tried) == 9 else 2.5 + noise(found.genome.to_json(), 0)
            tried.append(Tried(genome=found.genome, value=value, base=found.base))
        return [t.genome for t in tried]

    assert walk() == walk()


async def test_every_arm_gets_the_same_runs_and_baselines_are_trained_once(tmp_path: Path) -> None:
    task = GrammarTask(level)
    context = a_context(tmp_path, task)
    ground = await prepare(context, 0, fresh_seeds=3)
    shared = len(task.measured)
    assert shared == 7 * 2 + 2 * 3
    outcomes = [await campaign(context, arm, ground, candidates=6) for arm in ARMS]
    assert len(task.measured) - shared <= len(ARMS) * (6 + CLIMBERS + 3)
    assert not any(source.startswith("baseline") for source, _, _ in task.measured[shared:])
    for outcome in outcomes:
        assert len(outcome.screened) == 6 and outcome.comparison is not None and outcome.comparison.seeds == 3
        assert outcome.core_seconds == pytest.approx(6 + CLIMBERS + 3)
        gains = [gain for _, gain in outcome.screened]
        assert gains == sorted(gains)


@pytest.mark.slow
async def test_a_search_that_learns_finds_more_than_chance_on_a_landscape_with_structure(tmp_path: Path) -> None:
    task = GrammarTask(level)
    context = a_context(tmp_path, task)
    outcomes = []
    for seed in range(4):
        ground = await prepare(context, seed, fresh_seeds=3)
        outcomes += [await campaign(context, arm, ground, candidates=30) for arm in ("designer", "random")]
    designer, chance = summarise(outcomes)
    assert designer.campaigns == chance.campaigns == 4 and designer.low is not None
    assert designer.effect > chance.effect - 0.02
    assert 0.0 <= designer.better <= 1.0


async def test_a_second_comparison_trains_nothing_again(tmp_path: Path) -> None:
    task = GrammarTask(level)
    context = a_context(tmp_path, task)
    first = await campaign(context, "random", await prepare(context, 1, fresh_seeds=2), candidates=4)
    trained = len(task.measured)
    assert await campaign(context, "random", await prepare(context, 1, fresh_seeds=2), candidates=4) == first
    assert len(task.measured) == trained


def an_ending(arm: str, seed: int, budget: int, effect: float | None, corpus: str = "here") -> StoredOutcome:
    met = None if effect is None else Comparison(
        question="baseline", rival="gla", name="gla", effect=effect, low=effect - 0.1, high=effect + 0.1,
        confidence=0.97, seeds=5,
    )  # fmt: skip
    ended = ArmOutcome(arm=arm, seed=seed, genome="{}", comparison=met, core_seconds=10.0 * budget + seed)
    return StoredOutcome(budget=budget, corpus=corpus, outcome=ended)


def test_ended_campaigns_are_kept_once_and_a_cut_line_is_skipped(tmp_path: Path) -> None:
    kept = Outcomes(tmp_path / "home" / "comparisons.jsonl")
    assert kept.all() == ()
    for _ in range(2):
        kept.put(an_ending("random", 0, 6, 0.1))
    with kept.path.open("a") as file:
        file.write('{"budget": 6, "corp')
    kept.put(an_ending("random", 1, 6, None))
    assert kept.all() == (an_ending("random", 0, 6, 0.1), an_ending("random", 1, 6, None))


def test_a_law_is_of_one_corpus_and_of_the_newest_campaign_of_each_seed_and_budget(tmp_path: Path) -> None:
    rng = Random(1)
    kept = [an_ending("random", 0, 6, 9.9, corpus="another"), an_ending("random", 0, 1, 9.9)]
    for arm, slope in (("random", 0.0), ("designer", 0.01)):
        kept += [
            an_ending(arm, seed, budget, slope * budget + rng.gauss(0, 0.005))
            for seed in range(5)
            for budget in (1, 4, 12, 30, 60)
        ]
    assert laws(()) == {}
    earlier = replace(an_ending("random", 0, 2, 9.9), rounds=3)  # climbed in another way
    small = an_ending("random", 7, 6, 9.9)
    assert small.outcome.comparison is not None
    of_another_scale = replace(small.outcome.comparison, scale="1x32h2-4x32")
    other = replace(small, outcome=replace(small.outcome, comparison=of_another_scale))
    found = laws([earlier, other, *kept, an_ending("designer", 9, 6, None)])
    assert found["random"].campaigns == found["designer"].campaigns == 25
    assert found["designer"].supported == "linear" and found["random"].supported in ("", "flat")


async def test_later_rounds_are_made_from_what_held_at_all_steps_and_everyone_climbs_once(tmp_path: Path) -> None:
    # At all steps one family is far ahead, and the screen shows little of it.
    def deceptive(source: str, rung: Rung, seed: int) -> float:
        genome = genome_of(source)
        family = genome.family if genome is not None else source.removeprefix("baseline ")
        slow = family == "delta"
        return (
            (2.0 if slow else 2.5)
            if rung.steps == TOP.steps
            else (2.6 if slow else 2.7) + noise(source, seed, sd=0.001)
        )

    task = GrammarTask(deceptive)
    context = a_context(tmp_path, task)
    ground = await prepare(context, 0, fresh_seeds=2)
    assert min(ground.whole, key=lambda f: ground.whole[f]) == "delta" and len(ground.whole) == len(BASELINES)
    shared = len(task.measured)
    await campaign(context, "designer", ground, candidates=12)
    runs = task.measured[shared:]
    steps = [rung for _, rung, _ in runs]
    tops = [i for i, rung in enumerate(steps) if rung == TOP.steps][:CLIMBERS]
    assert tops == [4, 5, 10, 11, 16, 17]  # two after every four
    whole = [runs[i][0] for i in tops]
    assert len(set(whole)) == len(whole)


def test_who_was_trained_longer_counts_by_what_it_gained_there() -> None:
    genome = next(iter(BASELINES.values()))
    led, held, lost, diverged = (
        Tried(genome=genome, value=v, gain=g) for v, g in ((2.5, 0.01), (2.6, 0.04), (2.4, -0.02), (2.3, float("-inf")))
    )
    assert sorted((led, held, lost, diverged), key=lambda t: t.rank) == [held, led, lost, diverged]
    plain = [Tried(genome=genome, value=v) for v in (2.6, 2.4)]
    assert sorted(plain, key=lambda t: t.rank) == plain[::-1]


def test_the_record_of_an_arm_is_that_of_a_campaign_the_gain_after_the_most_steps_that_both_have() -> None:
    base, made = BASELINES["gla"], BASELINES["gated_delta"]  # the second as if it were made from the first

    def effect(base_whole: float | None, made_whole: float | None) -> float:
        tried = [Tried(genome=base, value=2.6, whole=base_whole)]
        tried += [Tried(genome=made, value=2.5, base=base, whole=made_whole)]
        return arms._record(tried, arms.GRAMMAR).trials[0].effect

    assert effect(2.2, 2.3) == pytest.approx(-0.1)
    assert effect(2.2, None) == effect(None, 2.3) == pytest.approx(0.1)  # who has not been as far is compared there
