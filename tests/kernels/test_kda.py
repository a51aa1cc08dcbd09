"""Kimi Delta Attention in chunks, and the gated delta product by steps, equal their float64 recurrences."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from move37 import kernels
from move37.kernels.ops.delta_product import naive
from tests.kernels.cases import Inputs, compare, heads, kda, product, product_heads, relative_rms, vector_heads


@pytest.mark.parametrize("time", (1, 8, 15, 16, 17, 33, 65, 150))
def test_any_length_equals_the_recurrence(time):
    compare(kda, vector_heads(time, beta=torch.sigmoid))


@pytest.mark.parametrize("dtype", (torch.float64, torch.bfloat16, torch.float16))
def test_every_dtype_keeps_its_tolerance(dtype):
    compare(kda, vector_heads(65, beta=torch.sigmoid), dtype)


@pytest.mark.parametrize("width", (16, 48))  # chunks of 16 and of 32
@pytest.mark.parametrize("strength", (0.0, 30.0, 500.0))
def test_any_decay_is_exact(strength, width):
    compare(kda, vector_heads(65, strength=strength, width=width, beta=torch.sigmoid))


@pytest.mark.parametrize("beta", (0.0, 0.99, 2.0))
def test_correlated_keys_do_not_blow_up(beta):
    compare(kda, vector_heads(130, strength=0.01, width=48, beta=beta, cosine=0.9))


def test_one_decay_for_all_coordinates_is_the_gated_delta_rule():
    scalar = {n: x.float() for n, x in heads(40).items()}
    g = scalar["g"].unsqueeze(-1).expand(*scalar["g"].shape, 16)
    o, last = kda(**{**scalar, "g": g})
    wanted, right = kernels.chunk_gated_delta_rule(**scalar, output_final_state=True)
    assert relative_rms(o, wanted) < 1e-5 and relative_rms(last, right) < 1e-5


def test_normalising_in_the_kernel_equals_normalising_before():
    inputs = {n: x.float() for n, x in vector_heads(20, beta=torch.sigmoid).items()}
    o, _ = kernels.chunk_kda(**inputs, use_qk_l2norm_in_kernel=True)
    ready = {**inputs, "q": kernels.l2norm(inputs["q"]), "k": kernels.l2norm(inputs["k"])}
    assert torch.equal(o, kernels.chunk_kda(**ready)[0])


def test_decoding_token_by_token_equals_prefill():
    inputs = {n: x.float() for n, x in vector_heads(7, beta=torch.sigmoid).items()}
    state = inputs.pop("initial_state")
    wanted, last = kda(**inputs, initial_state=state)
    outputs = []
    for t in range(7):
        row = {n: x[:, t : t + 1] for n, x in inputs.items()}
        o, state = kernels.fused_recurrent_kda(**row, initial_state=state, output_final_state=True)
        outputs.append(o)
    assert relative_rms(torch.cat(outputs, 1), wanted) < 1e-5 and relative_rms(state, last) < 1e-5


def test_gradients_pass_a_numerical_check():
    inputs = {n: x.requires_grad_() for n, x in vector_heads(9, width=3, beta=torch.sigmoid).items()}
    names = list(inputs)
    assert torch.autograd.gradcheck(
        lambda *xs: kda(**dict(zip(names, xs, strict=True))), tuple(inputs.values()), fast_mode=True
    )


@pytest.mark.parametrize("steps", (1, 2, 3))
@pytest.mark.parametrize("decay", (1.0, None))
@pytest.mark.parametrize("recurrent", (True, False))
def test_the_delta_product_is_its_recurrence(steps, decay, recurrent):
    inputs = product_heads(11, steps, decay=decay)
    inputs.setdefault("g", None)
    wanted, last = naive.delta_product(
        inputs["q"], inputs["k"], inputs["v"], inputs["g"], inputs["beta"], steps, 0.25, inputs["initial_state"]
    )
    call = kernels.fused_recurrent_gated_delta_product if recurrent else kernels.chunk_gated_delta_product
    o, state = call(**inputs, num_householder=steps, output_final_state=True)
    assert relative_rms(o, wanted) < 1e-10 and relative_rms(state, last) < 1e-10


def test_two_reflections_have_gradients_and_pack():
    compare(product, product_heads(13, 2))
    packed = product_heads(13, 2)
    packed["initial_state"] = heads(1, batch=3)["initial_state"]
    compare(lambda **given: product(**given, cu_seqlens=torch.tensor([0, 4, 4, 13])), packed)


@given(time=st.integers(1, 60), group=st.integers(1, 2), strength=st.sampled_from((0.1, 5.0)))
@settings(max_examples=15, deadline=None)
def test_any_shape_equals_the_recurrence(time, group, strength):
    inputs = heads(time, batch=2, key_heads=2, value_heads=2 * group, width=8, values=5)
    shape = (*inputs["g"].shape, 8)
    inputs["g"] = -strength * torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(time))
    compare(kda, inputs)


@pytest.mark.parametrize("bound", (None, -5.0))
@pytest.mark.parametrize("vector", (True, False))
def test_gates_in_the_call_equal_gates_before_it(vector, bound):
    inputs = vector_heads(12, beta=torch.sigmoid) if vector else heads(12)
    raw, logits = torch.randn_like(inputs["g"]), torch.randn_like(inputs["beta"])
    a_log, bias = torch.randn(2, dtype=torch.float64), torch.randn(raw.shape[2:], dtype=torch.float64)
    speed = a_log.exp().view(2, 1) if vector else a_log.exp()
    if bound is None:
        g = -speed * torch.nn.functional.softplus(raw + bias)
    else:
        g = bound * torch.sigmoid(speed * (raw + bias))
    call = kernels.chunk_kda if vector else kernels.chunk_gated_delta_rule
    wanted, _ = call(**{**inputs, "g": g, "beta": 2 * logits.sigmoid()})
    options: Inputs = {"use_gate_in_kernel": True, "A_log": a_log, "dt_bias": bias.flatten(), "lower_bound": bound}
    options |= {"use_beta_sigmoid_in_kernel": True, "allow_neg_eigval": True}
    o, _ = call(**{**inputs, "g": raw, "beta": logits}, **options)
    assert torch.allclose(o, wanted)


@pytest.mark.parametrize("recurrent", (True, False))
@pytest.mark.parametrize("steps", (1, 3))
@pytest.mark.parametrize("biased", (True, False))
@pytest.mark.parametrize("bound", (None, -5.0))
@pytest.mark.parametrize("rate", ("given", "sigmoid", "twice the sigmoid"))
def test_the_steps_of_a_product_decay_once_with_gates_in_the_call(recurrent, steps, biased, bound, rate):
    """The steps that stand behind a token's first one have no decay, whatever its gate makes of a zero."""
    inputs = product_heads(7, steps)
    raw, logits, a_log = torch.randn_like(inputs["g"]), torch.randn_like(inputs["beta"]), torch.randn(2).double()
    bias = torch.randn(2, dtype=torch.float64) if biased else torch.zeros(2, dtype=torch.float64)
    speed = a_log.exp()
    soft = -speed * torch.nn.functional.softplus(raw + bias)
    g = soft if bound is None else bound * torch.sigmoid(speed * (raw + bias))
    options: Inputs = {"use_gate_in_kernel": True, "A_log": a_log, "lower_bound": bound}
    options |= {"dt_bias": bias} if biased else {}
    beta = inputs["beta"] if rate == "given" else logits.sigmoid() * (1 if rate == "sigmoid" else 2)
    if rate != "given":
        options |= {"use_beta_sigmoid_in_kernel": True, "allow_neg_eigval": rate == "twice the sigmoid"}
    given = {n: inputs[n] for n in ("q", "k", "v")}
    wanted, last = naive.delta_product(**given, g=g, beta=beta, steps=steps, scale=0.25, state=inputs["initial_state"])
    call = kernels.fused_recurrent_gated_delta_product if recurrent else kernels.chunk_gated_delta_product
    given |= {"g": raw, "beta": inputs["beta"] if rate == "given" else logits}
    given |= {"initial_state": inputs["initial_state"], "num_householder": steps, "output_final_state": True}
    o, state = call(**given, **options)
    assert relative_rms(o, wanted) < 1e-10 and relative_rms(state, last) < 1e-10
