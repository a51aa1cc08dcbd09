"""The published studies: what is asked for, what counts as agreement, and rows that a second session goes on from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from move37.benchmarks import memorisation, parity
from move37.benchmarks.sequence_models import GLA, Attention, Backbone, DeltaNet, Mamba
from move37.benchmarks.studies import SeedSummary, StudyRuns, judged


@given(st.integers(0, 2**31))
def test_parity_is_asked_for_at_the_last_bit_alone_and_padding_says_nothing(seed: int) -> None:
    tokens, last, answer = parity.draw(8, (3, 40), torch.Generator().manual_seed(seed))
    for row, place, due in zip(tokens.tolist(), last.tolist(), answer.tolist(), strict=True):
        assert 3 <= place + 1 <= 40
        assert set(row[: place + 1]) <= {0, 1} and set(row[place + 1 :]) <= {parity.PADDING}
        assert sum(row[: place + 1]) % 2 == due


def test_every_beginning_of_a_row_is_a_sequence_with_its_answer_at_its_end() -> None:
    bits, rows, places, answers = parity.beginnings(3, torch.Generator().manual_seed(0))
    assert sorted({int(p) + 1 for p in places}) == list(range(3, 41)) and len(rows) == 3 * 38
    for row, place, due in zip(rows.tolist(), places.tolist(), answers.tolist(), strict=True):
        assert int(bits[row, : place + 1].sum()) % 2 == due


@pytest.mark.parametrize("arm", parity.ARMS)
def test_an_answer_does_not_depend_on_what_stands_behind_it(arm: str) -> None:
    torch.manual_seed(0)
    model = Backbone(parity.ARMS[arm], vocabulary=3, answers=2, width=32, heads=4, layers=2).double()
    tokens = torch.randint(2, (2, 12))
    rows, places = torch.arange(2), torch.tensor([5, 7])
    longer = torch.cat([tokens[:, :8], torch.full((2, 4), parity.PADDING)], 1)
    torch.testing.assert_close(model(tokens, rows, places), model(longer, rows, places))


def eigenvalue(mixer: nn.Module, write: float) -> float:
    """What stands in a DeltaNet's state along a unit key after a second write of nothing, at this logit of beta."""
    assert isinstance(mixer, DeltaNet)
    return float(1.0 - mixer.top * torch.tensor(write).sigmoid())


@pytest.mark.parametrize(("top", "least"), [(1.0, 0.0), (2.0, -1.0)])
def test_a_delta_rule_reaches_the_eigenvalues_that_its_arm_is_named_after(top: float, least: float) -> None:
    mixer = DeltaNet(8, 2, top=top)
    assert eigenvalue(mixer, 30.0) == pytest.approx(least, abs=1e-6) and eigenvalue(mixer, -30.0) == pytest.approx(1.0)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_mamba_is_its_recurrence_step_by_step(low: float) -> None:
    """One channel by hand, in plain numbers."""
    torch.manual_seed(1)
    mixer = Mamba(4, 1, low=low, state=2).double()
    x = torch.randn(1, 5, 4, dtype=torch.float64)
    u, gate = mixer.into(x).chunk(2, dim=-1)
    padded = torch.nn.functional.pad(u, (0, 0, 3, 0))
    u = torch.nn.functional.silu(torch.stack([padded[:, i : i + 5] * mixer.conv[:, i] for i in range(4)]).sum(0))
    rank, b, c = mixer.chosen(u).split([mixer.rank, 2, 2], dim=-1)
    dt = torch.nn.functional.softplus(mixer.step(rank))
    seen = torch.zeros_like(u)
    for channel in range(u.shape[-1]):
        held = [0.0, 0.0]
        for t in range(5):
            for n in range(2):
                kept = torch.exp(-dt[0, t, channel] * (n + 1))
                kept = kept if low == 0.0 else 2 * kept - 1
                held[n] = float(kept * held[n] + dt[0, t, channel] * u[0, t, channel] * b[0, t, n])
            seen[0, t, channel] = sum(held[n] * c[0, t, n] for n in range(2)) + u[0, t, channel]
    torch.testing.assert_close(mixer(x), mixer.out(seen * torch.nn.functional.silu(gate)))


@given(st.sampled_from(memorisation.VOCABULARIES[:3]), st.integers(0, 1000))
def test_a_key_has_one_value_and_no_value_two_keys(vocabulary: int, seed: int) -> None:
    facts = memorisation.draw(vocabulary, seed)
    pairs = {*zip(facts.train_keys.ravel().tolist(), facts.train_values.ravel().tolist(), strict=True)}
    pairs |= {*zip(facts.test_keys.ravel().tolist(), facts.test_values.ravel().tolist(), strict=True)}
    keys, values = {k for k, _ in pairs}, {v for _, v in pairs}
    assert len(pairs) == len(keys) == len(values) and not keys & values and max(values) < vocabulary - 1
    assert facts.ceiling <= 1.0


