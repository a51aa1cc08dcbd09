"""The chunked delta family equals its float64 recurrence: values, states, gradients."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from move37 import kernels
from move37.kernels.common.triangular import unit_lower_inverse
from tests.kernels.cases import compare, gated_delta, heads, relative_rms, run, simple

TIMES = (1, 15, 16, 17, 63, 64, 65, 300)


@pytest.mark.parametrize("time", TIMES)
def test_any_length_equals_the_recurrence(time):
    compare(gated_delta, heads(time))


@pytest.mark.parametrize("time", (1, 17, 65))
@pytest.mark.parametrize("model", ("linear", "retnet", "scalar_gla", "delta"))
def test_each_model_of_the_family_equals_the_recurrence(time, model):
    decay = 1.0 if model == "scalar_gla" else None
    inputs = heads(time, decay=decay, beta=torch.sigmoid if model == "delta" else None)
    if model == "retnet":
        inputs["g_gamma"] = torch.log(1 - 2.0 ** -torch.arange(5.0, 7.0, dtype=torch.float64))
    compare(gated_delta if model == "delta" else simple, inputs)


@pytest.mark.parametrize("dtype", (torch.float64, torch.bfloat16, torch.float16))
@pytest.mark.parametrize("time", (17, 65))
def test_every_dtype_keeps_its_tolerance(dtype, time):
    compare(gated_delta, heads(time), dtype)


@pytest.mark.parametrize("width,values", ((16, 16), (48, 32), (64, 64), (128, 96), (256, 256)))
def test_head_sizes_from_16_to_256(width, values):
    compare(gated_delta, heads(70, width=width, values=values))


@pytest.mark.parametrize("beta", (0.0, 1.0, 2.0))
def test_the_ends_of_beta(beta):
    compare(gated_delta, heads(65, beta=beta, decay=1.0))


@pytest.mark.parametrize("name", ("chunked",))
def test_correlated_keys_do_not_blow_up(name):
    """Repeated squaring of (I + M) loses everything here (relative error 6e27), substitution nothing."""
    compare(gated_delta, heads(130, cosine=0.9, beta=0.99, decay=None, width=64), name=name)


def test_strong_decay_neither_overflows_nor_gives_nan():
    compare(gated_delta, heads(65, decay=200.0))
    compare(simple, heads(65, decay=200.0, beta=None))


def test_the_inverse_is_exact_for_correlated_keys():
    k = heads(64, cosine=0.9, width=64)["k"][0, :, 0]
    m = (0.99 * k @ k.mT).tril(-1).unsqueeze(0)
    right = torch.linalg.inv(torch.eye(64, dtype=torch.float64) + m)
    assert relative_rms(unit_lower_inverse(m.float()), right) < 1e-5


def test_normalising_in_the_kernel_equals_normalising_before():
    inputs = heads(33)
    inputs["k"] = inputs["k"] * 3

    def call(**given):
        return kernels.chunk_gated_delta_rule(**given, output_final_state=True, use_qk_l2norm_in_kernel=True)

    compare(call, inputs, torch.float64)
    compare(call, inputs)


@pytest.mark.parametrize("scale", (0.0, -1.5))
@pytest.mark.parametrize("normalise", (True, False))
def test_any_scale_equals_the_recurrence(scale, normalise):
    compare(lambda **g: gated_delta(**g, scale=scale, use_qk_l2norm_in_kernel=normalise), heads(20))


def test_gradients_pass_a_numerical_check():
    inputs = {n: x.requires_grad_() for n, x in heads(19, width=3, values=2, value_heads=2).items()}
    names = list(inputs)

    def call(*tensors):
        return kernels.chunk_gated_delta_rule(**dict(zip(names, tensors, strict=True)), output_final_state=True)

    assert torch.autograd.gradcheck(call, tuple(inputs.values()))


def test_computing_the_forward_pass_again_gives_the_same_gradients(monkeypatch):
    inputs = heads(70)
    _, kept = run("chunked", gated_delta, inputs, torch.float32)
    monkeypatch.setattr("move37.kernels.ops.scalar_decay.chunked.KEEP_ELEMENTS", 0)
    _, again = run("chunked", gated_delta, inputs, torch.float32)
    assert all(torch.equal(kept[n], again[n]) for n in kept)


@pytest.mark.parametrize("erase", (True, False))
def test_segments_without_gradients_equal_one_pass_with_them(erase, monkeypatch):
    monkeypatch.setattr(
        "move37.kernels.ops.scalar_decay.chunked.SEGMENT_ELEMENTS", 1500
    )  # one chunk each, the last short
    inputs = {n: x.float() for n, x in heads(100, beta=torch.sigmoid if erase else None).items()}
    call = gated_delta if erase else simple
    wanted = call(**{n: x.clone().requires_grad_() for n, x in inputs.items()})
    for found, right in zip(call(**inputs), wanted, strict=True):
        assert relative_rms(found, right.detach()) < 1e-6


def test_a_retained_graph_can_be_walked_twice():
    given = {n: x.float().requires_grad_() for n, x in heads(40).items()}
    o, _ = gated_delta(**given)
    first = torch.autograd.grad(o.sum(), given["k"], retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(o.sum(), given["k"])[0])


def test_the_same_call_twice_is_bit_equal():
    one, two = (run("chunked", gated_delta, heads(100), torch.float32) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one[0], two[0], strict=True))
    assert all(torch.equal(one[1][n], two[1][n]) for n in one[1])


@given(cut=st.integers(1, 39))
@settings(max_examples=15, deadline=None)
def test_a_prefix_then_the_rest_equals_one_pass(cut):
    given_ = heads(40)
    state = given_.pop("initial_state")
    whole, last = gated_delta(**given_, initial_state=state)
    head, middle = gated_delta(**{n: x[:, :cut] for n, x in given_.items()}, initial_state=state)
    tail, end = gated_delta(**{n: x[:, cut:] for n, x in given_.items()}, initial_state=middle)
    assert torch.allclose(torch.cat((head, tail), 1), whole, atol=1e-9)
    assert torch.allclose(end, last, atol=1e-9)


@pytest.mark.parametrize("erase", (True, False))
def test_decoding_token_by_token_equals_prefill(erase):
    inputs = {n: x.float() for n, x in heads(9, beta=torch.sigmoid if erase else None, state=False).items()}
    chunk, step = (
        (kernels.chunk_gated_delta_rule, kernels.fused_recurrent_gated_delta_rule)
        if erase
        else (kernels.chunk_simple_gla, kernels.fused_recurrent_simple_gla)
    )
    wanted, last = chunk(**inputs, output_final_state=True)
    state, outputs = None, []
    for t in range(9):
        o, state = step(**{n: x[:, t : t + 1] for n, x in inputs.items()}, initial_state=state, output_final_state=True)
        outputs.append(o)
    assert relative_rms(torch.cat(outputs, 1), wanted) < 1e-5
    assert relative_rms(state, last) < 1e-5


def test_packed_sequences_equal_each_sequence_alone():
    bounds = [0, 5, 5, 70, 71]
    packed = heads(71)
    packed["initial_state"] = heads(1, batch=4, seed=3)["initial_state"]
    compare(lambda **given: gated_delta(**given, cu_seqlens=torch.tensor(bounds)), packed)
    o, last = gated_delta(**packed, cu_seqlens=torch.tensor(bounds))
    for n, (lo, hi) in enumerate(pairwise(bounds)):
        state = packed["initial_state"][n : n + 1]
        if lo == hi:  # an empty sequence keeps its state
            assert torch.equal(last[n : n + 1], state)
            continue
        rows = {name: x[:, lo:hi] for name, x in packed.items() if name != "initial_state"}
        alone, end = gated_delta(**rows, initial_state=state)
        assert torch.allclose(o[:, lo:hi], alone)
        assert torch.allclose(last[n : n + 1], end)


@given(
    time=st.integers(1, 70),
    batch=st.integers(1, 3),
    key_heads=st.integers(1, 2),
    group=st.integers(1, 3),
    decay=st.sampled_from((None, 0.1, 5.0)),
    cosine=st.sampled_from((0.0, 0.9)),
)
@settings(max_examples=20, deadline=None)
def test_any_shape_equals_the_recurrence(time, batch, key_heads, group, decay, cosine):
    inputs = heads(
        time,
        batch=batch,
        key_heads=key_heads,
        value_heads=key_heads * group,
        decay=decay,
        cosine=cosine,
        width=8,
        values=5,
    )
    compare(gated_delta, inputs)


def test_strided_inputs_are_read_as_they_are():
    inputs = {n: x.float() for n, x in heads(20, state=False).items()}
    wanted, _ = gated_delta(**inputs)
    strided = {n: x.transpose(1, -1).contiguous().transpose(1, -1) for n, x in inputs.items()}
    assert not strided["q"].is_contiguous()
    assert torch.equal(gated_delta(**strided)[0], wanted)
