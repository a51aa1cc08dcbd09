"""The small operators equal their definitions: values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from move37 import kernels
from tests.kernels.cases import LIMITS, Inputs, compare, gated_delta, heads, kda, relative_rms, run, vector_heads


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("time", (1, 2, 3, 4, 5, 65))
@pytest.mark.parametrize("state", (True, False))
@pytest.mark.parametrize("activation", ("silu", None))
def test_convolution_equals_its_definition(time, state, activation):
    inputs = {"x": draw(2, time, 6), "weight": draw(6, 4), "bias": draw(6)}
    if state:
        inputs["initial_state"] = draw(2, 6, 4)
    compare(lambda **g: kernels.causal_conv1d(**g, activation=activation, output_final_state=True), inputs)


def test_convolution_equals_torch_conv1d():
    x, w = draw(2, 11, 6), draw(6, 4)
    wanted = F.conv1d(F.pad(x.transpose(1, 2), (3, 0)), w.unsqueeze(1), groups=6).transpose(1, 2)
    assert torch.allclose(kernels.causal_conv1d(x, w)[0], wanted)


def test_convolution_hands_its_state_on():
    x, w = draw(1, 9, 3), draw(3, 4)
    whole, last = kernels.causal_conv1d(x, w, output_final_state=True)
    for cut in (1, 2, 5):  # also shorter than the taps reach back
        head, state = kernels.causal_conv1d(x[:, :cut], w, output_final_state=True)
        tail, end = kernels.causal_conv1d(x[:, cut:], w, initial_state=state, output_final_state=True)
        assert torch.allclose(torch.cat((head, tail), 1), whole)
        assert end is not None and last is not None and torch.equal(end, last)


def test_convolution_of_packed_sequences_does_not_mix_them():
    inputs = {"x": draw(1, 12, 3), "weight": draw(3, 4), "initial_state": draw(3, 3, 4)}
    compare(
        lambda **g: kernels.causal_conv1d(**g, output_final_state=True, cu_seqlens=torch.tensor([0, 2, 2, 12])), inputs
    )


@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.bfloat16))
@pytest.mark.parametrize("activation", ("silu", "sigmoid"))
def test_gated_norm_equals_its_definition(dtype, activation):
    inputs = {"x": draw(2, 5, 3, 16), "g": draw(2, 5, 3, 16), "weight": draw(16), "bias": draw(16)}
    compare(lambda **given: kernels.rms_norm_gated(**given, activation=activation), inputs, dtype)


@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.bfloat16))
def test_l2norm_equals_its_definition(dtype):
    compare(kernels.l2norm, {"x": draw(4, 7, 5)}, dtype)


NORMALISED: dict[str, tuple[Callable[..., Any], Inputs, tuple[str, ...]]] = {
    "gated norm": (kernels.rms_norm_gated, {"g": draw(2, 5, 16), "weight": draw(16), "bias": draw(16)}, ("x",)),
    "l2norm": (kernels.l2norm, {}, ("x",)),
    "gated delta": (partial(gated_delta, use_qk_l2norm_in_kernel=True), heads(21), ("q", "k")),
    "kda": (partial(kda, use_qk_l2norm_in_kernel=True), vector_heads(21, beta=torch.sigmoid), ("q", "k")),
}


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
@pytest.mark.parametrize("size", (1e-30, 1e-20, 1e-5, 1e5, 1e18, 1e20, 1e30, 1e37))
@pytest.mark.parametrize("name", NORMALISED)
def test_rows_of_any_finite_size_are_normalised(name, size, dtype):
    """A square of 1e20 is infinite in float32: the row came out as zeros, which are no error that anybody sees."""
    call, others, changed = NORMALISED[name]
    eps = {"eps": 1e-80} if size < 1e-5 and "x" in changed else {}  # where it is to be seen beside them
    rows = {n: others.get(n, draw(2, 5, 16)) * size for n in changed}
    given = {n: x.to(dtype).double() for n, x in {**others, **rows}.items()}
    found, grads = run("chunked", partial(call, **eps), given, dtype)
    wanted, right = run("reference", partial(call, **eps), given, torch.float64)
    limit = LIMITS[dtype][1]
    assert all(relative_rms(x, y) < limit for x, y in zip(found, wanted, strict=True))
    for n in grads:
        scale = size if n in changed else 1.0
        assert relative_rms(grads[n].double() * scale, right[n] * scale) < 2 * LIMITS[dtype][2], n


def test_a_reference_is_as_exact_as_its_result():
    """l2norm went through x's dtype first, the loss stayed in float64."""
    x = draw(4, 8).bfloat16()
    target, weight = torch.zeros(4, dtype=torch.int64), draw(20, 8).bfloat16()
    with kernels.implementation("reference"):
        assert relative_rms(kernels.l2norm(x, output_dtype=torch.float32), F.normalize(x.double(), dim=-1)) < 1e-6
        assert kernels.fused_linear_cross_entropy_loss(x, target, weight).dtype == torch.float32


