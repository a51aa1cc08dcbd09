"""Records <-> JSON, by their type hints: what is decoded equals what was encoded."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from move37.lab.records import BITS_PER_BYTE, DECIDE, Claim, Measurement
from move37.lab.scale import CPU

R = TypeVar("R")
RENAMED = {"witness": "self_reported"}  # fields of records, as older archives name them


def encode(value: Any) -> Any:
    """A record (or anything made of records, tuples, mappings, enums and scalars) as JSON-ready data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [encode(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no nan and no inf, and SQLite refuses them
    return value


def decode(kind: type[R], data: Any) -> R:
    """The record of type `kind` that `encode` made `data` from. Unknown keys are dropped, missing ones default.

    Raises `TypeError` or `ValueError` when a required field is missing or an enum has no such value.
    """
    return typing.cast(R, _decode(kind, data))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decode(kind: Any, data: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin is typing.Union or origin is types.UnionType:
        if data is None:
            return None
        return _decode(next(k for k in typing.get_args(kind) if k is not type(None)), data)
    if dataclasses.is_dataclass(kind):
        hints = _hints(typing.cast(type, kind))
        known = {f.name for f in dataclasses.fields(kind)}
        named = {RENAMED.get(k, k) if k not in known else k: v for k, v in data.items()}
        if kind is Measurement and "text" not in named:
            named |= _before_conditions(named)
        if kind is Measurement and "scale" not in named and named.get("width"):
            named |= {"scale": replace(CPU, width=int(named["width"])).key}  # the width was all that could be chosen
        if kind is Claim and isinstance(named.get("missing"), list):
            named |= {"missing": dict.fromkeys(named["missing"], "")}  # older archives: a sentence a question
        return typing.cast(type, kind)(**{k: _decode(hints[k], v) for k, v in named.items() if k in known})
    if origin is tuple:
        return tuple(_decode(typing.get_args(kind)[0], v) for v in data)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return {k: _decode(typing.get_args(kind)[1], v) for k, v in data.items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float and isinstance(data, int | str):
        return float(data)
    return data


def _before_conditions(measurement: Mapping[str, Any]) -> dict[str, Any]:
    """Conditions of a measurement in archives that do not store them: there was one schedule and one width."""
    found: dict[str, Any] = {"text": DECIDE} if measurement.get("fresh") else {}
    if measurement.get("metric") == BITS_PER_BYTE.name:
        found |= {"total_steps": 500, "width": 64}
    return found


def storable(text: str) -> str:
    """Half a surrogate, as a candidate's exception may say it, is no text to a database: it costs a letter."""
    return text.encode("utf-8", errors="replace").decode()
