"""A wheel holds whatever the code reads beside itself."""

from __future__ import annotations

import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("app", "agents", "lab", "memory", "sandbox", "kernels", "benchmarks")


def test_every_data_file_of_a_room_goes_into_the_wheel() -> None:
    listed = subprocess.run(["git", "ls-files", *ROOMS], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout")
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    names = [Path(line) for line in listed.stdout.splitlines() if not line.endswith(".py")]
    assert names and not [str(p) for p in names if not any(fnmatch(p.name, pattern) for pattern in told)]
