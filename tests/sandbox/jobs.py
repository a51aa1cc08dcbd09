"""Short ways to say what a job is."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from move37.sandbox.job import MIB, Job, Limits

QUICK = Limits(wall_seconds=30.0, memory_bytes=512 * MIB, disk_bytes=64 * MIB, result_bytes=1 * MIB)


def program(source: str, *arguments: str, files: dict[str, bytes] | None = None, **fields: Any) -> Job:
    """`python main.py ARGUMENTS` with `source` as main.py."""
    return command("python", "main.py", *arguments, files={"main.py": source.encode()} | (files or {}), **fields)


def command(*argv: str, **fields: Any) -> Job:
    fields.setdefault("limits", QUICK)
    return Job(id=uuid4().hex[:8], trust=fields.pop("trust", "test"), argv=argv, **fields)
