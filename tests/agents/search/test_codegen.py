"""The emitted file keeps the candidate contract for any genome; the lab's gates judge it again in the sandbox."""

from __future__ import annotations

import ast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from move37.agents.search import operators_of
from move37.agents.search.codegen import emit, genome_of
from move37.agents.search.grammar import BASELINES, Genome, Path, operators_in
from move37.agents.search.plans import family_of_file
from move37.agents.search.size import REFERENCE_SHAPES, head_count, parameters
from move37.lab import baselines
from move37.lab.training.contract import load_mixer
from tests.agents.search.genomes import a_genome

SEEDS = st.integers(min_value=0, max_value=2**32)
WIDEST = Genome(
    paths=(
        Path(family="gla", feature="silu", decay="spread", rotary=True),
        Path(family="softmax", norm="rms", rotary=True, window=16),
        Path(family="long_conv"),
    ),
    router="hierarchical",
    floor="decay",
    residual=True,
    heads="more",
    gate="low",
)


def built(genome: Genome, d_model: int = 64, n_heads: int = 4) -> torch.nn.Module:
    torch.manual_seed(0)
    return load_mixer(emit(genome, name="a mixer", motivation="for a test"))(d_model, n_heads)


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_any_genome_keeps_shape_and_dtype_and_reads_no_future(seed: int) -> None:
    mixer = built(a_genome(seed))
    for batch, time in ((1, 1), (2, 7), (1, 33)):
        assert mixer(torch.randn(batch, time, 64)).shape == (batch, time, 64)
    halved = built(a_genome(seed)).to(torch.bfloat16)
    assert halved(torch.randn(1, 19, 64, dtype=torch.bfloat16)).dtype is torch.bfloat16
    double = built(a_genome(seed)).double()
    x = torch.randn(2, 70, 64, dtype=torch.float64, requires_grad=True)
    y = double(x)
    assert y.dtype is torch.float64 and y.isfinite().all()
    assert (double(x[:, :40]) - y[:, :40]).abs().max() < 1e-9
    assert (double(x[:1]) - y[:1]).abs().max() < 1e-9
    (early,) = torch.autograd.grad(y[:, :40].sum(), x, retain_graph=True)
    assert early[:, 40:].abs().max() < 1e-9
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in double.parameters())


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_the_parameter_count_is_the_predicted_one(seed: int) -> None:
    genome = a_genome(seed)
    for shape in REFERENCE_SHAPES:
        assert sum(p.numel() for p in built(genome, *shape).parameters()) == parameters(genome, *shape)


@pytest.mark.parametrize("genome", [*BASELINES.values(), WIDEST], ids=[*BASELINES, "widest"])
def test_every_family_builds_and_its_file_is_its_plan(genome: Genome) -> None:
    source = emit(genome, name="a mixer", motivation="for a test")
    assert genome_of(source) == genome
    assert operators_of(source) == operators_in(genome)
    assert built(genome)(torch.randn(2, 9, 64)).shape == (2, 9, 64)


@pytest.mark.parametrize("genome", [*BASELINES.values(), WIDEST], ids=[*BASELINES, "widest"])
def test_a_header_counts_only_where_the_file_is_what_it_says(genome: Genome) -> None:
    source, other = emit(genome, name="x"), emit(BASELINES["linear" if genome.family != "linear" else "ssd"], name="x")
    renamed = source.replace("self.out ", "self.last ").replace("self.out(", "self.last(")
    assert renamed != source and genome_of(renamed) == genome
    edited = source.replace("return self.out(", "return 0.5 * self.out(")
    assert edited != source and genome_of(edited) is None, "somebody edited it and kept the header"
    header = next(line for line in source.splitlines() if line.startswith("# genome: "))
    lying = "\n".join(header if line.startswith("# genome: ") else line for line in other.splitlines())
    assert genome_of(lying) is None and family_of_file(lying) == ""
    assert genome_of(header) is None and genome_of(f"{header}\ndef (") is None
    assert genome_of(f"import os\n{source}") is None and genome_of(f"'another text'\n{source}") == genome
    assert family_of_file(source) == genome.family


def test_a_window_sees_exactly_its_last_positions() -> None:
    mixer = built(Genome(paths=(Path(family="softmax", norm="rms", window=16),), conv=False)).double()
    x = torch.randn(1, 50, 64, dtype=torch.float64, requires_grad=True)
    (seen,) = torch.autograd.grad(mixer(x)[0, 40].sum(), x)
    positions = seen[0].abs().sum(-1).nonzero().flatten().tolist()
    assert positions == list(range(25, 41))


def test_odd_head_counts_are_left_alone() -> None:
    few = Genome(paths=(Path(family="linear"),), heads="fewer")
    assert head_count(few, 63, 3) == 3
    assert built(few, 63, 3)(torch.randn(1, 5, 63)).shape == (1, 5, 63)


def test_foreign_words_cannot_leave_the_docstring() -> None:
    source = emit(BASELINES["linear"], name='x""" + 1', motivation='a """\nimport os\n""" \\')
    tree = ast.parse(source)
    assert not any(isinstance(node, ast.Import) and node.names[0].name == "os" for node in tree.body)
    assert genome_of(source) == BASELINES["linear"]


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("gla", "gla"),
        ("softmax", "softmax_attention"),
        ("delta_net", "delta_rule"),
        ("gated_delta_net", "qk_l2norm"),  # a switch of the kernel
    ],
)
def test_operators_of_a_file_without_a_plan_are_read_from_its_calls(name: str, operator: str) -> None:
    assert operator in operators_of(baselines.source(name))


def test_a_file_that_is_not_python_has_no_operators() -> None:
    assert operators_of("def (") == ()
