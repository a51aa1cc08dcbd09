"""Vectors of the built-in base, shipped, so that the first run does not spend a minute on embedding.

`cognition/vectors.npz` holds, for each passage of the base, the digest of model and text, and the vector in 8 bits with
one scale a row (cosine to the exact vector over .9999). A passage whose digest is not in it is embedded as usual, so a
changed text costs only itself and a stale file is never wrong. After editing papers run

    python -m move37.memory.prebuilt

tests/memory/test_cognition.py embeds a sample again and compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from move37.memory.embed import digest, open_embedder
from move37.memory.embedder_protocol import Embedder
from move37.memory.papers import BUILTIN, builtin_entries
from move37.memory.records_to_vectors import all_passages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

FILE = BUILTIN / "vectors.npz"
_DIGEST = 12  # bytes


class Prebuilt:
    """An embedder that knows some texts already."""

    def __init__(self, embedder: Embedder, file: Path = FILE) -> None:
        import numpy as np

        self.name = embedder.name
        self.dimension = embedder.dimension
        self._embedder = embedder
        self._rows: dict[bytes, int] = {}
        self._codes: Any = None
        self._scales: Any = None
        if file.exists():
            with np.load(file, allow_pickle=False) as stored:
                keys, self._codes, self._scales = stored["keys"], stored["codes"], stored["scales"]
            if self._codes.shape[1:] == (self.dimension,) and len(keys) == len(self._codes) == len(self._scales):
                self._rows = {bytes(key): row for row, key in enumerate(keys)}

    @property
    def digest(self) -> str:
        """Of the weights."""
        return self._embedder.digest

    def embed(self, texts: Sequence[str]) -> Floats:
        """[len(texts), dimension], each of length 1."""
        import numpy as np

        out = np.empty((len(texts), self.dimension), dtype=np.float32)
        missing = []
        for place, text in enumerate(texts):
            row = self._rows.get(key_of(self.name, text))
            if row is None:
                missing.append(place)
            else:
                vector = self._codes[row].astype(np.float32) * self._scales[row]
                out[place] = vector / np.linalg.norm(vector)
        if missing:
            out[missing] = self._embedder.embed([texts[place] for place in missing])
        return out


def key_of(model: str, text: str) -> bytes:
    """Names a text under a model."""
    return bytes.fromhex(digest(f"{model}\0{text}"))


def build(file: Path = FILE) -> int:
    """Write the file for the base as it is now; gives the number of passages. What the shipped file holds already is
    kept: its rows come out of the rounding as they went in."""
    import numpy as np

    model = open_embedder()
    texts = all_passages(builtin_entries())
    vectors = Prebuilt(model).embed(texts)
    scales = np.abs(vectors).max(axis=1) / 127.0
    codes = np.rint(vectors / scales[:, None]).astype(np.int8)
    keys = np.asarray([list(key_of(model.name, text)) for text in texts], dtype=np.uint8).reshape(-1, _DIGEST)
    np.savez_compressed(file, keys=keys, codes=codes, scales=scales.astype(np.float32))
    return len(texts)


if __name__ == "__main__":
    build()
