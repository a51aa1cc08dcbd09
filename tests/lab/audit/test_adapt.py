"""Programs of the ecosystem become candidates; what cannot be adapted is told, and nothing is executed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab import baselines
from move37.lab.audit.adapt import adapted
from move37.lab.training.contract import check_source, load_mixer
from tests.lab.audit.programs import CONFIGURED, HONEST, OWN, UNTESTABLE


@pytest.mark.parametrize("source, layer", [(HONEST, "DeltaNet"), (CONFIGURED, "Attention"), (OWN, "Mixer")])
def test_a_layer_of_the_ecosystem_becomes_a_candidate_that_runs(source: str, layer: str) -> None:
    import torch

    found = adapted(source)
    assert found.reason == "" and found.layer == layer
    check_source(found.source)
    mixer = load_mixer(found.source)(64, 4)
    x = torch.randn(2, 20, 64)
    y = mixer(x)
    assert y.shape == x.shape and torch.isfinite(y).all()


@pytest.mark.parametrize("name", baselines.NAMES)
def test_a_file_to_our_own_contract_stays_a_candidate(name: str) -> None:
    found = adapted(baselines.source(name))
    check_source(found.source)
    assert found.layer == "Mixer" and found.source.count("class Mixer") == 1


@pytest.mark.parametrize(
    "line",
    ["import kernels", "from move37 import kernels", "import move37.kernels", "from move37.kernels import l2norm"],
)
def test_our_kernels_are_kept_under_every_name_that_the_contract_allows(line: str) -> None:
    assert line in adapted(f"{line}\n{OWN}").source


@pytest.mark.parametrize("name", [n for n in UNTESTABLE if n != "raises"])
def test_what_cannot_be_adapted_is_told_in_a_sentence(name: str) -> None:
    source, word = UNTESTABLE[name]
    assert word in adapted(source).reason


def test_an_import_with_a_fallback_takes_what_is_served() -> None:
    source = OWN.replace(
        "import torch\n", "import torch\ntry:\n    from fla.no import Thing\nexcept ImportError:\n    import math\n"
    )
    assert adapted(source).reason == ""


def test_an_alias_stays_bound() -> None:
    source = HONEST.replace("l2norm import l2norm", "l2norm import l2norm as unit").replace("l2norm(q)", "unit(q)")
    source = source.replace("l2norm(k)", "unit(k)")
    assert adapted(source).reason == "" and "unit = l2norm" in adapted(source).source


@given(
    st.text(max_size=300)
    | st.sampled_from([HONEST, OWN]).flatmap(lambda s: st.integers(0, len(s)).map(lambda n: s[:n]))
)
def test_no_text_breaks_the_adapter(source: str) -> None:
    found = adapted(source)
    assert bool(found.reason) != bool(found.source)
