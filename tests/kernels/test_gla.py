"""Gated linear attention in chunks equals its float64 recurrence."""

from __future__ import annotations

import pytest
import torch

from move37 import kernels
from tests.kernels.cases import compare, relative_rms, vector, vector_heads


@pytest.mark.parametrize("time", (1, 15, 16, 17, 63, 64, 65, 300))
def test_any_length_equals_the_recurrence(time):
    compare(vector, vector_heads(time))


@pytest.mark.parametrize("dtype", (torch.float64, torch.bfloat16, torch.float16))
def test_every_dtype_keeps_its_tolerance(dtype):
    compare(vector, vector_heads(65), dtype)


@pytest.mark.parametrize("width", (16, 48))  # chunks of 16 and of 32
@pytest.mark.parametrize("strength", (0.0, 30.0, 500.0))
def test_any_decay_is_exact(strength, width):
    """e^{-G} alone would overflow; the squares never form it."""
    compare(vector, vector_heads(65, strength=strength, width=width))


def test_gradients_pass_a_numerical_check():
    inputs = {n: x.requires_grad_() for n, x in vector_heads(9, width=3).items()}
    names = list(inputs)

    def call(*tensors):
        return kernels.chunk_gla(**dict(zip(names, tensors, strict=True)), output_final_state=True)

    assert torch.autograd.gradcheck(call, tuple(inputs.values()), fast_mode=True)


def test_decoding_token_by_token_equals_prefill():
    inputs = {n: x.float() for n, x in vector_heads(7).items()}
    state = inputs.pop("initial_state")
    wanted, last = kernels.chunk_gla(**inputs, initial_state=state, output_final_state=True)
    gk, outputs = inputs.pop("g"), []
    for t in range(7):
        row = {n: x[:, t : t + 1] for n, x in inputs.items()}
        o, state = kernels.fused_recurrent_gla(**row, gk=gk[:, t : t + 1], initial_state=state, output_final_state=True)
        outputs.append(o)
    assert relative_rms(torch.cat(outputs, 1), wanted) < 1e-5
    assert relative_rms(state, last) < 1e-5


def test_packed_sequences_equal_the_reference():
    packed = vector_heads(40)
    packed["initial_state"] = torch.randn(3, *packed["initial_state"].shape[1:], dtype=torch.float64)
    compare(lambda **given: vector(**given, cu_seqlens=torch.tensor([0, 7, 7, 40])), packed)
