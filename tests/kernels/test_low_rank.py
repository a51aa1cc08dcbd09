"""A diagonal plus a rank-one matrix in chunks equals its float64 recurrence, and KDA and RWKV-7 are cases of it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from move37 import kernels
from move37.kernels.errors import KernelError
from tests.kernels.cases import compare, heads, kda, low_rank, low_rank_heads, relative_rms, vector_heads


@pytest.mark.parametrize("time", (1, 8, 15, 16, 17, 33, 65, 150))
def test_any_length_equals_the_recurrence(time):
    compare(low_rank, low_rank_heads(time))


@pytest.mark.parametrize("dtype", (torch.float64, torch.bfloat16, torch.float16))
def test_every_dtype_keeps_its_tolerance(dtype):
    compare(low_rank, low_rank_heads(65), dtype)


@pytest.mark.parametrize("width", (16, 48))  # chunks of 16 and of 32
@pytest.mark.parametrize("strength", (0.0, 30.0, 500.0))
def test_any_decay_is_exact(strength, width):
    compare(low_rank, low_rank_heads(65, strength=strength, width=width))


def test_what_reads_and_what_writes_may_have_nothing_to_do_with_each_other():
    inputs = low_rank_heads(40, seed=3)
    compare(low_rank, {**inputs, "a": inputs["a"] * 0.1, "b": low_rank_heads(40, seed=9)["a"]})


def test_kimi_delta_attention_is_a_case_of_it():
    given = vector_heads(50, beta=torch.sigmoid)
    group = lambda x: x.repeat_interleave(2, 2)  # noqa: E731
    k, rate = group(given["k"]), given["beta"].unsqueeze(-1)
    wanted, last = kda(**given)
    o, state = low_rank(
        q=group(given["q"]), k=k, v=given["v"] * rate, a=-k * given["g"].exp(), b=k * rate, gk=given["g"],
        initial_state=given["initial_state"],
    )  # fmt: skip
    assert relative_rms(o, wanted) < 1e-10 and relative_rms(state, last) < 1e-10


def test_decoding_token_by_token_equals_prefill():
    inputs = {n: x.float() for n, x in low_rank_heads(7).items()}
    state = inputs.pop("initial_state")
    q, w = inputs.pop("q"), inputs.pop("gk")
    wanted, last = kernels.chunk_rwkv7(q, w, **inputs, initial_state=state)
    outputs = []
    for t in range(7):
        row = {n: x[:, t : t + 1] for n, x in inputs.items()}
        o, state = kernels.fused_recurrent_rwkv7(q[:, t : t + 1], w[:, t : t + 1], **row, initial_state=state)
        outputs.append(o)
    assert relative_rms(torch.cat(outputs, 1), wanted) < 1e-5 and relative_rms(state, last) < 1e-5


def test_a_scale_of_one_is_what_rwkv_7_reads_with():
    inputs = low_rank_heads(12)
    o, last = kernels.chunk_rwkv7(inputs["q"], inputs["gk"], *(inputs[n] for n in "kvab"))
    wanted, _ = kernels.fused_recurrent_dplr_delta_rule(
        **{n: inputs[n] for n in ("q", "k", "v", "a", "b", "gk")}, scale=1.0
    )
    assert relative_rms(o, wanted) < 1e-10 and last is not None


def test_gradients_pass_a_numerical_check():
    inputs = {n: x.requires_grad_() for n, x in low_rank_heads(9, width=3).items()}
    names = list(inputs)
    assert torch.autograd.gradcheck(
        lambda *xs: low_rank(**dict(zip(names, xs, strict=True))), tuple(inputs.values()), fast_mode=True
    )


def test_strong_erasing_over_a_long_sequence_stays_finite():
    """Reflections: the state keeps its length, chunk by chunk, as in the recurrence."""
    compare(low_rank, low_rank_heads(300, strength=0.01, rate=2.0))


def test_packed_sequences_keep_to_themselves():
    inputs = {**low_rank_heads(13), "initial_state": heads(1, batch=3)["initial_state"]}
    compare(lambda **g: low_rank(**g, cu_seqlens=torch.tensor([0, 4, 4, 13])), inputs)


@given(time=st.integers(1, 60), group=st.integers(1, 2), strength=st.sampled_from((0.1, 5.0)))
@settings(max_examples=15, deadline=None)
def test_any_shape_equals_the_recurrence(time, group, strength):
    inputs = heads(time, batch=2, key_heads=2, value_heads=2 * group, width=8, values=5, decay=None, beta=None)
    r = torch.Generator().manual_seed(time)
    key = torch.nn.functional.normalize(torch.randn(inputs["k"].shape, generator=r, dtype=torch.float64), dim=-1)
    inputs |= {"a": -key, "b": key * torch.rand(key.shape, generator=r, dtype=torch.float64)}
    inputs["gk"] = -strength * torch.rand((2, time, 2 * group, 8), dtype=torch.float64, generator=r)
    compare(low_rank, inputs)


@pytest.mark.parametrize(
    "wrong",
    (
        {"a": torch.zeros(1, 5, 1, 4)},
        {"b": torch.zeros(1, 5, 1, 16)},  # float32 beside float64
        {"gk": torch.zeros(1, 5, 2)},
        {"chunk_size": 16},
        {"initial_state": torch.zeros(1, 2, 16, 3)},
    ),
)
def test_what_does_not_fit_is_refused_by_name(wrong):
    with pytest.raises(KernelError, match=next(iter(wrong))):
        low_rank(**{**low_rank_heads(5), **wrong})
