"""Packages for one program: wheels from the user's own index, unpacked on the host and sent along as files.

Nothing of a package runs on the host (wheels only, no build, no local path), nor anything of the folder in which the
user stands, though pip starts there: what it is told may name a place by a relative path. The sandbox stays without a
network. What was fetched once is kept in the home's cache, whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from move37.app.exits import BadInput, EnvironmentFault
from move37.app.text import one_line
from move37.sandbox.docker.image import wheel_processor

FOLDER = "packages"  # beside the program, on its PYTHONPATH
MOST_BYTES = 512 * 1024 * 1024
SECONDS = 900
CONFIG_SECONDS = 60
IMAGE_PYTHON = "3.11"  # of the sandbox's image
_PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSION = r"\s*(?:[<>]=?|[=!~]=|===)\s*[A-Za-z0-9][A-Za-z0-9._+!*-]*\s*"
_PACKAGE = re.compile(rf"\s*{_NAME}\s*(?:\[\s*{_NAME}(?:\s*,\s*{_NAME})*\s*\])?(?:{_VERSION}(?:,{_VERSION})*)?\s*")
_ARCHIVE = re.compile(r"\.(?:whl|zip|tbz|tgz|tlz|txz|tar(?:\.\w+)?)\s*(?:\[|$)", re.I)  # a file, if there is one here
# What else the user's environment may ask of pip, and a folder of our own cannot be: another place, other requirements.
_NOT_MEANT = tuple(
    f"PIP_{name}"
    for name in ("DRY_RUN", "EDITABLE", "GROUP", "PREFIX", "PYTHON", "REPORT", "REQUIREMENT", "ROOT", "TARGET", "USER")
)
_UNREACHABLE = re.compile(
    r"Retrying|ConnectionError|ConnectTimeout|ReadTimeout|SSLError|Name or service|Network is unre"
)


def packages(names: Sequence[str], cache: Path, *, docker: bool) -> dict[str, bytes]:
    """Path -> content of all files of `names` and what they need. Raises `BadInput` when the index refuses."""
    if not names:
        return {}
    for name in names:
        if not _PACKAGE.fullmatch(name) or _ARCHIVE.search(name):
            raise BadInput(f"--pip {name}: name a package of your index, such as pandas or pandas==2.2")
    told = _pip("config", "list", seconds=CONFIG_SECONDS).stdout.decode("utf-8", "replace")
    target = cache / "packages" / _key(names, docker, told)
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


def _key(names: Sequence[str], docker: bool, told: str) -> str:
    """Of what was asked for, for whom, and of all that pip is told besides (lines of `pip config list`): where to look,
    which versions not to take. Of the places that those lines name, too, and of what a constraint says."""
    whom = IMAGE_PYTHON if docker else sys.version
    words = [*sorted("".join(name.split()).lower() for name in names), whom, os.uname().machine, told, "3"]
    for line in told.splitlines():
        setting, _, value = line.partition("=")
        for word in value.strip("'\"").split():
            with suppress(OSError):
                words.append(str(Path(word).resolve(strict=True)))
                words += [Path(word).read_text("latin-1")] if "constraint" in setting else []
    return hashlib.sha256("\n".join(words).encode("utf-8", "replace")).hexdigest()[:16]


def _fetch(names: Sequence[str], target: Path, *, docker: bool) -> None:
    """Into a folder beside it, which takes its name when all is there: an interrupted one is never met again, and two
    that fetch the same do not disturb each other."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as folder:
        half = Path(folder) / "packages"
        half.mkdir()
        _install(names, half, docker=docker)
        try:
            half.rename(target)
        except OSError:
            if not target.is_dir():  # another one was first
                raise


def _install(names: Sequence[str], target: Path, *, docker: bool) -> None:
    there = [f"--platform={p}_{wheel_processor(os.uname().machine)}" for p in _PLATFORMS]
    python = [f"--python-version={IMAGE_PYTHON}", "--implementation=cp", *there] if docker else []
    command = ["install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-input"]
    command += ["--only-binary=:all:", f"--target={target.absolute()}", *python, "--", *names]
    asked = f"--pip {' '.join(names)}"
    done = _pip(*command, seconds=SECONDS)
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


def _pip(*arguments: str, seconds: float) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            [sys.executable, "-P", "-m", "pip", *arguments],  # -P: no file of the user's folder is imported
            capture_output=True,
            env={name: value for name, value in os.environ.items() if name not in _NOT_MEANT},
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentFault(f"--pip: pip took longer than {seconds:g} s; is the index slow?") from None
