"""The Triton kernels, forward and backward, run by Triton's interpreter on tiny shapes.

The interpreter has to be chosen before Triton is imported, so these cases run in one process of their own: the file
`interpreted.py` beside this one. On a GPU, `python -m pytest tests/kernels/interpreted.py` runs them there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

CASES = Path(__file__).with_name("interpreted.py")
ROOT = CASES.parents[2]

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not made for this platform")


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("half", ("not slow", pytest.param("slow", marks=pytest.mark.slow)))
def test_every_kernel_equals_the_reference_in_the_interpreter(half):
    done = python("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", half, str(CASES), TRITON_INTERPRET="1")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "skipped" not in done.stdout


def test_every_kernel_imports_under_the_installed_triton():
    """Triton checks the decorators then: autotune keys that are not arguments fail here, not on the first GPU."""
    done = python("-m", "move37.benchmarks.kernels", "--imports", TRITON_INTERPRET="0")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_every_kernel_compiles_for_a_hopper_card():
    """To machine code for sm_90, with the assembler that Triton carries; no card is needed."""
    done = python("-m", "move37.benchmarks.kernels", "--compile", TRITON_INTERPRET="0")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