@pytest.mark.parametrize("reduction", ("mean", "sum"))
def test_cross_entropy_equals_its_definition_in_blocks(reduction, monkeypatch):
    monkeypatch.setattr("move37.kernels.ops.cross_entropy.chunked.BLOCK_ELEMENTS", 60)  # three rows a block
    target = torch.randint(0, 20, (2, 9), generator=torch.Generator().manual_seed(0))
    target[0, 3] = -100
    inputs = {"x": draw(2, 9, 8), "weight": draw(20, 8), "bias": draw(20), "target": target}
    compare(lambda **g: kernels.fused_linear_cross_entropy_loss(**g, reduction=reduction), inputs)


@pytest.mark.parametrize("out", (slice(0, 7), slice(3, 9), slice(13, 20), slice(0, 18)))
def test_words_that_a_bias_takes_out_cost_nothing(out, monkeypatch):
    """-inf for them, for whole blocks of them too, as a padded vocabulary has it."""
    monkeypatch.setattr("move37.kernels.ops.cross_entropy.chunked.BLOCK_ELEMENTS", 6 * 3)  # three words a block
    bias = draw(20)
    bias[out] = -torch.inf
    target = torch.tensor([18, 19, 18, -100, 19, 18]) if out.stop <= 18 else torch.tensor([0, 12, 1, -100, 3, 5])
    given = {"x": draw(6, 8), "weight": draw(20, 8), "bias": bias}
    leaves, wanted = ({n: x.float().requires_grad_() for n, x in given.items()} for _ in range(2))
    loss = kernels.fused_linear_cross_entropy_loss(**leaves, target=target)
    loss.backward()
    plain = F.cross_entropy(F.linear(wanted["x"], wanted["weight"], wanted["bias"]), target)
    plain.backward()
    assert torch.allclose(loss, plain, atol=1e-6)
    assert all(torch.allclose(x.grad, wanted[n].grad, atol=1e-6) for n, x in leaves.items())


@pytest.mark.parametrize("rows", (0, 4))
@pytest.mark.parametrize("reduction", ("mean", "sum"))
@pytest.mark.parametrize("name", ("reference", "chunked"))
def test_cross_entropy_of_nothing_is_zero_and_so_are_its_gradients(rows, reduction, name):
    """No rows at all, and rows whose targets are all ignored."""
    x, weight, bias = (torch.randn(*shape, requires_grad=True) for shape in ((rows, 8), (40, 8), (40,)))
    del (used := [torch.full((40, 8), 7.0) for _ in range(4)])[:]  # memory that an empty tensor would get again
    with kernels.implementation(name):
        target = torch.full((rows,), -100)
        loss = kernels.fused_linear_cross_entropy_loss(x, target, weight, bias, reduction=reduction)
        loss.backward()
    assert loss == 0 and not used
    assert all(given.grad is not None and not given.grad.any() for given in (x, weight, bias))


@pytest.mark.parametrize("scale", [2.0**power for power in (0, 4, 8, 12, 15, 16, 20, 24)])
@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16, torch.float32))
def test_a_loss_scale_scales_the_gradients_of_every_dtype(dtype, scale):
    """As float64 has them: neither lost in a mean over many tokens, nor no numbers, and inf where dtype ends."""
    target = torch.randint(0, 64, (512,), generator=torch.Generator().manual_seed(0))
    x, weight = draw(512, 16).to(dtype).requires_grad_(), (draw(64, 16) * 0.5).to(dtype).requires_grad_()
    exact = [t.detach().double().requires_grad_() for t in (x, weight)]
    (kernels.fused_linear_cross_entropy_loss(x, target, weight) * scale).backward()
    (F.cross_entropy(exact[0] @ exact[1].t(), target) * scale).backward()
    for found, wanted in ((x.grad, exact[0].grad), (weight.grad, exact[1].grad)):
        largest = torch.finfo(dtype).max
        fits = wanted.abs() < 0.99 * largest
        assert found.dtype == dtype and found[wanted.abs() > 1.01 * largest].isinf().all()
        assert relative_rms(found[fits], wanted[fits]) < max(torch.finfo(dtype).eps, 1e-6)


@pytest.mark.parametrize("name", ("conv", "norm", "l2", "loss"))
def test_gradients_pass_a_numerical_check(name):
    target = torch.tensor([1, 0, 3])
    calls: dict[str, tuple[Callable[..., torch.Tensor], tuple[torch.Tensor, ...]]] = {
        "conv": (
            lambda x, w, b: kernels.causal_conv1d(x, w, b, activation="silu")[0],
            (draw(2, 5, 3), draw(3, 4), draw(3)),
        ),
        "norm": (lambda x, g, w: kernels.rms_norm_gated(x, g, w), (draw(3, 4), draw(3, 4), draw(4))),
        "l2": (kernels.l2norm, (draw(3, 4),)),
        "loss": (lambda x, w: kernels.fused_linear_cross_entropy_loss(x, target, w), (draw(3, 4), draw(5, 4))),
    }
    call, inputs = calls[name]
    assert torch.autograd.gradcheck(call, tuple(x.requires_grad_() for x in inputs))
