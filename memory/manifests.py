"""A shard's manifest (model, dimension, schema): in its folder, and once more beside it.

`read` puts a manifest that is gone or damaged back from its twin; `set_aside` gives a folder or file another name, so
that its place is free and nothing of it is lost. Not here: what a manifest must say (`schema.compare`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import structlog

from move37.memory.edge_convert import MANIFEST
from move37.memory.errors import StoreBroken
from move37.memory.files import ASIDE, write_synced

log = structlog.get_logger()


def read(shard: Path) -> dict[str, Any] | None:
    """The stored manifest; None where there is none at all.

    Raises:
        StoreBroken: it is damaged, and its twin is gone or damaged, too.
        OSError: it may not be read, or not be restored.
    """
    own = shard / MANIFEST
    known = _parsed(own)
    if known is not None:
        return known
    other = _parsed(twin(shard))
    if other is not None and (shard / "segments").exists():
        if own.exists():
            set_aside(own, reason="it cannot be read")
        write_synced(own, json.dumps(other))
        log.warning("manifest_restored", path=str(own))
        return other
    if own.exists():
        raise StoreBroken(
            f"The memory in {shard} is damaged ({MANIFEST} cannot be read); move it away and import it again."
        )
    return None


def write(shard: Path, manifest: dict[str, Any]) -> None:
    """Both of them, on the disk when it returns. Raises `OSError`."""
    for place in (shard / MANIFEST, twin(shard)):
        write_synced(place, json.dumps(manifest))


def twin(shard: Path) -> Path:
    """The second manifest, beside the shard."""
    return shard.with_name(f"{shard.name}.{MANIFEST}")


def set_aside(path: Path, *, reason: str) -> None:
    """Another name, which nothing reads. Raises `OSError`."""
    number = 1
    while (aside := path.with_name(f"{path.name}{ASIDE}{number}")).exists():
        number += 1
    path.rename(aside)
    log.warning("shard_set_aside", path=str(path), aside=str(aside), reason=reason)


def _parsed(path: Path) -> dict[str, Any] | None:
    """What a manifest says; None where it is none: missing, cut off, overwritten, a folder."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
        return None
    kinds = {"model": str, "dimension": int, "schema": int}
    whole = isinstance(known, dict) and all(type(known.get(name)) is kind for name, kind in kinds.items())
    return known if whole else None
