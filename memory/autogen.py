"""AutoGen's `Memory` protocol over Qdrant, for any AutoGen agent: `AssistantAgent(memory=[QdrantMemory(config)])`.

It behaves as AutoGen's own vector memories do (text, Markdown and JSON objects; the last message asks; what is found
becomes one system message; every result's metadata has `score` and `id`), with four differences on purpose: JSON comes
back as it was given, metadata keeps its types, an item that already stands in the context is not added again, and the
recalled text is fenced and labelled as data. A text of more than `max_passages` passages is kept in whole, but only as
many of them are embedded, evenly spread, so that `add` ends; the log and each result that is such a text say so.
Images, bytes and what is no JSON raise `ValueError`. The engine of one folder is shared inside a process, so that a
copy made from `dump_component()` may live beside its original.
"""

from __future__ import annotations

import asyncio
import math
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import structlog
from autogen_core import CancellationToken, Component
from autogen_core.memory import Memory, MemoryContent, MemoryQueryResult, UpdateContextResult
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import SystemMessage
from pydantic import BaseModel, Field, model_validator

from move37.memory.autogen_items import IN_PART, content_of, key_path, stored, value_asked
from move37.memory.backend import open_store
from move37.memory.embed import open_embedder, passages, spread
from move37.memory.embedder_protocol import Embedder
from move37.memory.guard import fenced, neutralize
from move37.memory.store import Collection, Nearest, Point, Store, Where

log = structlog.get_logger()
HEADING = "Relevant memory content:"
ASKED = 16  # passages of a question that are looked at
_VECTOR = "text"


