"""What a genome is made of: records and the choices that their fields have. Nothing is decided here.

    Genome = paths over shared queries, keys and values, and what surrounds them: one block
           + streams (what happens to the input, a query, a key, a value, the gate, the output before it is used)
           + around (small blocks with weights of their own before, beside or after it)
           + passes (the block applied again to its own output)

Read `Path`, `Stream`, `Genome`, `SmallBlock`. Not covered: which genomes are valid and when two are one (grammar.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

Family = Literal[
    "softmax", "linear", "retention", "ssd", "gla", "delta", "gated_delta", "kda", "short_conv", "long_conv"
]  # fmt: skip
Norm = Literal["none", "l2", "rms"]
Feature = Literal["none", "elu", "relu", "silu", "softmax"]
Decay = Literal["default", "long", "short", "spread"]
Router = Literal[
    "none", "softmax", "sigmoid", "hierarchical", "chain"
]  # chain: a path's output is the next one's value
Gate = Literal["none", "full", "low"]  # low: through a quarter of the width
Floor = Literal["none", "decay", "router"]
Heads = Literal["fewer", "same", "more"]
Width = Literal["quarter", "half", "same", "double"]  # of all keys, or all values, against the model's
StreamName = Literal["input", "query", "key", "value", "gate", "output"]
Mix = Literal["none", "shift", "conv"]
Place = Literal["before", "beside", "after"]
Feeds = Literal["all", "keys", "values", "memory"]  # memory: keys and values

FAMILIES: tuple[Family, ...] = get_args(Family)
STREAMS: tuple[StreamName, ...] = get_args(StreamName)
PLACES: tuple[Place, ...] = get_args(Place)
PROJECTED: tuple[StreamName, ...] = ("query", "key", "value")
NORMED: tuple[StreamName, ...] = ("input", "value", "gate")  # queries, keys and outputs have norms of their own
WINDOWS = (16, 32, 64)  # positions that a softmax path sees
TAPS = 4  # of a short convolution, where nothing else is said
FEWEST_TAPS, MOST_TAPS = 2, 8
STEPS = (1, 2, 3)  # Householder steps a token
PASSES = (1, 2)
MAX_PATHS = 3
MODES = 4  # exponentials that a long convolution's filter is the sum of
GATED_DECAY = ("ssd", "gla", "gated_delta", "kda")  # the input decides what is forgotten
DECAYING = ("retention", *GATED_DECAY)
ERASING = ("delta", "gated_delta", "kda")
STEPPING = ("delta", "gated_delta")  # may take several steps a token
CONVOLVING = ("short_conv", "long_conv")
# A matrix of state: may have a feature map, and one state for each bucket of the past.
MAPPED = ("linear", "retention", "ssd", "gla", "delta", "gated_delta", "kda")
SUMMING = ("linear", "retention", "ssd", "gla")  # output grows with what was written: needs the output norm
SHARES: Mapping[Width, tuple[int, int]] = {"quarter": (1, 4), "half": (1, 2), "same": (1, 1), "double": (2, 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One way through time."""

    family: Family
    norm: Norm = "none"  # of queries and keys
    feature: Feature = "none"  # map of queries and keys
    beta: int = 1  # upper end of the write strength, 1 or 2
    decay: Decay = "default"  # how the memory spans of the heads start
    rotary: bool = False
    window: int = 0  # positions; softmax only
    steps: int = 1  # erase-and-write steps a token
    separate: bool = False  # erasing and writing have strengths of their own
    tree: bool = False  # log-linear: a state for each bucket of a Fenwick tree over the past


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What happens to one stream before it is used. A convolution of queries, keys and values ends in silu; the other
    three keep the stream and add to it."""

    name: StreamName
    mix: Mix = "none"
    taps: int = 0  # of its convolution, 2 to 8
    norm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Genome:
    """One block, and the blocks around it: one mixer."""

    paths: tuple[Path, ...]
    router: Router = "none"
    conv: bool = True  # short convolution on queries, keys and values alike
    out_norm: bool = True
    gate: Gate = "full"
    floor: Floor = "none"
    residual: bool = False  # values reach the output directly, with a learned weight a head
    heads: Heads = "same"
    # Absent from the plans of older campaigns.
    taps: int = TAPS  # of that convolution and of a short_conv path
    streams: tuple[Stream, ...] = ()
    keys: Width = "same"  # of queries and keys
    values: Width = "same"
    passes: int = 1  # times that the block is applied, with the same weights
    around: tuple[SmallBlock, ...] = ()

    @property
    def family(self) -> str:
        """As the lab calls it."""
        return {"short_conv": "conv", "long_conv": "conv", "kda": "gated_delta"}.get(
            self.paths[0].family, self.paths[0].family
        )

    @property
    def blocks(self) -> tuple[Genome, ...]:
        """The main block first, then those of the blocks around it."""
        return (self, *(small.block for small in self.around))

    def to_json(self) -> str:
        """The plan: canonical, one line, without what is as it always was."""
        return json.dumps(_plain(self), sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallBlock:
    """A block in sequence with the main one or beside it, with weights of its own."""

    place: Place
    block: Genome  # with none around it, applied once
    feeds: Feeds = "all"  # which streams of the main block read its output; only where it stands before


_ALWAYS_WRITTEN = {"family", "norm", "feature", "beta", "decay", "rotary", "window"} | {
    "paths", "router", "conv", "out_norm", "gate", "floor", "residual", "heads", "name", "mix", "place", "block",
}  # fmt: skip


def _plain(record: Path | Stream | SmallBlock | Genome) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if field.name not in _ALWAYS_WRITTEN and value == field.default:
            continue
        if isinstance(value, tuple):
            value = [_plain(member) for member in value]
        found[field.name] = _plain(value) if isinstance(value, Genome) else value
    return found


def genome_from(data: Mapping[str, Any]) -> Genome:
    """A genome of what JSON holds. Raises `TypeError`, `KeyError` or `AttributeError`; values are not judged."""
    parts: dict[str, Any] = {"paths": tuple(Path(**path) for path in data["paths"])}
    if "streams" in data:
        parts["streams"] = tuple(Stream(**stream) for stream in data["streams"])
    if "around" in data:
        parts["around"] = tuple(SmallBlock(**(s | {"block": genome_from(s["block"])})) for s in data["around"])
    return Genome(**(dict(data) | parts))
