"""Cases for tests/kernels/test_triton.py; not collected by itself. Tiny shapes: the interpreter pays per operation."""

from __future__ import annotations

import pytest
import torch

from move37 import kernels
from move37.kernels.dispatch import interpreting
from tests.kernels.cases import (
    compare,
    every_operator,
    gated_delta,
    heads,
    kda,
    low_rank,
    low_rank_heads,
    product,
    product_heads,
    relative_rms,
    simple,
    vector,
    vector_heads,
)

pytestmark = pytest.mark.skipif(
    not (torch.cuda.is_available() or interpreting()), reason="needs a GPU or the interpreter"
)


@pytest.fixture(autouse=True)
def on_the_device():
    """On a GPU every tensor is made there; the reference then runs there too."""
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        yield


def test_gated_delta_with_all_its_parts():
    compare(gated_delta, heads(37), name="triton")


def test_more_than_one_chunk_and_short_last_one():
    compare(gated_delta, heads(70, value_heads=1, values=16, state=False), name="triton")


@pytest.mark.parametrize("decay,beta", ((None, torch.sigmoid), (1.0, None), (None, None)))
def test_the_other_models_of_the_family(decay, beta):
    inputs = heads(18, decay=decay, beta=beta, value_heads=1, values=16)
    compare(simple if beta is None else gated_delta, inputs, name="triton")


def test_one_token():
    compare(gated_delta, heads(1, value_heads=1), name="triton")


@pytest.mark.slow
def test_correlated_keys_and_strong_decay():
    compare(gated_delta, heads(33, value_heads=1, cosine=0.9, beta=0.99, decay=None), name="triton")
    compare(gated_delta, heads(20, value_heads=1, decay=200.0), name="triton")


def test_half_precision_keeps_its_tolerance():
    # float16: the interpreter multiplies bfloat16 operands as if they were integers.
    compare(gated_delta, heads(33, value_heads=1, values=16), torch.float16, name="triton")


def test_packed_sequences():
    packed = heads(25, value_heads=1, values=16)
    packed["initial_state"] = heads(1, batch=3, value_heads=1, values=16)["initial_state"]
    compare(lambda **g: gated_delta(**g, cu_seqlens=torch.tensor([0, 4, 4, 25])), packed, name="triton")


def test_vector_decay():
    compare(vector, vector_heads(20, strength=10.0), name="triton")


@pytest.mark.parametrize("time", (1, 20))
def test_vector_decay_with_the_erase_term(time):
    compare(kda, vector_heads(time, strength=3.0, beta=torch.sigmoid), name="triton")


@pytest.mark.slow
def test_vector_decay_of_correlated_keys():
    compare(kda, vector_heads(20, strength=0.1, beta=0.99, cosine=0.9), name="triton")


@pytest.mark.slow
def test_vector_decay_in_half_precision_keeps_its_tolerance():
    compare(kda, vector_heads(18, beta=torch.sigmoid), torch.float16, name="triton")
    compare(vector, vector_heads(18), torch.float16, name="triton")


@pytest.mark.slow
@pytest.mark.parametrize("call", (vector, kda))
def test_packed_sequences_of_vector_decay(call):
    """The table of chunks has room for more than there are: those have no rows."""
    packed = vector_heads(22, beta=torch.sigmoid if call is kda else None)
    packed["initial_state"] = heads(1, batch=4)["initial_state"]
    compare(lambda **g: call(**g, cu_seqlens=torch.tensor([0, 17, 17, 18, 22])), packed, name="triton")


@pytest.mark.slow
@pytest.mark.parametrize("name", ("gated delta", "kda", "convolution", "gated norm", "l2norm", "cross-entropy"))
def test_a_compiler_sees_one_graph(name):
    """With gradients, and with the shapes that the operators promise."""
    case = every_operator(5)[name]
    given = {n: x.float().requires_grad_() if x.is_floating_point() else x for n, x in case.inputs.items()}

    def loss(given):
        out = case.call(**given)
        return sum(y.square().sum() for y in (out if isinstance(out, tuple) else (out,)))

    with kernels.implementation("triton"):
        found = torch.compile(loss, fullgraph=True, backend="aot_eager")(given)
        found.backward()
    assert torch.allclose(found, loss(given), rtol=1e-4)
    assert all(x.grad.isfinite().all() for x in given.values() if x.is_floating_point())


@pytest.mark.parametrize("time", (1, 20, pytest.param(37, marks=pytest.mark.slow)))
def test_a_diagonal_plus_rank_one(time):
    compare(low_rank, low_rank_heads(time), name="triton")


@pytest.mark.slow
def test_a_diagonal_plus_rank_one_in_half_precision_and_packed():
    compare(low_rank, low_rank_heads(18), torch.float16, name="triton")
    packed = {**low_rank_heads(40), "initial_state": heads(1, batch=4)["initial_state"]}
    bounds = torch.tensor([0, 4, 4, 37, 40])
    compare(lambda **g: low_rank(**g, cu_seqlens=bounds), packed, name="triton")


def test_a_target_outside_the_vocabulary_makes_the_loss_nan():
    x, weight = torch.randn(3, 8), torch.randn(5, 8)
    with kernels.implementation("triton"):
        loss = kernels.fused_linear_cross_entropy_loss(x, torch.tensor([0, 9, 1]), weight)
    assert loss.isnan()


