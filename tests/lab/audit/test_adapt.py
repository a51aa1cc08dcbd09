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


LINEAR = "self.p = torch.nn.Linear(dim, dim)"
INIT = f"    def __init__(self, dim, num_heads):\n        super().__init__(); {LINEAR}\n"
SMALL = f"    def __init__(self, dim):\n        super().__init__(); {LINEAR}\n"
FORWARD = "    def forward(self, x):\n        return self.mix(self.p(x))\n"
MIX = "    def mix(self, x):\n        return x.cumsum(1)\n"
NORM = f"class Norm(torch.nn.Module):\n{SMALL}    def forward(self, x):\n        return self.p(x)\n"
MODULE, WITH_MASK = "(torch.nn.Module):\n", "    def forward(self, x, mask):\n        return self.p(x)\n"
INHERITED = {
    "forward": f"class Base{MODULE}{INIT}{FORWARD}{MIX}class Real(Base):\n{MIX}",
    "init": f"class Base{MODULE}{INIT}class Real(Base):\n{FORWARD}{MIX}",
    "both, over two": f"class A{MODULE}{INIT}{FORWARD}class B(A):\n    pass\nclass Real(B):\n{MIX}",
    "everything": f"class Base{MODULE}{INIT}{FORWARD}{MIX}class Real(Base):\n    pass\n",
    "from two": f"class A{MODULE}{INIT}class B:\n{FORWARD}{MIX}class Real(B, A):\n    pass\n",
    "handed on": f"class Base{MODULE}{INIT}{FORWARD}class Real(Base):\n"
    f"    def __init__(self, *args, **kwargs):\n        super().__init__(*args, **kwargs)\n{MIX}",
    "a base that needs a mask": f"class Base{MODULE}{INIT}{WITH_MASK}class Real(Base):\n{FORWARD}{MIX}",
}


@pytest.mark.parametrize("helper", ("", NORM))
@pytest.mark.parametrize("name", INHERITED)
def test_a_layer_may_inherit_what_makes_it_one(name: str, helper: str) -> None:
    import torch

    for source in (f"import torch\n{helper}{INHERITED[name]}", f"import torch\n{INHERITED[name]}{helper}"):
        found = adapted(source)
        assert found.reason == "" and found.layer == "Real"
        assert load_mixer(found.source)(8, 2)(torch.randn(1, 5, 8)).shape == (1, 5, 8)


@pytest.mark.parametrize("needs", ("x, mask", "x, cos, sin", "x, *, mask", "q, k, v"))
@pytest.mark.parametrize("before", (True, False))
def test_a_layer_that_needs_more_than_a_sequence_is_told_and_no_helper_judged_for_it(needs: str, before: bool) -> None:
    layer = f"class Attn(torch.nn.Module):\n{INIT}    def forward(self, {needs}):\n        return self.p(x)\n"
    found = adapted("import torch\n" + (layer + NORM if before else NORM + layer))
    assert (
        "looks like its layer" in found.reason and f"needs {needs.replace('*, ', '').split(', ', 1)[1]}" in found.reason
    )
    whole = f"{layer}{NORM}class Mine(torch.nn.Module):\n{INIT}    def forward(self, x):\n        return self.p(x)\n"
    assert adapted(f"import torch\n{whole}").layer == "Mine", "another one is the layer"


@pytest.mark.parametrize(
    ("test", "body", "otherwise"),
    (
        ("__name__ == '__main__'", False, True),
        ("'__main__' == __name__", False, True),
        ("TYPE_CHECKING", False, True),
        ("typing.TYPE_CHECKING", False, True),
        ("self.__class__.__name__ == 'Attn'", True, True),
        ("type(x).__name__ in ('a', 'b')", True, True),
        ("not TYPE_CHECKING", True, True),
        ("x.shape[1] > 1", True, True),
    ),
)
def test_of_a_condition_only_what_is_never_imported_goes(test: str, body: bool, otherwise: bool) -> None:
    branches = f"        if {test}:\n            x = x * 22\n        else:\n            x = x * 33\n        y: int\n"
    source = f"import torch\nclass Attn{MODULE}{INIT}    def forward(self, x):\n{branches}        return self.p(x)\n"
    found = adapted(source).source
    assert ("x * 22" in found, "x * 33" in found) == (body, otherwise)
    check_source(found)


@given(
    st.text(max_size=300)
    | st.sampled_from([HONEST, OWN]).flatmap(lambda s: st.integers(0, len(s)).map(lambda n: s[:n]))
)
def test_no_text_breaks_the_adapter(source: str) -> None:
    found = adapted(source)
    assert bool(found.reason) != bool(found.source)


@pytest.mark.parametrize("terms", [100, 340, 390, 3_000])
def test_a_chain_that_python_reads_and_nobody_can_write_again_is_told(terms: int) -> None:
    """Reading, walking and writing a tree take different depths: between them an audit of everybody ended."""
    found = adapted(HONEST + f"\n\nDEPTH = {' + '.join(['1'] * terms)}\n")
    assert bool(found.reason) != bool(found.source)
