"""The package stays light: what importing it costs, what it may import, who serves a call."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import kernels
from kernels.dispatch import choose

ROOT = Path(kernels.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, kernels; sys.exit(any(n in sys.modules for n in ('torch', 'triton', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_cannot_be_taken_for_another_package_of_that_name():
    assert not hasattr(kernels, "__version__")


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_what_the_sandbox_has(source):
    allowed = {*sys.stdlib_module_names, "torch", "einops", "kernels"}
    if source.parent.name == "triton":
        allowed.add("triton")
    at_import = ast.parse(source.read_text())
    for node in ast.walk(at_import):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
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
