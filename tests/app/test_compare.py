"""`move37 compare`: what the campaigns found is said in words and can be kept as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from move37.agents.comparing import ArmOutcome
from move37.agents.search.codegen import genome_of
from move37.agents.search.grammar import BASELINES, from_json
from move37.app.commands import compare
from move37.app.exits import EnvironmentFault
from move37.lab.records import Comparison
from tests.app.conftest import Move37

PLAN = (
    '{"conv":true,"floor":"none","gate":"full","heads":"same","out_norm":true,"paths":[{"beta":1,"decay":"default",'
    '"family":"ssd","feature":"none","norm":"none","rotary":false,"window":0}],"residual":true,"router":"none",'
    '"streams":[{"mix":"shift","name":"gate","norm":false}]}'
)


def an_outcome(arm: str, seed: int, plan: str) -> ArmOutcome:
    comparison = Comparison(
        question="baseline",
        rival="mamba2",
        name="mamba2",
        effect=0.032,
        low=0.011,
        high=0.053,
        confidence=0.97,
        seeds=5,
    )
    return ArmOutcome(arm=arm, seed=seed, genome=plan, comparison=comparison if plan else None, core_seconds=900.0)


def test_what_was_found_is_told_against_its_familys_baseline() -> None:
    def told(plan: str) -> str:
        return compare.best_of(an_outcome("designer", 0, plan))[0]

    assert told(PLAN) == "ssd with gate_shift" and told("") == "nothing that could be measured"
    for genome in BASELINES.values():
        assert told(genome.to_json()) == genome.family


def test_the_table_names_every_campaigns_find_with_its_interval(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    compare._print((an_outcome("designer", 0, PLAN), an_outcome("random", 0, "")))
    said = capsys.readouterr().out
    assert "+0.032" in said and "[+0.011, +0.053]" in said and "gate_shift" in said
    assert "nothing that" in said


def test_kept_files_are_the_mixers_that_were_found(tmp_path: Path) -> None:
    compare._keep(tmp_path / "found", (an_outcome("designer", 0, PLAN), an_outcome("random", 1, "")))
    (kept,) = (tmp_path / "found").iterdir()
    assert kept.name == "designer-0.py" and genome_of(kept.read_text()) == from_json(PLAN)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        compare._keep(tmp_path / "file", ())


def test_a_comparison_goes_on_at_a_later_seed(monkeypatch: pytest.MonkeyPatch, move37: Move37) -> None:
    asked: list[list[int]] = []

    async def campaigns(_settings: object, _arms: list[str], seeds: range, *_more: int) -> tuple[ArmOutcome, ...]:
        asked.append(list(seeds))
        return tuple(an_outcome("designer", seed, PLAN) for seed in seeds)

    monkeypatch.setattr(compare, "_compare", campaigns)
    for more in ([], ["--first", "2"]):
        assert move37("compare", "--arms", "designer", "--seeds", "2", *more).status == 0
    assert asked == [[0, 1], [2, 3]]
