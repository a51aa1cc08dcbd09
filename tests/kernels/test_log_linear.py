"""Log-linear attention in chunks equals its loop over time; with equal weights it is its recurrence."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from move37 import kernels
from move37.kernels.errors import KernelError
from move37.lab.inside.op_counter import OpCounter
from tests.kernels.cases import compare, gated_delta, heads, kda, levelled, relative_rms, simple, vector, vector_heads

ATTENTION = kernels.log_linear_attention
KINDS = {  # the recurrence, and inputs of a length
    "gated delta": (gated_delta, lambda time: heads(time)),
    "delta": (gated_delta, lambda time: heads(time, decay=None)),
    "scalar decay": (simple, lambda time: heads(time, beta=None)),
    "linear attention": (simple, lambda time: heads(time, beta=None, decay=None)),
    "vector decay": (vector, lambda time: vector_heads(time)),
    "kda": (kda, lambda time: vector_heads(time, beta=torch.sigmoid)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("time", (2, 33, 100))
def test_any_recurrence_equals_the_loop_over_time(time, kind):
    compare(ATTENTION, levelled(KINDS[kind][1](time)))


@pytest.mark.parametrize("time", (3, 31, 32, 64, 65, 257))
def test_any_length_equals_the_loop_over_time(time):
    compare(ATTENTION, levelled(heads(time, values=5)))


@pytest.mark.parametrize("dtype", (torch.float64, torch.bfloat16, torch.float16))
def test_every_dtype_keeps_its_tolerance(dtype):
    compare(ATTENTION, levelled(heads(130)), dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_weights_are_the_recurrence_itself(kind):
    call, inputs = KINDS[kind][0], KINDS[kind][1](77)
    inputs.pop("initial_state")
    scales = torch.ones_like(levelled(inputs)["level_scales"])
    assert relative_rms(ATTENTION(**inputs, level_scales=scales), call(**inputs)[0]) < 1e-10


def test_a_level_is_the_bucket_that_a_fenwick_tree_has_there():
    """Token 11 = 0b1011 reads itself, one token (10), two (8 and 9) and eight (0 to 7); with one level, one bucket."""
    time, levels = 12, 5
    q = k = torch.ones(1, time, 1, 1, dtype=torch.float64)
    v = torch.eye(time, dtype=torch.float64).view(1, time, 1, time)
    for level, read in {0: [11], 1: [10], 2: [8, 9], 3: [], 4: list(range(8))}.items():
        scales = torch.zeros(1, time, 1, levels, dtype=torch.float64)
        scales[..., level] = 1
        assert ATTENTION(q, k, v, scales)[0, 11, 0].nonzero().flatten().tolist() == read


def test_correlated_keys_and_resets_stay_exact():
    compare(ATTENTION, levelled(heads(130, cosine=0.9, beta=0.99, decay=None)))
    inputs = levelled(heads(70))
    inputs["g"][:, 40:42] = -torch.inf
    compare(ATTENTION, inputs)


def test_gradients_pass_a_numerical_check():
    inputs = {n: x.requires_grad_() for n, x in levelled(heads(35, width=3, values=2)).items()}
    names = list(inputs)
    assert torch.autograd.gradcheck(
        lambda *xs: ATTENTION(**dict(zip(names, xs, strict=True))), tuple(inputs.values()), fast_mode=True
    )


@given(time=st.integers(2, 80), group=st.integers(1, 2), batch=st.integers(1, 3), erase=st.booleans())
@settings(max_examples=15, deadline=None)
def test_any_shape_equals_the_loop_over_time(time, group, batch, erase):
    beta = torch.sigmoid if erase else None
    inputs = heads(time, batch=batch, key_heads=2, value_heads=2 * group, width=8, values=5, beta=beta)
    compare(ATTENTION, levelled(inputs))


def test_what_comes_later_changes_nothing_also_where_it_adds_a_level():
    inputs = levelled(heads(200))
    whole = ATTENTION(**inputs)
    for time in (1, 32, 63, 64, 129):
        assert torch.allclose(ATTENTION(**{n: x[:, :time] for n, x in inputs.items()}), whole[:, :time], atol=1e-12)


@pytest.mark.parametrize("width", (16, 64))
def test_time_and_memory_grow_hardly_faster_than_the_length_also_backwards(width):
    """T log T, by what is multiplied, written and alive: the exponent from 1,024 to 2,048 tokens."""
    counts = []
    for time in (1024, 2048):
        inputs = {n: x.float().requires_grad_() for n, x in levelled(heads(time, width=width)).items()}
        with OpCounter() as counter:
            ATTENTION(**inputs).sum().backward()
        counts.append(counter.counts())
    for name in ("flops", "written", "peak_bytes"):
        assert math.log2(getattr(counts[1], name) / getattr(counts[0], name)) < 1.15, name


@pytest.mark.parametrize(
    "wrong",
    (
        {"level_scales": torch.zeros(1, 33, 2, 6)},  # 33 tokens have 7 levels
        {"level_scales": torch.zeros(1, 33, 2)},
        {"level_scales": torch.zeros(1, 33, 3, 7)},
        {"g": torch.zeros(1, 33, 2, 5)},
        {"beta": torch.zeros(1, 33)},
        {"q": torch.zeros(1, 33, 1, 240, dtype=torch.float64), "k": torch.zeros(1, 33, 1, 240, dtype=torch.float64)},
    ),
)
def test_what_does_not_fit_is_refused_by_name(wrong):
    with pytest.raises(KernelError, match=next(iter(wrong))):
        ATTENTION(**{**levelled(heads(33)), **wrong})