@pytest.mark.slow
def test_reflections():
    compare(product, product_heads(9, 2), name="triton")


@pytest.mark.parametrize("call", (gated_delta, pytest.param(kda, marks=pytest.mark.slow)))
def test_a_decay_of_minus_infinity_is_a_reset(call):
    inputs = heads(20, value_heads=1, values=16) if call is gated_delta else vector_heads(20, beta=torch.sigmoid)
    inputs["g"][:, 7:9] = -torch.inf
    compare(call, inputs, name="triton")


def test_decoding_equals_prefill():
    inputs = {n: x.float() for n, x in heads(6).items()}
    wanted, last = gated_delta(**inputs)
    with kernels.implementation("triton"):
        o, state = kernels.fused_recurrent_gated_delta_rule(**inputs, output_final_state=True)
    assert relative_rms(o, wanted) < 1e-5
    assert relative_rms(state, last) < 1e-5
    inputs = {n: x.float() for n, x in vector_heads(6).items()}
    wanted, _ = vector(**inputs)
    with kernels.implementation("triton"):
        o, _ = kernels.fused_recurrent_gla(gk=inputs.pop("g"), **inputs)
    assert relative_rms(o, wanted) < 1e-5
    inputs = {n: x.float() for n, x in vector_heads(6, beta=torch.sigmoid).items()}
    bounds = torch.tensor([0, 2, 6])
    inputs["initial_state"] = inputs["initial_state"].repeat(2, 1, 1, 1)
    wanted, last = kda(**inputs, cu_seqlens=bounds)
    with kernels.implementation("triton"):
        o, state = kernels.fused_recurrent_kda(**inputs, output_final_state=True, cu_seqlens=bounds)
    assert relative_rms(o, wanted) < 1e-5
    assert relative_rms(state, last) < 1e-5
    inputs = {n: x.float() for n, x in low_rank_heads(6).items()}
    wanted, last = low_rank(**inputs)
    with kernels.implementation("triton"):
        o, state = kernels.fused_recurrent_dplr_delta_rule(**inputs, output_final_state=True)
    assert relative_rms(o, wanted) < 1e-5
    assert relative_rms(state, last) < 1e-5


@pytest.mark.parametrize("state", (True, False))
def test_convolution(state):
    inputs = {"x": torch.randn(2, 5, 6), "weight": torch.randn(6, 4), "bias": torch.randn(6)}
    if state:
        inputs["initial_state"] = torch.randn(2, 6, 4)
    compare(
        lambda **g: kernels.causal_conv1d(**g, activation="silu", output_final_state=True),
        {n: x.double() for n, x in inputs.items()},
        name="triton",
    )


@pytest.mark.parametrize("size", (1e20, 1e30, 1e37))
def test_rows_of_any_finite_size_are_normalised(size):
    x = torch.randn(5, 7).double()
    compare(kernels.l2norm, {"x": x * size}, name="triton")
    compare(kernels.rms_norm_gated, {"x": x * size, "g": x, "weight": x[0]}, name="triton")


def test_norms():
    inputs = {
        "x": torch.randn(2, 7, 24),
        "g": torch.randn(2, 7, 24),
        "weight": torch.randn(24),
        "bias": torch.randn(24),
    }
    compare(kernels.rms_norm_gated, {n: x.double() for n, x in inputs.items()}, name="triton")
    compare(kernels.l2norm, {"x": torch.randn(9, 7).double()}, name="triton")


def test_cross_entropy():
    target = torch.tensor([3, 0, -100, 19, 7])
    inputs = {"x": torch.randn(5, 8).double(), "weight": torch.randn(20, 8).double(), "bias": torch.randn(20).double()}
    compare(kernels.fused_linear_cross_entropy_loss, {**inputs, "target": target}, name="triton")


@pytest.mark.parametrize("scale", (1.0, 2.0**16, 2.0**24))
def test_a_loss_scale_scales_the_gradients_of_half_precision(scale):
    target = torch.arange(64) % 20
    x, weight = (torch.randn(*shape).half().requires_grad_() for shape in ((64, 8), (20, 8)))
    exact = [t.detach().double().requires_grad_() for t in (x, weight)]
    with kernels.implementation("triton"):
        (kernels.fused_linear_cross_entropy_loss(x, target, weight) * scale).backward()
    (torch.nn.functional.cross_entropy(exact[0] @ exact[1].t(), target) * scale).backward()
    for found, wanted in ((x.grad, exact[0].grad), (weight.grad, exact[1].grad)):
        assert found is not None and wanted is not None
        fits = wanted.abs() < 0.99 * 65504
        assert found[wanted.abs() > 1.01 * 65504].isinf().all()
        assert relative_rms(found[fits], wanted[fits]) < 1e-2  # the logits are of half precision


def test_no_rows_have_no_gradient():
    x, weight = torch.randn(0, 8, requires_grad=True), torch.randn(20, 8, requires_grad=True)
    with kernels.implementation("triton"):
        kernels.fused_linear_cross_entropy_loss(x, torch.zeros(0).long(), weight).backward()
    assert weight.grad is not None and not weight.grad.any()
