"""How many numbers a genome's mixer carries from one token to the next: its state, a sequence and a layer. Pure.

A test compares with built mixers: the rank of the dependence of later outputs on earlier inputs is at most the state's
size.
Not covered: code that has no genome (its state is not known), and precision (numbers are counted, not bytes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, replace
from typing import Any

from move37.agents.search.block import share
from move37.agents.search.genome import CONVOLVING, MAPPED, MODES, Genome, Path, SmallBlock, Stream
from move37.agents.search.grammar import BASELINES
from move37.agents.search.size import head_count
from move37.lab.baselines import FAMILIES

# Fields that are handled here; any other may change the state, so that the use of one makes the size unknown.
KNOWN: Mapping[type, frozenset[str]] = {
    Genome: frozenset(
        {"paths", "router", "conv", "out_norm", "gate", "floor", "residual", "heads"}
        | {"taps", "streams", "keys", "values", "passes", "around"}
    ),
    Path: frozenset({"family", "norm", "feature", "beta", "decay", "rotary", "window", "steps"} | {"separate", "tree"}),
    Stream: frozenset({"name", "mix", "taps", "norm"}),
    SmallBlock: frozenset({"place", "block", "feeds"}),
}


def state_numbers(genome: Genome, *, width: int, heads: int, tokens: int) -> int | None:
    """Numbers of state after `tokens` tokens; None where the genome has a field that is not handled here.

    Every pass of a block, and every block around it, carries a state of its own.
    """
    everything: list[Genome | Path | Stream | SmallBlock] = [genome, *genome.paths, *genome.streams, *genome.around]
    if not all(_understood(part) for part in everything):
        return None
    size = width // head_count(genome, width, heads)
    key, value = share(genome.keys, size), share(genome.values, size)
    number = width // size
    parts: list[int | None] = [_of_path(path, genome, number, key, value, tokens) for path in genome.paths]
    parts += [_of_stream(stream, width, number * key, number * value) for stream in genome.streams]
    parts += [number * (2 * key + value) * (genome.taps - 1) if genome.conv else 0]  # queries, keys, values
    around = [state_numbers(s.block, width=width, heads=heads, tokens=tokens) for s in genome.around]
    known = [numbers for numbers in (*parts, *around) if numbers is not None]
    if len(known) < len(parts) + len(around):
        return None
    return genome.passes * sum(known[: len(parts)]) + sum(known[len(parts) :])


def of_baseline(name: str, *, width: int, heads: int, tokens: int) -> int | None:
    """The same of one of the lab's own baselines, by its name; None for another name. Its softmax has no window."""
    genome = BASELINES.get(FAMILIES.get(name, ""))
    if genome is None:
        return None
    paths = tuple(replace(path, window=0) for path in genome.paths)
    return state_numbers(replace(genome, paths=paths), width=width, heads=heads, tokens=tokens)


def _of_path(path: Path, genome: Genome, heads: int, key: int, value: int, tokens: int) -> int | None:
    if path.family == "softmax":
        return heads * (key + value) * min(path.window or tokens, tokens)  # of each token that is still seen
    if path.family in MAPPED:
        return heads * key * value * (tokens.bit_length() if path.tree else 1)  # a matrix a head, or a bucket of it
    if path.family in CONVOLVING:
        # A mode is a damped wave: two numbers.
        return heads * value * (2 * MODES if path.family == "long_conv" else genome.taps - 1)
    return None


def _of_stream(stream: Stream, width: int, keys: int, values: int) -> int:
    wide = {"input": width, "query": keys, "key": keys}.get(stream.name, values)
    return wide * {"none": 0, "shift": 1, "conv": stream.taps - 1}[stream.mix]


def _understood(part: Genome | Path | Stream | SmallBlock) -> bool:
    return all(f.name in KNOWN[type(part)] or getattr(part, f.name) == _default(f) for f in fields(part))


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default
