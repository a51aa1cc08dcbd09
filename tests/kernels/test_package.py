"""The package stays light: what importing it costs, what it may import, who serves a call."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from move37 import kernels
from move37.kernels.dispatch import choose

ROOT = Path(kernels.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, move37.kernels; sys.exit(any(n in sys.modules for n in ('torch', 'triton', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_using_the_package_loads_neither_a_compiler_nor_triton():
    """Seconds of a sandbox that starts fresh; and the image has no sources for a compiler to read."""
    code = """
import sys, torch
from move37 import kernels
for name in kernels.__all__:
    getattr(kernels, name)
q = torch.randn(1, 20, 2, 16, requires_grad=True)
kernels.chunk_gated_delta_rule(q, q, q)[0].sum().backward()
kernels.chunk_gla(q, q, q, -q.abs())[0].sum().backward()
kernels.causal_conv1d(torch.randn(1, 5, 4), torch.randn(4, 4), cu_seqlens=torch.tensor([0, 2, 5]))
print([name for name in ("torch._dynamo", "sympy", "triton") if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_it_cannot_be_taken_for_another_package_of_that_name():
    assert not hasattr(kernels, "__version__")


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_what_the_sandbox_has(source):
    allowed = {*sys.stdlib_module_names, "torch", "einops", "move37"}
    if source.name.startswith("triton"):
        allowed.add("triton")
    at_import = ast.parse(source.read_text())
    for node in ast.walk(at_import):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        for name in [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]:
            inside_a_function = node.col_offset > 0
            assert name.split(".")[0] in allowed or (name == "triton" and inside_a_function), (source, name)


def test_every_public_name_can_be_had():
    assert all(callable(getattr(kernels, name)) for name in kernels.__all__)
    with pytest.raises(AttributeError):
        _ = kernels.nothing_of_that_name


def test_a_call_is_served_by_its_device_unless_told_otherwise():
    assert choose(torch.device("cpu")) == "chunked"
    with kernels.implementation("reference"):
        assert choose(torch.device("cpu")) == "reference"
    assert choose(torch.device("cpu")) == "chunked"


DELTA = "q k v g beta scale initial_state output_final_state use_qk_l2norm_in_kernel"
SAME_ORDER = {  # flash-linear-attention 0.6.0's arguments, as far as they can be given by position
    "chunk_gated_delta_rule": DELTA,
    "chunk_delta_rule": DELTA.replace("g ", ""),
    "chunk_simple_gla": "q k v g g_gamma scale initial_state output_final_state",
    "chunk_gla": "q k v g scale initial_state output_final_state",
    "fused_recurrent_gated_delta_rule": DELTA.replace("g ", "g gk gv "),
    "fused_recurrent_delta_rule": DELTA.replace("g ", ""),
    "fused_recurrent_simple_gla": "q k v g g_gamma scale initial_state output_final_state",
    "fused_recurrent_gla": "q k v gk gv scale initial_state output_final_state reverse",
    "chunk_kda": DELTA,
    "fused_recurrent_kda": DELTA.replace("beta ", "beta A_log dt_bias "),
    "chunk_dplr_delta_rule": "q k v a b gk scale initial_state output_final_state cu_seqlens",
    "fused_recurrent_dplr_delta_rule": "q k v a b gk scale initial_state output_final_state cu_seqlens",
    "chunk_rwkv7": "r w k v a b scale initial_state output_final_state cu_seqlens",
    "fused_recurrent_rwkv7": "r w k v a b scale initial_state output_final_state cu_seqlens",
    "chunk_gated_delta_product": "q k v g beta num_householder scale initial_state output_final_state cu_seqlens "
    "use_qk_l2norm_in_kernel",
    "causal_conv1d": "x weight bias residual initial_state output_final_state activation",
    "rms_norm_gated": "x g weight bias activation residual prenorm residual_in_fp32 eps",
    "l2norm": "x eps output_dtype",
    "fused_linear_cross_entropy_loss": "x target weight bias ignore_index label_smoothing logit_scale "
    "logit_softcapping num_chunks reduction",
}


@pytest.mark.parametrize("name", sorted(set(kernels.__all__) - {"implementation"}))
def test_a_function_says_in_its_first_line_what_it_computes_and_then_the_shapes(name):
    """From this, and the signature, a model that writes a mixer learns what there is."""
    first, empty, shapes = (inspect.getdoc(getattr(kernels, name)) or "").splitlines()[:3]
    assert len(first) > 40 and first.endswith(".") and not empty
    assert shapes.startswith("Shapes: ") and "->" in shapes


@pytest.mark.parametrize("name", SAME_ORDER)
def test_arguments_stand_in_the_order_of_the_library_that_can_be_swapped_in(name):
    ours = list(inspect.signature(getattr(kernels, name)).parameters)
    wanted = SAME_ORDER[name].split()
    assert ours[: len(wanted)] == wanted
    assert set(ours[len(wanted) :]) <= {"cu_seqlens", "options"}
