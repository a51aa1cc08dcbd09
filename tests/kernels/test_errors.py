"""Bad input raises a typed error that names the argument, what it got and what it wants."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from move37 import kernels
from move37.kernels import errors
from tests.kernels.cases import every_operator
from tests.kernels.test_pytorch import DECODING


def good(**changes):
    given = {
        "q": torch.randn(2, 5, 2, 8),
        "k": torch.randn(2, 5, 2, 8),
        "v": torch.randn(2, 5, 4, 8),
        "g": -torch.rand(2, 5, 4),
        "beta": torch.rand(2, 5, 4),
    }
    return {**given, **changes}


@pytest.mark.parametrize(
    "changes,kind,names",
    (
        ({"q": torch.randn(2, 5, 8)}, errors.BadShape, ("q", "[2, 5, 8]")),
        ({"k": torch.randn(2, 5, 2, 9)}, errors.BadShape, ("k", "[2, 5, 2, 9]", "[2, 5, 2, 8]")),
        ({"v": torch.randn(2, 5, 3, 8)}, errors.BadShape, ("v", "multiple")),
        ({"v": torch.randn(2, 6, 4, 8)}, errors.BadShape, ("v", "[2, 6, 4, 8]")),
        ({"g": torch.rand(2, 5, 2)}, errors.BadShape, ("g", "[2, 5, 2]", "[2, 5, 4]")),
        ({"beta": torch.rand(2, 5, 4, 8)}, errors.BadShape, ("beta", "[2, 5, 4, 8]")),
        ({"beta": torch.ones(2, 5, 4, dtype=torch.int64)}, errors.BadDtype, ("beta", "int64")),
        ({"k": torch.randn(2, 5, 2, 8).bfloat16()}, errors.BadDtype, ("k", "bfloat16", "float32")),
        ({"v": torch.randn(2, 5, 4, 8, device="meta")}, errors.BadDevice, ("v", "meta")),
        ({"q": torch.randn(2, 5, 2, 300), "k": torch.randn(2, 5, 2, 300)}, errors.BadShape, ("q", "256")),
        ({"initial_state": torch.randn(2, 4, 8, 7)}, errors.BadShape, ("initial_state", "[2, 4, 8, 8]")),
        ({"cu_seqlens": torch.tensor([0, 5])}, errors.BadSequences, ("cu_seqlens", "batch")),
        ({"state_v_first": True}, errors.BadOption, ("state_v_first",)),
    ),
)
def test_a_bad_argument_is_named(changes, kind, names):
    with pytest.raises(kind) as caught:
        kernels.chunk_gated_delta_rule(**good(**changes))
    assert isinstance(caught.value, errors.KernelError)
    for name in names:
        assert name in str(caught.value)


@pytest.mark.parametrize(
    "call,name",
    (
        (lambda x: kernels.causal_conv1d(x, torch.ones(8, 4), residual=x), "residual is 'a tensor [2, 5, 8]'"),
        (lambda x: kernels.rms_norm_gated(x, x, residual=x), "residual is 'a tensor [2, 5, 8]'"),
        (lambda x: kernels.rms_norm_gated(x, x, prenorm=True), "prenorm is True"),
        (lambda x: kernels.fused_recurrent_gated_delta_rule(**good(gk=x)), "gk is 'a tensor [2, 5, 8]'"),
        (lambda x: kernels.fused_recurrent_gla(**good(gk=x, gv=x, g=None, beta=None)), "gv is 'a tensor [2, 5, 8]'"),
        (lambda x: kernels.fused_recurrent_gla(**good(gk=x, g=None, beta=None, reverse=True)), "reverse is True"),
        (lambda x: kernels.causal_conv1d(x, torch.ones(8, 4), backend="cuda"), "backend is 'cuda'"),
        (
            lambda x: kernels.fused_linear_cross_entropy_loss(x, x[..., 0].long(), torch.ones(3, 8), logit_scale=2.0),
            "logit_scale is 2.0",
        ),
    ),
)
def test_what_this_package_does_not_have_is_refused_by_name(call, name):
    with pytest.raises(errors.BadOption, match=re.escape(name)):
        call(torch.randn(2, 5, 8))


def test_an_option_that_asks_for_what_is_done_anyway_is_accepted():
    x = torch.randn(2, 5, 8)
    kernels.causal_conv1d(x, torch.ones(8, 4), backend="triton", cp_context=None)
    kernels.fused_linear_cross_entropy_loss(x, torch.zeros(2, 5).long(), torch.ones(3, 8), use_l2warp=False)
    kernels.chunk_gated_delta_rule(**good(), state_v_first=False, cu_seqlens_cpu=None)


UNTYPED: Any = kernels
CASES = {name: (case.call, case.inputs) for name, case in every_operator().items() if "packed" not in name}
CASES |= {name: (getattr(kernels, f"fused_recurrent_{name}"), inputs) for name, inputs in DECODING.items()}


@pytest.mark.parametrize("bad", ("a list", "a string", "sparse", "nested", "complex", "of one axis more"))
@pytest.mark.parametrize("name", CASES)
def test_every_argument_that_is_no_such_tensor_is_named_as_its_caller_calls_it(name, bad):
    call, inputs = CASES[name]
    inputs = {"gk" if (n, name) == ("g", "gla") else n: x for n, x in inputs.items()}
    made = {
        "a list": lambda x: [1.0],
        "a string": lambda x: "x",
        "sparse": lambda x: x.to_sparse(),
        "nested": lambda x: torch.nested.nested_tensor([x, x]),
        "complex": lambda x: x.to(torch.complex64),
        "of one axis more": lambda x: x.unsqueeze(0),
    }[bad]
    for n, x in inputs.items():
        if torch.is_tensor(x) and not (bad == "of one axis more" and n == "x"):  # of any number of axes in the norms
            for where in ("chunked", "reference"):
                with pytest.raises(errors.KernelError, match=rf"^{n} (is|has) "), kernels.implementation(where):
                    call(**{**inputs, n: made(x)})


@pytest.mark.parametrize(
    "call,name",
    (
        (lambda x, v: UNTYPED.chunk_gated_delta_rule(v, v, v, scale="half"), "scale is 'half'"),
        (lambda x, v: UNTYPED.chunk_gla(v, v, v, v, scale=[1.0, 2.0]), "scale is [1.0, 2.0]"),
        (lambda x, v: UNTYPED.rms_norm_gated(x, x, eps="small"), "eps is 'small'"),
        (lambda x, v: UNTYPED.l2norm(x, eps=None), "eps is None"),
        (lambda x, v: UNTYPED.rms_norm_gated(x, None), "g is 'NoneType'"),
        (lambda x, v: UNTYPED.chunk_simple_gla(v, v, [1.0], g_gamma=x[0, 0]), "v is 'list'"),
        (lambda x, v: UNTYPED.chunk_kda([1.0], v, v, v, x[..., 0], use_qk_l2norm_in_kernel=True), "q is 'list'"),
        (
            lambda x, v: UNTYPED.fused_linear_cross_entropy_loss(
                x, x[..., 0].long(), torch.ones(3, 8), ignore_index=None
            ),
            "ignore_index is None",
        ),
    ),
)
def test_a_number_that_is_none_is_named(call, name):
    with pytest.raises(errors.BadOption, match=re.escape(name)):
        call(torch.randn(2, 5, 8), torch.randn(2, 5, 1, 8))


@pytest.mark.parametrize("bounds", ([0, 4, 3, 5], [1, 5], [0, 4]))
def test_bounds_that_do_not_pack_are_refused(bounds):
    given = {n: x[:1] for n, x in good().items()}
    with pytest.raises(errors.BadSequences, match="cu_seqlens"):
        kernels.chunk_gated_delta_rule(**given, cu_seqlens=torch.tensor(bounds))


def test_an_unknown_implementation_is_refused():
    with pytest.raises(errors.BadOption, match="reference, chunked, triton"), kernels.implementation("cuda"):  # type: ignore[arg-type]
        pass


def test_triton_without_a_gpu_is_refused():
    with pytest.raises(errors.BadDevice, match="CUDA"), kernels.implementation("triton"):
        kernels.chunk_gated_delta_rule(**good())


def test_the_small_operators_name_their_arguments_too():
    x = torch.randn(2, 5, 8)
    with pytest.raises(errors.BadShape, match="weight"):
        kernels.causal_conv1d(x, torch.randn(7, 4))
    with pytest.raises(errors.BadOption, match="activation"):
        kernels.causal_conv1d(x, torch.randn(8, 4), activation="relu")
    with pytest.raises(errors.BadShape, match="g has shape"):
        kernels.rms_norm_gated(x, x[:1])
    with pytest.raises(errors.BadDtype, match="target"):
        kernels.fused_linear_cross_entropy_loss(x, torch.rand(2, 5), torch.randn(9, 8))
    with pytest.raises(errors.BadShape, match="g has shape"):
        kernels.chunk_gla(x.unsqueeze(2), x.unsqueeze(2), x.unsqueeze(2), torch.rand(2, 5, 1))


def test_what_is_no_tensor_or_no_target_is_named():
    x, none_due = torch.randn(2, 5, 8), torch.full((2, 5), -100)
    for call, name in (
        (lambda: kernels.chunk_gated_delta_rule(**good(g=[1.0])), "g is 'list'"),
        (lambda: kernels.chunk_gla(x[:, :, None], x[:, :, None], x[:, :, None], None), "g is 'NoneType'"),  # type: ignore[arg-type]
        (lambda: kernels.causal_conv1d(x, None), "weight is 'NoneType'"),  # type: ignore[arg-type]
        (lambda: kernels.fused_linear_cross_entropy_loss(x, none_due + 109, torch.randn(9, 8)), "target is '9..9'"),
    ):
        with pytest.raises(errors.BadOption, match=re.escape(name)):
            call()
    with pytest.raises(errors.BadDtype, match=re.escape("weight has dtype torch.bfloat16; it must be torch.float32")):
        kernels.fused_linear_cross_entropy_loss(x, none_due, torch.randn(9, 8).bfloat16())
    with pytest.raises(errors.BadDtype, match="output_dtype"):
        kernels.l2norm(x, output_dtype=torch.int32)