class QdrantMemoryConfig(BaseModel):
    """Where the memory lies and how it answers."""

    collection_name: str = Field(default="memory_store", min_length=1, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$")
    path: str | None = Field(
        default=None, description="folder of the embedded engine; ./qdrant_memory without path and url"
    )
    url: str | None = Field(default=None, description="of a Qdrant server, for example http://127.0.0.1:6333")
    api_key: str | None = None
    embedding_model: str | None = Field(
        default=None, description="a sentence-transformers model's name or folder; None: the one that a package carries"
    )
    k: int = Field(default=3, ge=1, description="results of a query")
    score_threshold: float | None = Field(default=None, allow_inf_nan=False, description="least cosine of a result")
    max_passages: int = Field(
        default=256, ge=1, description="passages of one item that are embedded, of 70 words at most; 256 take some 10 s"
    )
    allow_reset: bool = Field(default=True, description="false: reset() raises RuntimeError")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.path is not None and self.url is not None:
            raise ValueError("Give path or url, not both.")
        return self


class QdrantMemory(Memory, Component[QdrantMemoryConfig]):
    """A vector memory for AutoGen agents."""

    component_config_schema = QdrantMemoryConfig
    component_provider_override = "move37.memory.autogen.QdrantMemory"

    def __init__(self, config: QdrantMemoryConfig | None = None) -> None:
        self._config = config or QdrantMemoryConfig()
        self._embedder: Embedder = open_embedder(self._config.embedding_model)
        self._store: Store | None = None
        self._lock = threading.RLock()

    @property
    def collection_name(self) -> str:
        """The collection's name."""
        return self._config.collection_name

    async def add(self, content: MemoryContent, cancellation_token: CancellationToken | None = None) -> None:
        """Store one item; adding the same text twice keeps two.

        Raises:
            ValueError: an image, bytes, JSON that is no object, or metadata that is no JSON.
        """
        text, payload = stored(content)
        await asyncio.to_thread(self._add, text, payload)

    async def query(
        self,
        query: str | MemoryContent,
        cancellation_token: CancellationToken | None = None,
        *,
        where: Mapping[str, str | int] | None = None,
        **kwargs: Any,
    ) -> MemoryQueryResult:
        """The `k` nearest items by cosine, best first, those under the threshold left out.

        `where` keeps items whose metadata have these values; other keywords are other engines' and do nothing here.
        """
        text = query if isinstance(query, str) else stored(query)[0]
        return MemoryQueryResult(results=await asyncio.to_thread(self._query, text, where))

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """Ask with the last message, and add what is found and not yet in the context as one system message."""
        messages = await model_context.get_messages()
        if not messages:
            return UpdateContextResult(memories=MemoryQueryResult(results=[]))
        last = messages[-1].content
        found = await self.query(last if isinstance(last, str) else str(last))
        said = "\n".join(str(message.content) for message in messages if isinstance(message, SystemMessage))
        texts = [str(item.content) for item in found.results]
        fresh = [text for text in dict.fromkeys(texts) if f". {neutralize(text)}\n" not in said]
        if fresh:
            await model_context.add_message(SystemMessage(content=f"\n{HEADING}\n{fenced(fresh)}"))
        return UpdateContextResult(memories=found)

    async def clear(self) -> None:
        """Forget every item; the collection stays."""
        await asyncio.to_thread(self._clear)

    async def reset(self) -> None:
        """Remove the collection; the next call makes it anew.

        Raises:
            RuntimeError: the configuration forbids it.
        """
        if not self._config.allow_reset:
            raise RuntimeError("Reset not allowed. Set allow_reset=True in config to enable.")
        await asyncio.to_thread(self._reset)

    async def close(self) -> None:
        """Release the engine; a later call opens it again. What was added stays."""
        await asyncio.to_thread(self._close)

    def _to_config(self) -> QdrantMemoryConfig:
        return self._config

    @classmethod
    def _from_config(cls, config: QdrantMemoryConfig) -> Self:
        return cls(config)

    def _opened(self) -> Store:
        if self._store is None:
            folder = Path(self._config.path or "./qdrant_memory")
            store = open_store(folder, url=self._config.url, api_key=self._config.api_key)
            try:
                store.open(self._shape())
            except BaseException:
                store.close()
                raise
            self._store = store
        return self._store

    def _shape(self) -> Collection:
        return Collection(
            name=self.collection_name,
            schema=1,
            model=self._embedder.name,
            dimension=self._embedder.dimension,
            digest=self._embedder.digest,
            dense=(_VECTOR,),
        )

    def _add(self, text: str, payload: dict[str, Any]) -> None:
        pieces = passages(text) or (text,)
        chosen = spread(pieces, self._config.max_passages)
        if len(chosen) < len(pieces):
            log.warning("text_embedded_in_part", embedded=len(chosen), passages=len(pieces))
            payload = payload | {IN_PART: f"{len(chosen)} of {len(pieces)}"}
        rows = self._embedder.embed(chosen)
        with self._lock:
            self._opened().upsert(
                self.collection_name, [Point(id=str(uuid.uuid4()), dense={_VECTOR: rows}, payload=payload)]
            )

    def _query(self, text: str, where: Mapping[str, str | int] | None) -> list[MemoryContent]:
        rows = self._embedder.embed(passages(text)[:ASKED] or (text,))
        condition = (
            Where(any_of={key_path(name): (value_asked(value),) for name, value in where.items()}) if where else None
        )
        with self._lock:
            store = self._opened()
            ask = Nearest(using=_VECTOR, vector=rows)
            hits = store.nearest(self.collection_name, [ask], limit=self._config.k, where=condition)[0]
            points = store.fetch(self.collection_name, [hit.id for hit in hits])
        least = -math.inf if self._config.score_threshold is None else self._config.score_threshold
        scored = [(hit.id, min(hit.score / len(rows), 1.0)) for hit in hits if hit.id in points]
        return [content_of(id, score, points[id].payload) for id, score in scored if score >= least]

    def _clear(self) -> None:
        with self._lock:
            store = self._opened()
            store.delete(self.collection_name, [point.id for point in store.scan(self.collection_name)])

    def _reset(self) -> None:
        with self._lock:
            store = self._opened()
            store.drop(self.collection_name)
            store.open(self._shape())

    def _close(self) -> None:
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None
