"""The learning curve of forecasts: repeatable, honest about what came before, and cut where a training is missing."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from move37.agents.search.grammar import BASELINES, Genome, operators_in
from move37.benchmarks import predictions_campaign
from move37.benchmarks.predictions import Foreseen, curve, foreseen, table
from move37.benchmarks.predictions_campaign import ARMS, CachedTrainings, NoMoreTrainings, campaign
from move37.benchmarks.rediscovery_tasks import Trained
from move37.lab.foresight import screened_effect
from move37.lab.records import BITS_PER_BYTE


def planted(genome: Genome) -> float:
    """Every operator has a worth of its own: what a record can learn."""
    return 3.0 - sum(Random(o).gauss(0, 0.1) for o in operators_in(genome))


@pytest.mark.slow
@pytest.mark.parametrize("arm", ARMS)
def test_a_campaign_repeats_itself_and_every_experiment_was_forecast(arm: str) -> None:
    done, whole = campaign(arm, 1, 8, planted)
    assert whole and (done, whole) == campaign(arm, 1, 8, planted)
    proposed = done[len(BASELINES) :]
    assert len(proposed) == 8 and len({e.hypothesis.plan for e in proposed if e.hypothesis}) == 8
    authors = [{f.author for f in e.hypothesis.forecasts} for e in proposed if e.hypothesis]
    assert all("Researcher" in names for names in authors) and {"Researcher", "record"} in authors


def test_only_who_is_told_the_record_forecasts_by_it() -> None:
    """Without lessons the Researcher expects nothing of anything; the record is fitted beside it all the same."""
    for arm in ARMS:
        outcomes = foreseen(campaign(arm, 0, 12, planted)[0])["Researcher"]
        assert any(f.expected for f in outcomes) is (arm == "lessons")


def test_naive_forecasts_see_only_what_came_before() -> None:
    """Changing the last value changes no score but the last."""
    values: list[float] = []

    def shifted(genome: Genome) -> float:
        values.append(planted(genome) - (5.0 if len(values) == len(BASELINES) + 5 else 0.0))
        return values[-1]

    one, other = campaign("lessons", 0, 6, planted)[0], campaign("lessons", 0, 6, shifted)[0]
    before, after = foreseen(one)["Researcher"], foreseen(other)["Researcher"]
    assert before[:-1] == after[:-1] and before[-1].flat != after[-1].flat
    assert [f.effect for f in before] == [screened_effect(e, one, BITS_PER_BYTE) for e in one[len(BASELINES) :]]


def test_skill_is_counted_by_seed_and_a_short_one_is_left_out() -> None:
    good = [Foreseen(number=n, expected=n, effect=n, crps=0.5, flat=1.0, mean=2.0) for n in range(1, 9)]
    found = curve({0: good, 7: good[:2]}, 1, 10)
    assert found["over no effect"] == {0: 0.5} and found["over past mean"] == {0: 0.75}
    assert found["rank correlation"][0] == pytest.approx(1.0)


def test_a_training_is_run_once_and_a_session_ends_at_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Genome] = []

    def train(task: object, genome: Genome, *, seed: int, steps: int) -> Trained:
        asked.append(genome)
        return Trained(value=planted(genome), steps=steps, cpu_seconds=0.0)

    monkeypatch.setattr(predictions_campaign, "train", train)
    path = tmp_path / "cache.jsonl"
    first = CachedTrainings(path, 100, 9)
    done, whole = campaign("lessons", 0, 6, lambda g: first.value(g, 0))
    assert not whole and len(done) == len(asked) == 9
    path.write_text(path.read_text() + json.dumps({"plan": "x"})[:-1])  # cut off
    later = CachedTrainings(path, 100, None)
    again, whole = campaign("lessons", 0, 6, lambda g: later.value(g, 0))
    assert whole and again[:9] == done and len(asked) == len(BASELINES) + 6
    kept = CachedTrainings(path, 100, 0)
    assert campaign("lessons", 0, 6, lambda g: kept.value(g, 0)) == (again, True)
    with pytest.raises(NoMoreTrainings):
        CachedTrainings(None, 100, 0).value(BASELINES["gla"], 0)


def test_the_table_says_what_lessons_add_and_what_could_have_been_seen() -> None:
    found = {(arm, seed): campaign(arm, seed, 10, planted)[0] for arm in ARMS for seed in range(2)}
    text = table(found, 10)
    assert "| lessons | Researcher | 1 to 10 | 2 |" in text and "2 seeds; power .8 from" in text
    assert "the Critic refused" in text
