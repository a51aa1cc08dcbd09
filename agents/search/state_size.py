"""How many numbers a genome's mixer carries from one token to the next: its state, a sequence and a layer. Pure.

A test builds mixers and compares: what the future hears of the past can have no higher rank than the state has numbers.
Not covered: code that has no genome (its state is not known), and precision (numbers are counted, not bytes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, replace
from typing import Any

from move37.agents.search.grammar import BASELINES, CONV_WIDTH, CONVOLVING, MAPPED, MODES, Genome, Path
from move37.agents.search.size import head_count
from move37.lab.baselines import FAMILIES

# What is understood here; a field that is not named may change the state, so that any use of it makes the size unknown.
KNOWN: Mapping[type, frozenset[str]] = {
    Genome: frozenset({"paths", "router", "conv", "out_norm", "gate", "floor", "residual", "heads"}),
    Path: frozenset({"family", "norm", "feature", "beta", "decay", "rotary", "window"}),
}


def state_numbers(genome: Genome, *, width: int, heads: int, tokens: int) -> int | None:
    """Numbers of state after `tokens` tokens; None where the genome says something that is not understood here."""
    if not _understood(genome) or not all(_understood(path) for path in genome.paths):
        return None
    size = width // head_count(genome, width, heads)
    paths = [_of_path(path, width, size, tokens) for path in genome.paths]
    if any(numbers is None for numbers in paths):
        return None
    taps = 3 * width * (CONV_WIDTH - 1) if genome.conv else 0  # queries, keys, values
    return taps + sum(numbers for numbers in paths if numbers is not None)


def of_baseline(name: str, *, width: int, heads: int, tokens: int) -> int | None:
    """The same of one of the lab's own baselines, by its name; None for another name. Its softmax has no window."""
    genome = BASELINES.get(FAMILIES.get(name, ""))
    if genome is None:
        return None
    paths = tuple(replace(path, window=0) for path in genome.paths)
    return state_numbers(replace(genome, paths=paths), width=width, heads=heads, tokens=tokens)


def _of_path(path: Path, width: int, size: int, tokens: int) -> int | None:
    if path.family == "softmax":
        return 2 * width * min(path.window or tokens, tokens)  # a key and a value a token that is still seen
    if path.family in MAPPED:
        return width * size  # a matrix of size x size a head
    if path.family in CONVOLVING:
        # A mode is a damped wave: two numbers.
        return width * (2 * MODES if path.family == "long_conv" else CONV_WIDTH - 1)
    return None


def _understood(part: Genome | Path) -> bool:
    return all(f.name in KNOWN[type(part)] or getattr(part, f.name) == _default(f) for f in fields(part))


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default
