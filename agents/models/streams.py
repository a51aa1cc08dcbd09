"""The values in a body: one JSON text, several, or the events of a stream that was not requested. Pure."""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from move37.agents.models.lenient import read

_BLANK = re.compile(r"\s*")  # matches everywhere
MOST_UNPACKED = 64 << 20  # bytes
DEEPEST = 100  # values in values
MOST_BEFORE = 2_000  # characters before a JSON text: comments that keep a connection alive, a guard against scripts


def decoded(body: bytes, content_type: str) -> str:
    """The text of a body, by its mark, its header or its looks."""
    if body[:2] == b"\x1f\x8b":  # compressed, although the header does not say so
        try:
            body = _unpacked(body)
        except (OSError, EOFError, zlib.error):
            return ""
    named = re.search(r"charset=[\"']?([\w.-]+)", content_type)
    encoding: str = json.detect_encoding(body)  # by its mark, or by where its zeros stand
    if encoding == "utf-8" and named:
        encoding = named[1]
    try:
        text = body.decode(encoding, errors="replace")
    except LookupError:
        text = body.decode("utf-8", errors="replace")
    return text.strip().strip("\ufeff\0").strip()


def _unpacked(body: bytes) -> bytes:
    """A thousand times as much can come out as went in. Raises `OSError`, `EOFError`, `zlib.error`."""
    with gzip.open(io.BytesIO(body)) as file:
        found = file.read(MOST_UNPACKED + 1)
    if len(found) > MOST_UNPACKED:
        raise EOFError("more than any answer has")
    return found


def data_in(text: str) -> Any:
    """What a body says; several chunks of a stream as one completion. Raises `ValueError` when it is no JSON."""
    try:
        data = json.loads(text, strict=False)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError:
        values = _events(text) if re.search(r"(?:^|[\r\n])data:", text) else _values(text)
        if not values:
            raise
        data = values if len(values) > 1 else values[0]
    if _nests(data):
        raise ValueError("nested too deeply")
    if isinstance(data, str) and data.lstrip()[:1] in ("{", "["):
        return data_in(data)
    return _joined(data) if isinstance(data, list) and data else data


def _nests(data: Any) -> bool:
    """Deeper than any answer does, and than whoever walks through it can go."""
    layer = [data]
    for _ in range(DEEPEST):
        holders = (one.values() if isinstance(one, dict) else one for one in layer if isinstance(one, dict | list))
        layer = [value for holder in holders for value in holder]
    return bool(layer)


def _joined(values: list[Any]) -> Any:
    """Chunks as one completion; of other values the first object."""
    chunks = [v for v in values if isinstance(v, Mapping) and _is_chunk(v)]
    if chunks:
        failed = next((v for v in values if isinstance(v, Mapping) and v.get("error") and not v.get("choices")), None)
        whole = merged([*chunks, *(v for v in values if v == "[DONE]" or (isinstance(v, Mapping) and v.get("usage")))])
        if failed is None and whole is None:
            raise ValueError("a stream that broke off")
        return failed or whole
    objects = [v for v in values if isinstance(v, Mapping)]
    parts = [v for v in objects if isinstance(v.get("message", v.get("response")), Mapping | str) and "done" in v]
    if len(parts) > 1:  # Ollama's stream, of a chat or of a text
        said = [
            v["message"] if isinstance(v.get("message"), Mapping) else {"content": v.get("response")} for v in parts
        ]
        message: dict[str, Any] = {key: _glued(said, key) for key in ("content", "thinking")}
        message["tool_calls"] = [call for one in said for call in mappings(one.get("tool_calls"))]
        return {k: v for k, v in parts[-1].items() if k != "response"} | {"message": message}
    kinds = {str(v.get("type")): v for v in objects}
    if failed := next((v for v in objects if v.get("error")), None) if len(kinds) > 1 else None:
        return failed
    if "content_block_delta" in kinds:
        return _anthropic(objects, kinds)
    finished = (kinds[f"response.{end}"] for end in ("completed", "incomplete") if f"response.{end}" in kinds)
    return next(finished, objects[0]) if objects else values


def _glued(said: Sequence[Mapping[str, Any]], key: str) -> str:
    return "".join(one[key] for one in said if isinstance(one.get(key), str))


