"""The study of accusations: shifts have names, what is made false is false, and the rule it names is the lab's."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from move37.agents.search.grammar import BASELINES, faults
from move37.benchmarks.accusations import FALSE, built, composition, kind, looks, made_false, mixers, recorded
from move37.benchmarks.accusations_rules import RULES, accused_trainings, quantile, table
from move37.benchmarks.json_lines import read
from move37.lab.inside.remote import Record
from move37.lab.inside.shifts import Shift
from move37.lab.inside.verify import EXPECTED, ON_INPUT, Checks


def row(one: list[float], both: list[float], loudness: float = 100.0, **changes: object) -> dict[str, object]:
    plain = {"plan": "a", "step": 1, "layer": 0, "gradients": "honest", "kind": "input", "loudness": loudness}
    return plain | {"one_side": one, "both_sides": both} | changes


def test_compositions_are_valid_and_differ() -> None:
    found = [composition(seed) for seed in range(20)]
    assert len(set(found)) > 15 and not any(faults(genome) for genome in found)
    assert composition(3) == found[3]


def test_a_study_of_unseen_compositions_has_nothing_of_those_before() -> None:
    seen, unseen = mixers(0, 5), mixers(5, 4)
    assert set(BASELINES.values()) <= set(seen) and not set(BASELINES.values()) & set(unseen)
    assert unseen == list(dict.fromkeys(composition(seed) for seed in range(5, 9)))


def test_shifts_are_named_by_what_they_move() -> None:
    whole, quiet = torch.ones(3), torch.tensor([1.0, 0.0, 1.0])
    assert kind(Shift(x=whole, values=[None])) == "input"
    assert kind(Shift(x=quiet, values=[None])) == "input, quiet"
    assert kind(Shift(x=None, values=[None, whole])) == "one weight"
    assert kind(Shift(x=None, values=[quiet, None])) == "one weight, quiet"
    assert kind(Shift(x=None, values=[whole, quiet])) == "all weights"


@pytest.mark.parametrize("how", FALSE)
def test_what_is_made_false_is_false_and_has_the_same_shape(how: str) -> None:
    gradients = [torch.randn(4, 4), None, torch.randn(3)]
    x = torch.randn(2, 4)
    record = Record(x=x, y=x, values=[torch.ones(1)] * 3, seed=0, of_y=x, of_x=x.clone(), of_values=gradients)
    false = made_false(record, how, random.Random(0))
    assert false.of_values[1] is None and false.of_x is not None
    pairs = [(g, f) for g, f in zip(gradients, false.of_values, strict=True) if g is not None and f is not None]
    assert all(g.shape == f.shape for g, f in pairs) and any(not torch.allclose(g, f) for g, f in pairs)


def test_a_rule_accuses_where_every_look_that_it_believes_disagrees() -> None:
    accuses = {
        name: [
            rule(r) for r in (row([0.25, 0.26, 0.28], [0.25, 0.05, 0.01]), row([0.9, 0.5, 0.1], [0.9, 0.5, 0.1], 5.0))
        ]
        for name, rule in RULES.items()
    }
    assert accuses["one side, 0.2"] == [True, False], "near enough rounding agrees with anything"
    assert accuses["one side, 0.3"] == [False, False]
    assert accuses["both sides, 0.2"] == [False, True]
    assert not any(rule(row([0.01], [])) for rule in RULES.values())


def test_a_training_is_refused_by_any_of_its_checks() -> None:
    rows = [row([1.0], [], plan=plan) for plan in "aab"]
    assert accused_trainings(rows, lambda r: r["plan"] == "b") == pytest.approx(0.5)
    half = [row([1.0], [], layer=layer, step=layer) for layer in (0, 1)]
    assert accused_trainings(half, lambda r: r["layer"] == 1) == pytest.approx(1 - 0.5 ** (2 * EXPECTED))


def test_the_table_has_every_kind_and_every_gradient(tmp_path: Path) -> None:
    text = table([row([0.5], [0.5]), row([0.1], [], gradients="times 0.7")])
    assert "| input | 1 | 0.5000 |" in text and "| honest | 1 | 1.0000 |" in text and "| times 0.7 | 1 | 0.0000" in text
    assert [quantile([1.0, 2.0, 3.0], share) for share in (0.0, 0.5, 1.0)] == [1.0, 2.0, 3.0]
    (tmp_path / "rows").write_text('{"plan": 1}\n{"pla')
    assert read(tmp_path / "rows") == [{"plan": 1}] and read(tmp_path / "nothing") == []


def test_the_rule_in_use_is_what_the_lab_says_of_the_same_draw() -> None:
    torch.set_num_threads(1)
    text = np.random.default_rng(0).integers(97, 123, size=5000, dtype=np.uint8)
    remote, network = built(composition(1))
    (honest,) = recorded(network, text, (1,)).values()
    for record in (honest[0], made_false(honest[0], "orthogonal", random.Random(0))):
        for seed in range(3):
            lab, ours = (Checks(fresh=lambda: remote, shifts=True, draw=random.Random(seed)) for _ in range(2))
            (found,) = lab.disagreements([record])
            shift = ours.shift(record, on_input=ours.draw.random() < ON_INPUT)
            one, both, loudness = looks(remote, record, shift)
            assert RULES["both sides, 0.2"](row(one, both, loudness)) == (found > 0.2)
