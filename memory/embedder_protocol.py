"""The protocol `Embedder` (texts to unit vectors), and a digest that names weights. `embed.py` opens one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

DEFAULT = "all-MiniLM-L6-v2"


class Embedder(Protocol):
    """Whatever turns texts into unit vectors."""

    @property
    def name(self) -> str:
        """Of the model, as a collection remembers it."""
        ...

    @property
    def dimension(self) -> int:
        """Of a vector."""
        ...

    @property
    def digest(self) -> str:
        """Of the weights; "" is not compared."""
        ...

    def embed(self, texts: Sequence[str]) -> Floats:
        """[len(texts), dimension], each of length 1."""
        ...


def whole(text: str) -> str:
    """Without halves of characters (an argument that is no UTF-8, JSON that spells one), which no encoder reads."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def weights_digest(files: Sequence[Path]) -> str:
    """Names the weights in these files: other weights of the same name have another one. 90 MB take .1 s."""
    whole = hashlib.sha256()
    for path in sorted(files):
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]
