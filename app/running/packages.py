"""Packages for one program: wheels from the user's own index, unpacked on the host and sent along as files.

Nothing of a package runs on the host (wheels only, no build, no local path), nor anything of the folder in which the
user stands: pip starts in an empty one. The sandbox stays without a network. What was fetched once is kept in the
home's cache, whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from move37.app.exits import BadInput, EnvironmentFault
from move37.app.settings import index_of_packages
from move37.app.text import one_line

FOLDER = "packages"  # beside the program, on its PYTHONPATH
MOST_BYTES = 512 * 1024 * 1024
SECONDS = 900
IMAGE_PYTHON = "3.11"  # of the sandbox's image
_PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSION = r"\s*(?:[<>]=?|[=!~]=|===)\s*[A-Za-z0-9][A-Za-z0-9._+!*-]*\s*"
_PACKAGE = re.compile(rf"\s*{_NAME}\s*(?:\[\s*{_NAME}(?:\s*,\s*{_NAME})*\s*\])?(?:{_VERSION}(?:,{_VERSION})*)?\s*")
_UNREACHABLE = re.compile(
    r"Retrying|ConnectionError|ConnectTimeout|ReadTimeout|SSLError|Name or service|Network is unre"
)


def packages(names: Sequence[str], cache: Path, *, docker: bool) -> dict[str, bytes]:
    """Path -> content of all files of `names` and what they need. Raises `BadInput` when the index refuses."""
    if not names:
        return {}
    for name in names:
        if not _PACKAGE.fullmatch(name):
            raise BadInput(f"--pip {name}: name a package of your index, such as pandas or pandas==2.2")
    target = cache / "packages" / _key(names, docker)
    if not target.is_dir():
        _fetch(names, target, docker=docker)
    paths = [
        path
        for path in sorted(target.rglob("*"))
        if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts
    ]
    if sum(path.stat().st_size for path in paths) > MOST_BYTES:
        raise BadInput(
            f"--pip {' '.join(names)}: more than {MOST_BYTES >> 20} MiB: build an image of your own (--image)"
        )
    return {f"{FOLDER}/{path.relative_to(target).as_posix()}": path.read_bytes() for path in paths}


def _key(names: Sequence[str], docker: bool) -> str:
    """Of what was asked for, for whom, and of where pip was told to look."""
    whom = IMAGE_PYTHON if docker else sys.version
    words = [
        *sorted("".join(name.split()).lower() for name in names),
        whom,
        os.uname().machine,
        *index_of_packages(),
        "2",
    ]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _fetch(names: Sequence[str], target: Path, *, docker: bool) -> None:
    """Into a folder beside it, which takes its name when all is there: an interrupted one is never met again, and two
    that fetch the same do not disturb each other."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as folder:
        half, empty = Path(folder) / "packages", Path(folder) / "empty"
        half.mkdir()
        empty.mkdir()
        _pip(names, half, empty, docker=docker)
        try:
            half.rename(target)
        except OSError:
            if not target.is_dir():  # another one was first
                raise


def _pip(names: Sequence[str], target: Path, empty: Path, *, docker: bool) -> None:
    there = [f"--platform={p}_{os.uname().machine}" for p in _PLATFORMS]
    python = [f"--python-version={IMAGE_PYTHON}", "--implementation=cp", *there] if docker else []
    command = [sys.executable, "-P", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--no-input", "--only-binary=:all:", f"--target={target.absolute()}", *python, "--", *names]
    asked = f"--pip {' '.join(names)}"
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            cwd=empty,  # a file of the user's folder that is called like a package is not meant
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentFault(f"{asked}: pip took longer than {SECONDS} s; is the index slow?") from None
    if not done.returncode:
        return
    said = done.stderr.decode("utf-8", "replace")
    if "No module named pip" in said:
        raise EnvironmentFault("--pip needs pip in this environment: python -m ensurepip")
    if _UNREACHABLE.search(said):
        raise EnvironmentFault(f"{asked}: the index cannot be reached: check the network, and pip's configuration")
    lines = [line for line in said.splitlines() if line.startswith("ERROR")] or said.strip().splitlines()
    why = one_line(lines[-1].removeprefix("ERROR: "), 300) if lines else f"pip ended with {done.returncode}"
    raise BadInput(f"{asked}: {why}")
