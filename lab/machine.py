"""The kind of this machine, which has to be equal where one measurement is used in place of another. No torch."""

from __future__ import annotations

import platform
from pathlib import Path

_LEVELS = ("avx512f", "avx2")  # instruction sets that change which kernels run, and with them the last digits


def kind(flags: str | None = None) -> str:
    """Architecture and instruction set, e.g. "x86_64 avx512f"; `flags` are read from the machine unless given."""
    known = set((_flags() if flags is None else flags).split())
    level = next((level for level in _LEVELS if level in known), "")
    return f"{platform.machine()} {level}".strip()


def _flags() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "")
