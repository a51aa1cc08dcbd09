"""One SHA-256 over named contents: says whether a task's data or files are still those that its numbers came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def checksum(files: Iterable[tuple[bytes, bytes]]) -> str:
    """Of (name, content) pairs in the order given; the lengths are in it, so that no two lists of files agree."""
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(name + f"\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
