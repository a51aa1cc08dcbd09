"""The kind of this machine, which has to be equal where one measurement is used in place of another. No torch."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from pathlib import Path

_LEVELS = ("avx512f", "avx2")  # instruction sets that change which kernels run, and with them the last digits

ABSENT = "absent"  # in place of a version, as records hold it
PACKAGES = ("move37", "torch")  # whose version changes numbers


def kind(flags: str | None = None) -> str:
    """Architecture and instruction set, e.g. "x86_64 avx512f"; `flags` are read from the machine unless given."""
    known = set((_flags() if flags is None else flags).split())
    level = next((level for level in _LEVELS if level in known), "")
    return f"{platform.machine()} {level}".strip()


def conditions(sandbox: str) -> str:
    """A short digest of what numbers depend on beside their own settings: machine, kind of sandbox, versions."""
    versions = "-".join(f"{name}{version_of(name) or ABSENT}" for name in PACKAGES)
    return hashlib.sha256(f"{kind()} {sandbox} {versions}".encode()).hexdigest()[:12]


def version_of(package: str) -> str:
    """Of an installed package; empty where it is absent (we ourselves, run from a checkout)."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _flags() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "")
