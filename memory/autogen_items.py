"""Between AutoGen's memory items and our points: what is embedded, what is kept, what is asked for (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from autogen_core import Image
from autogen_core.memory import MemoryContent, MemoryMimeType

from move37.memory.embedder_protocol import whole

IN_PART = "embedded_passages"  # of the payload and a result's metadata: "256 of 3350"
_SIMPLE = re.compile(r"[A-Za-z0-9_-]+")


def stored(content: MemoryContent) -> tuple[str, dict[str, Any]]:
    """The text to embed, and the payload that gives the item back as it was. Raises `ValueError` for images, bytes,
    and what is no JSON."""
    try:
        mime = MemoryMimeType(content.mime_type)
    except ValueError:
        raise ValueError(f"Unsupported content type: {content.mime_type}") from None
    value = content.content
    if isinstance(value, Image | bytes) or mime in (MemoryMimeType.IMAGE, MemoryMimeType.BINARY):
        raise ValueError(f"Unsupported content type: {mime.value} content cannot be converted to text")
    if mime is MemoryMimeType.JSON and not isinstance(value, dict):
        raise ValueError("JSON content must be a dict")
    if mime is not MemoryMimeType.JSON and not isinstance(value, str):
        raise ValueError(f"{mime.value} content must be a string")
    metadata = dict(content.metadata or {})
    try:
        kept = {"content": json.dumps(value, allow_nan=False), "metadata_json": json.dumps(metadata, allow_nan=False)}
    except (TypeError, ValueError) as error:
        raise ValueError(f"Only JSON can be kept: {error}") from error
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    simple = {key: item for key, item in metadata.items() if isinstance(item, str | bool) or _small(item)}
    simple = {whole(key): whole(item) if isinstance(item, str) else item for key, item in simple.items()}
    return text, {**kept, "mime_type": mime.value, "metadata": simple}


def key_path(name: str) -> str:
    """Where a metadata key lies, in the engine's words. Raises `ValueError` for a key that it has no words for."""
    if not name or '"' in name or "\\" in name:
        raise ValueError(f"No item can be asked for by the metadata key {name!r}.")
    return f"metadata.{name}" if _SIMPLE.fullmatch(name) else f'metadata."{whole(name)}"'


def value_asked(value: str | int) -> str | int:
    """A value to ask for, as it is stored. Raises `ValueError` for one of another kind."""
    if not isinstance(value, str | int):
        raise ValueError(f"Only texts, whole numbers and booleans can be asked for, not {value!r}.")
    return whole(value) if isinstance(value, str) else value


def _small(value: object) -> bool:
    return isinstance(value, int) and abs(value) < 2**53


def content_of(id: str, score: float, payload: Mapping[str, Any]) -> MemoryContent:
    """The item as it was given; its metadata have `score` and `id`, and `embedded_passages` where only some are."""
    mime = MemoryMimeType(payload["mime_type"])
    metadata = json.loads(payload["metadata_json"]) | {"mime_type": mime.value, "score": score, "id": id}
    if IN_PART in payload:
        metadata.setdefault(IN_PART, payload[IN_PART])  # the user's own word of that name stays
    return MemoryContent(content=json.loads(payload["content"]), mime_type=mime, metadata=metadata)
