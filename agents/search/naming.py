"""A genome in the grammar's words: which operators (memory/cognition/operators.txt) it uses, and how far two differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import lru_cache

from move37.agents.search.genome import PROJECTED, STREAMS, TAPS, Genome, Path
from move37.agents.search.streams import treatments

FAMILY_OPERATOR: Mapping[str, str] = {
    "softmax": "softmax_attention",
    "linear": "linear_attention",
    "retention": "retention",
    "ssd": "ssd",
    "gla": "gla",
    "delta": "delta_rule",
    "gated_delta": "gated_delta_rule",
    "kda": "vector_decay_erase",
    "short_conv": "short_conv",
    "long_conv": "long_conv",
}
ROUTER_OPERATOR: Mapping[str, str] = {
    "softmax": "parallel_softmax_router",
    "sigmoid": "parallel_sigmoid_router",
    "hierarchical": "hierarchical_router",
    "chain": "chained_paths",
}
FEED_OPERATOR: Mapping[str, tuple[str, ...]] = {
    "all": (),
    "keys": ("keys_from_block",),
    "values": ("values_from_block",),
    "memory": ("keys_from_block", "values_from_block"),
}


@lru_cache(maxsize=8192)  # a search asks this of its whole record at every draw
def operators_in(genome: Genome) -> tuple[str, ...]:
    """Names of the operators that this mixer uses, sorted; of a block around it its place and its paths count."""
    used = {*_of_block(genome)}
    for small in genome.around:
        used |= {f"block_{small.place}", *FEED_OPERATOR[small.feeds]}
        used |= {name for path in small.block.paths for name in _of_path(path)}
    return tuple(sorted(used | ({"second_pass"} if genome.passes > 1 else set())))


def _of_block(genome: Genome) -> Iterator[str]:
    for path in genome.paths:
        yield from _of_path(path)
    streams = treatments(genome)
    convolved = {streams[name].taps for name in PROJECTED if streams[name].mix == "conv"}
    shared = all(streams[name].mix == "conv" for name in PROJECTED)  # in the field's words one short convolution
    for name, stream in streams.items():
        if stream.mix != "none" and not (shared and name in PROJECTED):
            yield f"{name}_{stream.mix}"
        if stream.norm:
            yield f"{name}_norm"
    taps = [*convolved, *(stream.taps for stream in streams.values() if stream.mix == "conv")]
    taps += [genome.taps] if any(path.family == "short_conv" for path in genome.paths) else []
    flags = {
        "short_conv": shared,
        "wide_taps": any(count > TAPS for count in taps),
        "narrow_taps": any(count < TAPS for count in taps),
        "output_norm": genome.out_norm,
        "output_gate": genome.gate != "none",
        "narrow_gate": genome.gate == "low",
        "learned_floor": genome.floor != "none",
        "residual_path": genome.residual,
        ROUTER_OPERATOR.get(genome.router, ""): genome.router != "none",
        f"{genome.heads}_heads": genome.heads != "same",
        "wide_keys": genome.keys == "double",
        "narrow_keys": genome.keys in ("half", "quarter"),
        "wide_values": genome.values == "double",
        "narrow_values": genome.values in ("half", "quarter"),
    }
    yield from (name for name, on in flags.items() if on)


def _of_path(path: Path) -> Iterator[str]:
    yield FAMILY_OPERATOR[path.family]
    flags = {
        "sliding_window": path.family == "softmax",
        f"qk_{path.norm}norm": path.norm != "none",
        f"feature_map_{path.feature}": path.feature != "none",
        "beta_two": path.beta == 2,
        f"decay_init_{path.decay}": path.decay != "default",
        "rotary": path.rotary,
        "several_reflections": path.steps > 1,
        "separate_erase_write": path.separate,
        "log_linear_state": path.tree,
    }
    yield from (name for name, on in flags.items() if on)


def distance(one: Genome, other: Genome) -> int:
    """In how many choices two genomes differ; the window does not count (near-identical is 0).

    A block that only one of them has before, beside or after it counts as two choices.
    """
    apart = _apart(one, other) + (one.passes != other.passes)
    mine, theirs = ({small.place: small for small in g.around} for g in (one, other))
    for place in set(mine) & set(theirs):
        apart += _apart(mine[place].block, theirs[place].block) + (mine[place].feeds != theirs[place].feeds)
    return apart + 2 * len(set(mine) ^ set(theirs))


def _apart(one: Genome, other: Genome) -> int:
    mine, theirs = ({path.family: path for path in g.paths} for g in (one, other))
    apart: int = 2 * len(set(mine) ^ set(theirs))
    for family in set(mine) & set(theirs):
        a, b = asdict(mine[family]), asdict(theirs[family])
        apart += len([name for name in a if name != "window" and a[name] != b[name]])
    apart += sum(
        getattr(one, name) != getattr(other, name)
        for name in ("router", "out_norm", "gate", "floor", "residual", "heads", "keys", "values")
    )
    ours, others = treatments(one), treatments(other)
    shared = one.conv != other.conv and {*one.streams} == {*other.streams}  # one choice: a convolution for all three
    apart += 1 if shared else sum(ours[name] != others[name] for name in STREAMS)
    if one.router == other.router == "chain":
        apart += [*mine] != [*theirs] and set(mine) == set(theirs)
    return apart