def test_the_ceilings_are_the_chances_that_a_key_was_shown() -> None:
    """1 - (1 - 1/K)^4096 by vocabulary; the average of the six is what a perfect memory scores: 91.3 %."""
    found = [memorisation.draw(v, 0).ceiling for v in memorisation.VOCABULARIES]
    assert found == pytest.approx([1, 1, 0.9997, 0.982, 0.865, 0.632], abs=0.02)
    assert sum(found) / 6 == pytest.approx(0.913, abs=0.01)


def test_macro_accuracy_weighs_values_alike_and_counts_guesses_of_what_was_never_due() -> None:
    right, guessed = np.array([[1, 1, 1, 2]]), np.array([[1, 1, 0, 2]])
    assert memorisation.macro(guessed, right) == pytest.approx((2 / 3 + 1) / 3)  # 0 was guessed and never due
    assert memorisation.macro(np.array([[1, 1, -1, 2]]), right) == pytest.approx((2 / 3 + 1) / 2)


def test_what_was_not_run_may_be_anything_up_to_its_ceiling() -> None:
    rows = {256: [{"value": 1.0}, {"value": 1.0}], 512: [{"value": 0.4}, {"value": 0.4}]}
    found = memorisation.averages(rows)
    assert found.low == pytest.approx(1.4 / 6) and found.high == pytest.approx((1.4 + 0.9997 + 0.98 + 0.865 + 0.63) / 6, abs=0.01)  # fmt: skip  # noqa: E501
    everything = {v: [{"value": 0.5}, {"value": 0.5}] for v in memorisation.VOCABULARIES}
    assert memorisation.averages(everything).high == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("values", "published", "spread", "verdict"),
    [
        ([0.1, 0.2, 0.3], 0.25, 0.0, "covered"),
        ([1.0, 1.0, 1.0], 0.999, 0.006, "within its spread"),
        ([0.8, 0.81, 0.82], 0.552, 0.0, "DISAGREES"),
        ([0.5, 0.5, 0.5], 0.6, 0.05, "DISAGREES"),
        ([0.5], 0.5, 0.0, "1 of at least 3 seeds: no verdict"),
    ],
)
def test_a_published_value_is_covered_or_the_disagreement_is_said(
    values: list[float], published: float, spread: float, verdict: str
) -> None:
    assert judged(SeedSummary.of(values, least=-1.0), published, spread) == verdict


def test_a_row_that_stands_is_not_run_again_and_a_cut_off_line_is(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    calls: list[int] = []

    def train() -> dict[str, float]:
        calls.append(1)
        return {"value": 0.5}

    StudyRuns(out).get({"seed": 0}, train)
    out.write_text(out.read_text() + '{"run": {"seed": 1}, "val')
    runs = StudyRuns(out)
    assert runs.get({"seed": 0}, train)["value"] == 0.5 and len(calls) == 1
    runs.get({"seed": 1}, train)
    assert len(calls) == 2 and [json.loads(line)["run"] for line in out.read_text().splitlines() if line.endswith("}")] == [{"seed": 0}, {"seed": 1}]  # fmt: skip  # noqa: E501
    StudyRuns(out).get({"seed": 1}, train)
    assert len(calls) == 2


@pytest.mark.parametrize("mixer", [GLA, Attention])
def test_mixers_of_the_studies_are_causal(mixer: type[nn.Module]) -> None:
    torch.manual_seed(0)
    layer = mixer(32, 4).double()
    x = torch.randn(1, 9, 32, dtype=torch.float64)
    y = x.clone()
    y[:, 5:] += 1.0
    torch.testing.assert_close(layer(x)[:, :5], layer(y)[:, :5])


@pytest.mark.slow
def test_the_studies_run_at_a_few_steps_and_say_what_was_published(tmp_path: Path) -> None:
    runs = StudyRuns(tmp_path / "rows.jsonl")
    (found,) = parity.study(runs, seeds=1, arms=["delta_net_to_0"], steps=10)
    assert found["published"] == 0.010 and -1.0 <= found["median"] <= 1.0 and set(found["medians"]) == {"0.01", "0.003"}  # fmt: skip  # noqa: E501
    assert "0.010 +- 0.005" in parity.table([found])
    with pytest.raises(ValueError, match="no arm x"):
        parity.study(runs, seeds=1, arms=["x"])
