"""How many parameters a genome's mixer will have, and the limit that every mixer keeps. A test builds and counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from move37.agents.search.block import share
from move37.agents.search.genome import ERASING, MODES, Genome, Path
from move37.agents.search.spelling import canonical, faults

REFERENCE_SHAPES = ((64, 4), (64, 2), (128, 4))  # (d_model, n_heads) at which the parameter limit must hold
PARAMETER_LIMIT = 1.05  # of the largest baseline mixer at the same width


def fit(genome: Genome) -> Genome | None:
    """The genome within the parameter limit, or None when it cannot be brought there.

    What is made smaller, in this order, as long as it is too large: a full gate for a low-rank one, the width of the
    blocks around it, the keys' width, the gate altogether, the values' width.
    """
    for candidate in (genome, *_slimmer(genome)):
        if all(parameters(candidate, *shape) <= parameter_limit(*shape) for shape in REFERENCE_SHAPES):
            return candidate
    return None


def _slimmer(genome: Genome) -> Iterator[Genome]:
    """The genome with one part after the other made smaller."""
    composed = bool(genome.around) or any(path.steps > 1 for path in genome.paths) or genome.values == "double"
    if genome.gate == "full":
        yield (genome := replace(genome, gate="low"))
    if not composed:
        return
    if any("quarter" not in (small.block.keys, small.block.values) for small in genome.around):
        around = tuple(
            replace(small, block=replace(small.block, keys="quarter", values="quarter", gate="none"))
            for small in genome.around
        )
        yield (genome := canonical(replace(genome, around=around)))
    if (narrower := _valid(replace(genome, keys="half"))) and genome.keys in ("same", "double"):
        yield (genome := narrower)
    if genome.gate == "low":
        yield (genome := canonical(replace(genome, gate="none")))
    if genome.values == "same":
        yield canonical(replace(genome, keys="half", values="half"))


def _valid(genome: Genome) -> Genome | None:
    return None if faults(genome) else canonical(genome)


def parameters(genome: Genome, d_model: int, n_heads: int) -> int:
    """Parameters of the emitted mixer. A test compares with the built module."""
    return sum(_block_parameters(block, d_model, n_heads) for block in genome.blocks)


def _block_parameters(genome: Genome, d_model: int, n_heads: int) -> int:
    heads = head_count(genome, d_model, n_heads)
    key, value = share(genome.keys, d_model // heads), share(genome.values, d_model // heads)
    keys, values = heads * key, heads * value
    total = d_model * (2 * keys + values) + values * d_model  # query, key, value, output
    total += (2 * keys + values) * genome.taps if genome.conv else 0
    total += value if genome.out_norm else 0
    rank = max(1, d_model // 4)
    total += {"none": 0, "full": d_model * values, "low": (d_model + values) * rank}[genome.gate]
    total += heads if genome.residual else 0
    total += d_model * heads * len(genome.paths) if genome.router not in ("none", "chain") else 0
    total += heads * {"none": 0, "router": 1, "decay": 1}[genome.floor]
    widths = {"input": d_model, "query": keys, "key": keys}
    for stream in genome.streams:
        each = {"conv": stream.taps, "shift": 1, "none": 0}[stream.mix] + stream.norm
        total += each * widths.get(stream.name, values)
    return total + sum(_path_parameters(path, d_model, heads, key, value, genome.taps) for path in genome.paths)


def parameter_limit(d_model: int, n_heads: int) -> int:
    """1.05 times the largest baseline mixer, gated linear attention; a test compares with lab.baselines."""
    rank = max(1, d_model // 16)
    largest = 5 * d_model * d_model + 12 * d_model + 2 * d_model * rank + d_model + d_model // n_heads
    return int(PARAMETER_LIMIT * largest)


def head_count(genome: Genome, d_model: int, n_heads: int) -> int:
    """Heads of the mixer: half or twice the task's number where that divides the width into even sizes."""
    if genome.heads == "fewer":
        return max(1, n_heads // 2) if n_heads % 2 == 0 else n_heads
    if genome.heads == "more" and d_model % (4 * n_heads) == 0:
        return 2 * n_heads
    return n_heads


def _path_parameters(path: Path, d_model: int, heads: int, key: int, value: int, taps: int) -> int:
    keys, values = heads * key, heads * value
    total = 2 * key if path.norm == "rms" else 0
    total += (1 + path.separate) * path.steps * d_model * heads if path.family in ERASING else 0
    total += 2 * d_model * heads if path.tree else 0
    total += (path.steps - 1) * d_model * (keys + values)
    total += d_model * heads + 2 * heads if path.family in ("ssd", "gated_delta") else 0
    if path.family in ("gla", "kda"):
        rank = max(1, d_model // 16)
        total += (d_model + keys) * rank + keys
    total += values * taps if path.family == "short_conv" else 0
    return total + (3 * MODES * values if path.family == "long_conv" else 0)
