"""How many parameters a genome's mixer will have, and the limit that every mixer keeps. A test builds and counts."""

from __future__ import annotations

from dataclasses import replace

from move37.agents.search.grammar import CONV_WIDTH, ERASING, MODES, Genome, Path

REFERENCE_SHAPES = ((64, 4), (64, 2), (128, 4))  # (d_model, n_heads) at which the parameter limit must hold
PARAMETER_LIMIT = 1.05  # of the largest baseline mixer at the same width


def fit(genome: Genome) -> Genome | None:
    """The genome within the parameter limit: a full gate gives way to a low-rank one; None when that is too big."""
    for candidate in (genome, replace(genome, gate="low") if genome.gate == "full" else genome):
        if all(parameters(candidate, *shape) <= parameter_limit(*shape) for shape in REFERENCE_SHAPES):
            return candidate
    return None


def parameters(genome: Genome, d_model: int, n_heads: int) -> int:
    """Parameters of the emitted mixer. A test compares with the built module."""
    heads = head_count(genome, d_model, n_heads)
    size = d_model // heads
    total = 4 * d_model * d_model  # query, key, value, output
    total += 3 * d_model * CONV_WIDTH if genome.conv else 0
    total += size if genome.out_norm else 0
    total += {"none": 0, "full": d_model * d_model, "low": 2 * d_model * max(1, d_model // 4)}[genome.gate]
    total += heads if genome.residual else 0
    total += d_model * heads * len(genome.paths) if genome.router != "none" else 0
    total += heads * {"none": 0, "router": 1, "decay": 1}[genome.floor]
    return total + sum(_path_parameters(path, d_model, heads) for path in genome.paths)


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


def _path_parameters(path: Path, d_model: int, heads: int) -> int:
    size = d_model // heads
    total = 2 * size if path.norm == "rms" else 0
    total += d_model * heads if path.family in ERASING else 0
    total += d_model * heads + 2 * heads if path.family in ("ssd", "gated_delta") else 0
    if path.family == "gla":
        total += 2 * d_model * max(1, d_model // 16) + d_model
    total += d_model * CONV_WIDTH if path.family == "short_conv" else 0
    return total + (3 * MODES * d_model if path.family == "long_conv" else 0)
