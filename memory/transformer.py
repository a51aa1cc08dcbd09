"""Any sentence-transformers model, by a name that is on this machine or by a folder.

The library and the weights are loaded at the first need (5 s), on the CPU: a campaign's accelerator belongs to its
trainings. Nothing is downloaded and no code that comes with a model is run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from move37.memory.embedder_protocol import weights_digest, whole
from move37.memory.errors import BackendMissing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

BATCH = 32  # texts at once
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


class Transformer:
    """A model of the library. `name` is what a collection remembers: a folder's own name, so that it may be moved."""

    def __init__(self, model: str, *, folder: Path | None = None) -> None:
        given = Path(model).expanduser()
        self._folder = folder or (given if given.is_dir() else None)
        self._model = model
        self.name = model if folder is not None or self._folder is None else given.resolve().name
        self._lock = threading.Lock()

    @cached_property
    def dimension(self) -> int:
        """Of a vector (loads the model).

        Raises:
            BackendMissing: the library or the model is not on this machine.
        """
        get = getattr(self._loaded, "get_embedding_dimension", None) or self._loaded.get_sentence_embedding_dimension
        return int(get())

    @cached_property
    def digest(self) -> str:
        """Of the weights: the folder's files, or what was loaded under the name."""
        if self._folder is not None:
            files = [path for pattern in _WEIGHTS for path in self._folder.rglob(pattern)]
            if files:
                return weights_digest(files)
        return _tensors_digest(self._loaded)

    def embed(self, texts: Sequence[str]) -> Floats:
        """[len(texts), dimension], each of length 1."""
        import numpy as np

        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        with self._lock:  # the tokenizer pads a batch in place
            rows = self._loaded.encode(
                [whole(text) for text in texts],
                batch_size=BATCH,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        out: Floats = np.asarray(rows, dtype=np.float32)
        return out

    @cached_property
    def _loaded(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise BackendMissing(
                "sentence-transformers is not installed; run: pip install sentence-transformers"
            ) from error
        where = str(self._folder or self._model)
        return _offline(lambda: SentenceTransformer(where, device="cpu", local_files_only=True), self._model)


def _offline(load: Callable[[], Any], model: str) -> Any:
    """A model that is here, or one sentence."""
    try:
        return load()
    except (
        Exception
    ) as error:  # the library raises whatever its parts do: OSError, ValueError, KeyError, of any package
        reason = " ".join(str(error).split())[:160]
        raise BackendMissing(
            f"The embedding model {model!r} is not on this machine, or cannot be loaded ({reason}); set"
            " memory.embedding_model to a folder that holds it, or leave it out."
        ) from error


def _tensors_digest(model: Any) -> str:
    import hashlib

    whole = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        whole.update(name.encode())
        whole.update(tensor.detach().cpu().contiguous().flatten().view(dtype=_bytes()).numpy().tobytes())
    return whole.hexdigest()[:16]


def _bytes() -> Any:
    import torch

    return torch.uint8