def _anthropic(events: Sequence[Mapping[str, Any]], kinds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A message out of its events. Raises `ValueError` where it broke off."""
    blocks: dict[str, dict[str, Any]] = {}
    for event in events:
        index, delta, begun = str(event.get("index")), event.get("delta"), event.get("content_block")
        if isinstance(begun, Mapping):
            blocks[index] = dict(begun)
        if isinstance(delta, Mapping) and "index" in event:
            block = blocks.setdefault(index, {"type": "text"})
            for key, of in (("text", "text"), ("thinking", "thinking"), ("partial_json", "input")):
                if isinstance(piece := delta.get(key), str):
                    block[of] = (block[of] if isinstance(block.get(of), str) else "") + piece
    if "message_stop" not in kinds:
        raise ValueError("a stream that broke off")
    usage = [
        part for v in events for part in (v.get("usage"), _of(v, "message").get("usage")) if isinstance(part, Mapping)
    ]
    counts = {key: value for part in usage for key, value in part.items()}
    stop = _of(kinds.get("message_delta", {}), "delta").get("stop_reason")
    return {"type": "message", "content": list(blocks.values()), "stop_reason": stop, "usage": counts}


def _of(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = value.get(key)
    return inner if isinstance(inner, Mapping) else {}


def _is_chunk(value: Mapping[str, Any]) -> bool:
    choices = value.get("choices")
    return isinstance(choices, list) and any(isinstance(c, Mapping) and "delta" in c for c in choices)


def _events(text: str) -> list[Any]:
    """The data of each event: its lines together, as the standard has it, or each alone where that is no JSON. Only
    three signs end a line; others that do so elsewhere may stand in a text."""
    found: list[Any] = []
    for event in text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        lines = [line[5:].strip() for line in event.split("\n") if line.startswith("data:")]
        found += _data("\n".join(lines)) or [value for line in lines for value in _data(line)]
    return found


def _data(said: str) -> list[Any]:
    if said == "[DONE]":
        return [said]
    try:
        return [json.loads(said, strict=False)]
    except (ValueError, RecursionError):
        return []


def _values(text: str) -> list[Any]:
    """JSON texts one after the other, whatever stands around them; or one object as Python shows it."""
    start = re.search(r"[{\[]", text[:MOST_BEFORE])
    if start is None or (
        start.start() and not re.fullmatch(r"(?:\s*:[^\n]*\n)*\s*|\)\]\}',?\s*", text[: start.start()])
    ):
        return []
    found, place, decoder = [], start.start(), json.JSONDecoder(strict=False)
    while place < len(text) and text[place] in "{[":
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            break
        found.append(value)
        place = _BLANK.match(text, place).end()  # type: ignore[union-attr]
    if not found and (shown := read(text, start.start())) is not None and not text[shown[1] :].strip():
        return [shown[0]]
    return found


def mappings(values: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; none where there is no list."""
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list) else []


def merged(chunks: Sequence[Any]) -> dict[str, Any] | None:
    """The chunks of a stream as one completion; None when they are none, or when the stream broke off."""
    message: dict[str, Any] = {"content": ""}
    calls: list[dict[str, Any]] = []
    usage: Any = None
    finish, seen, last = None, False, chunks[-1] if chunks else None
    for chunk in chunks:
        if not isinstance(chunk, Mapping):
            continue
        usage = chunk.get("usage") or usage
        for choice in mappings(chunk.get("choices")):
            delta = choice.get("delta")
            if not isinstance(delta, Mapping) or choice.get("index", 0) not in (0, None):
                continue
            seen, finish = True, choice.get("finish_reason") or finish
            for key, value in delta.items():
                if isinstance(value, str) and key != "role":
                    message[key] = f"{message.get(key) or ''}{value}"
                elif isinstance(value, list) and key not in ("tool_calls",):
                    message[key] = [*(message.get(key) or []), *value] if message.get(key) else value
            for call in mappings(delta.get("tool_calls")):
                _take_piece(calls, call)
    if not seen or (finish is None and last != "[DONE]"):
        return None
    if calls:
        message["tool_calls"] = calls
    return {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def _take_piece(calls: list[dict[str, Any]], piece: Mapping[str, Any]) -> None:
    """A piece of a call to the call that it goes on with: of its number and its id, as far as it has them."""
    index, ident = piece.get("index"), piece.get("id")

    def goes_on(call: Mapping[str, Any]) -> bool:
        return (index is None or call["index"] == index) and (not ident or call["id"] in (None, ident))

    call = next(filter(goes_on, reversed(calls)), None)
    if call is None:
        call = {"index": index, "id": None, "function": {"name": "", "arguments": ""}}
        calls.append(call)
    inner = piece.get("function")
    said, function = inner if isinstance(inner, Mapping) else piece, call["function"]
    given = said.get("arguments")
    call["id"] = ident or call["id"]
    function["name"] = said.get("name") or function["name"]
    if isinstance(given, str):
        function["arguments"] += given
    elif given is not None:  # whole, and not as text
        function["arguments"] = json.dumps(given)
