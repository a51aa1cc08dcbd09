"""The seven baselines keep the contract that candidates are held to."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from move37.lab import baselines
from move37.lab.inside.network import ByteModel, count, fit_mlp_width
from move37.lab.scale import target_parameters
from move37.lab.training.contract import load_mixer
from move37.lab.training.sizes import D_MODEL, N_HEADS, TARGET_PARAMETERS, network_parameters
from tests.lab.gates.here import failing, gates_here, result
from tests.shortened import slow_but

QUADRATIC = ["complexity"]


@pytest.mark.parametrize("name", slow_but(baselines.NAMES, ("softmax",)))
def test_a_baseline_passes_every_gate(name: str) -> None:
    checked = gates_here(baselines.source(name))

    assert failing(checked) == (QUADRATIC if name == baselines.QUADRATIC else [])
    assert [r.name for r in checked.results if r.passed is None] == ["novelty"]


def test_softmax_is_exempt_by_its_very_source_and_no_copy_is() -> None:
    assert baselines.is_quadratic_baseline(baselines.source("softmax"))
    assert not baselines.is_quadratic_baseline(baselines.source("softmax") + "\n")
    assert not baselines.is_quadratic_baseline(baselines.source("gla"))


@pytest.mark.slow
def test_seven_baselines_compute_seven_things() -> None:
    known: list[Any] = []
    for name in baselines.NAMES:
        checked = gates_here(baselines.source(name), known=known)
        assert result(checked, "novelty").passed is not False
        assert checked.fingerprint is not None
        known.append(checked.fingerprint)


def test_parameters_agree_within_five_percent_and_networks_within_one() -> None:
    mixers = {name: load_mixer(baselines.source(name)) for name in baselines.NAMES}
    counts = {name: count(mixer(D_MODEL, N_HEADS)) for name, mixer in mixers.items()}

    assert max(counts.values()) == baselines.LARGEST
    assert max(counts.values()) <= 1.05 * min(counts.values())
    for name, mixer in mixers.items():
        network = ByteModel(mixer, mlp_width=fit_mlp_width(counts[name]))
        assert abs(count(network) - TARGET_PARAMETERS) <= 0.01 * TARGET_PARAMETERS


@pytest.mark.parametrize("name", baselines.NAMES)
def test_a_network_around_a_baseline_learns_a_pattern(name: str) -> None:
    torch.manual_seed(0)
    mixer = load_mixer(baselines.source(name))
    model = ByteModel(mixer, mlp_width=16)
    tokens = torch.tensor([[1, 2, 3, 4] * 6] * 4)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(12):
        optimiser.zero_grad()
        loss = model.loss(tokens)
        loss.backward()
        optimiser.step()

    assert float(model.loss(tokens).detach()) < 0.7


@pytest.mark.parametrize("name", baselines.NAMES)
@pytest.mark.parametrize("d_model", [64, 128, 256])
def test_every_baseline_fits_the_network_of_every_width(name: str, d_model: int) -> None:
    mixer = load_mixer(baselines.source(name))(d_model, N_HEADS)
    parameters = sum(p.numel() for p in mixer.parameters())
    width = fit_mlp_width(parameters, target_parameters(d_model), d_model=d_model)
    total = network_parameters(parameters, width, d_model=d_model)
    assert abs(total - target_parameters(d_model)) <= 0.01 * target_parameters(d_model)
    assert width > d_model // 8
