"""Packages for one program: wheels from the user's own index, unpacked on the host and sent along as files.

Nothing of a package runs on the host (wheels only, no build), and the sandbox stays without a network. What was fetched
once is kept in the home's cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from move37.app.exits import BadInput, EnvironmentFault

FOLDER = "packages"  # beside the program, on its PYTHONPATH
MOST_BYTES = 512 * 1024 * 1024
SECONDS = 900
IMAGE_PYTHON = "3.11"  # of the sandbox's image
_PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")


def packages(names: Sequence[str], cache: Path, *, docker: bool) -> dict[str, bytes]:
    """Path -> content of all files of `names` and what they need. Raises `BadInput` when the index refuses."""
    if not names:
        return {}
    target = cache / "packages" / _key(names, docker)
    if not (target / ".complete").is_file():
        _fetch(names, target, docker=docker)
    files = {
        f"{FOLDER}/{path.relative_to(target).as_posix()}": path.read_bytes()
        for path in sorted(target.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name != ".complete" and "__pycache__" not in path.parts
    }
    if sum(map(len, files.values())) > MOST_BYTES:
        raise BadInput(
            f"--pip {' '.join(names)}: more than {MOST_BYTES >> 20} MiB: build an image of your own (--image)"
        )
    return files


def _key(names: Sequence[str], docker: bool) -> str:
    words = [*sorted(names), "docker" if docker else sys.version]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _fetch(names: Sequence[str], target: Path, *, docker: bool) -> None:
    for name in names:
        if name.startswith("-") or "://" in name or os.sep in name:
            raise BadInput(f"--pip {name}: name a package of your index, such as pandas or pandas==2.2")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    machine = os.uname().machine
    there = [f"--platform={p}_{machine}" for p in _PLATFORMS]
    python = [f"--python-version={IMAGE_PYTHON}", "--implementation=cp", *there] if docker else []
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--only-binary=:all:", f"--target={target}", *python, "--", *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        shutil.rmtree(target, ignore_errors=True)
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        why = lines[-1].removeprefix("ERROR: ") if lines else f"pip ended with {done.returncode}"
        if "No module named pip" in done.stderr:
            raise EnvironmentFault("--pip needs pip in this environment: python -m ensurepip")
        raise BadInput(f"--pip {' '.join(names)}: {why}")
    (target / ".complete").touch()
