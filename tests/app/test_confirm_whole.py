"""A confirmation from its first question to its last: numbers by arithmetic, or trained at eight steps for 500.

By arithmetic all but the trainings is real: commands, archive, texts, gates, the sandbox that opens and ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES
from move37.agents.search.operators import put
from move37.lab import baselines
from move37.lab.archive.openings import openings
from move37.lab.archive.store import Archive
from move37.lab.claims import MORE_SEEDS
from move37.lab.records import ExperimentStatus, Role, Stage
from move37.lab.tasks import mixers_schedule
from move37.lab.tasks.mixers import MixersTask
from tests.agents.claims import reckoned
from tests.app.conftest import Move37
from tests.builders import a_brief, a_candidate, a_hypothesis, a_measurement
from tests.shortened import default_scale_of

STEPS = 8


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["reckoned", "trained"])
def trained(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[bool]:
    monkeypatch.setattr(mixers_schedule, "SMALLEST_EFFECT", 10.0)  # at eight steps nothing is to be resolved
    if not request.param:
        monkeypatch.setattr(MixersTask, "measure", reckoned)
    with default_scale_of(STEPS):
        yield request.param


def a_home(home: Path) -> None:
    """Two baselines and a candidate with one part more than the first of them, screened in name only."""
    from random import Random

    with Archive.open(home) as archive:
        campaign = archive.begin_campaign(a_brief())
        for number, name in enumerate(("linear", "retnet")):
            family = baselines.FAMILIES[name]
            ident = archive.begin_experiment(campaign.id, number, Role.BASELINE, name=name, family=family).id
            own = a_candidate(source=baselines.source(name), author="baseline", family=family)
            archive.finish_stage(ident, Stage.CANDIDATE, {"candidate": own})
            _measured(archive, ident, 3.5 + number / 10)
        genome = put("residual_path", BASELINES["linear"], Random(0))
        assert genome is not None
        ident = archive.begin_experiment(campaign.id, 1, Role.CANDIDATE, parents=("c1-linear",)).id
        hypothesis = a_hypothesis(family="linear", base="linear", plan=genome.to_json())
        archive.finish_stage(ident, Stage.HYPOTHESIS, {"hypothesis": hypothesis}, name="skip", family="linear")
        mine = a_candidate(source=emit(genome, name="skip"), family="linear")
        elsewhere = {"machine": "another machine"}
        archive.finish_stage(ident, Stage.CANDIDATE, {"candidate": mine}, environment=elsewhere)
        _measured(archive, ident, 3.4)


def _measured(archive: Archive, ident: str, value: float) -> None:
    m = a_measurement(value=value, steps=STEPS, total_steps=STEPS, width=64)
    archive.finish_stage(ident, "lm", {"measurements": (m,)}, rung=2, reached=2, status=ExperimentStatus.MEASURED)


def seeds(comparison: dict[str, Any]) -> int:
    return 2 * MORE_SEEDS.get(comparison["question"], 1)


def test_every_question_is_asked_stored_and_can_be_repeated(tmp_path: Path, move37: Move37, trained: bool) -> None:
    home = tmp_path / "home"
    a_home(home)
    second = tmp_path / "other.txt"
    second.write_text("".join(f"line {n} of another text, {n * n}\n" for n in range(40_000)))
    options = ("--sandbox", "process", "--second-corpus", str(second), "--json")
    first = move37("--home", str(home), "confirm", "1", "--seeds", "2", "--trials", "3", "--all", *options)
    assert first.status in (0, 1), first.err
    assert "measured on another machine, this is" in first.err and "measured anew" in first.err
    claim = json.loads(first.out)
    asked = [c["question"] for c in claim["comparisons"]]
    assert asked[:2] == ["baseline", "baseline"] and {"family", "ablation", "held_out", "second_corpus", "longer"} <= {
        *asked
    }
    weak = [c for c in claim["comparisons"] if c["seeds"] != seeds(c) or c["low"] is None]
    assert not weak, [(c["question"], c["rival"], c["seeds"], c["note"]) for c in weak]
    longer = next(c for c in claim["comparisons"] if c["question"] == "longer")
    assert (longer["steps"], longer["total_steps"]) == (4 * STEPS, 4 * STEPS)
    assert claim["part"] == "residual_path" and claim["core_seconds"] > 0
    with Archive.open(home, readonly=True) as archive:
        found = archive.experiment("c1-001")
        assert found.claim is not None and found.claim.confirmation == 1
        assert (found.status is ExperimentStatus.CONFIRMED) == claim["stands"]
        assert len(openings(archive)) == 1
    again = move37("--home", str(home), "confirm", "1", *options)
    assert again.status == 2 and "was confirmed once" in again.err
    repeated = move37("--home", str(home), "reproduce", "1", *options)
    assert repeated.status in (0, 1), repeated.err
    assert "measured on another machine, this is" in repeated.err and "old and new gains" in repeated.err
    pairs = json.loads(repeated.out)
    assert [p["question"] for p in pairs] == asked and all(p["new"]["seeds"] == seeds(p["new"]) for p in pairs)
    with Archive.open(home, readonly=True) as archive:
        assert len(openings(archive)) == 2
    if trained:  # what follows costs as much again
        return
    second.write_text(second.read_text().replace("another", "a third"))
    elsewhere = move37("--home", str(home), "reproduce", "1", *options)
    assert "not the claim's own text" in elsewhere.err
    assert [p["question"] for p in json.loads(elsewhere.out)] == [q for q in asked if q != "second_corpus"]
