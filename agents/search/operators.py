"""The moves of the search: one function an operator that puts it into a genome or takes it out, and crossover.

Names equal memory/cognition/operators.txt, and a test keeps them equal. `put` and `take` give back a valid, canonical
genome within the parameter limit that differs from the one it was given, or None where the operator does not apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random

from move37.agents.search.composition import PUT_IN, TAKEN_OUT, Move, of_one_width, on_paths, whole
from move37.agents.search.genome import (
    DECAYING,
    ERASING,
    FAMILIES,
    MAPPED,
    MAX_PATHS,
    PROJECTED,
    SUMMING,
    Genome,
    Path,
)
from move37.agents.search.grammar import FAMILY_OPERATOR, ROUTER_OPERATOR, canonical, faults, operators_in
from move37.agents.search.paths import another_family, convolved, floored, routed, several_steps, some_path, windowed
from move37.agents.search.size import fit
from move37.agents.search.streams import treatments, with_treatments


def put(name: str, genome: Genome, rng: Random) -> Genome | None:
    """`genome` with operator `name` in it."""
    moved = _settled(_PUT[name](genome, rng), genome)
    return moved if moved is not None and name in operators_in(moved) else None


def take(name: str, genome: Genome, rng: Random) -> Genome | None:
    """`genome` without operator `name`. Families are taken out only where another path remains."""
    if name not in operators_in(genome):
        return None
    moved = _settled(_take(name, genome, rng), genome)
    return moved if moved is not None and name not in operators_in(moved) else None


# Groups of fields that a child takes together from one parent or the other.
_INHERITED = (
    ("conv", "taps", "streams"), ("keys", "values"), ("out_norm",), ("gate",), ("floor",), ("residual",), ("heads",),
    ("passes",), ("around",),
)  # fmt: skip


def crossover(one: Genome, other: Genome, rng: Random) -> Genome | None:
    """Paths from both parents, at least one of each where their families differ; every other choice from either."""
    pool = {path.family: path for path in (*other.paths, *one.paths)}
    count = rng.randint(1, min(MAX_PATHS, len(pool)))
    chosen = rng.sample(sorted(pool), count)
    router = rng.choice((one, other)).router
    if count > 1 and router == "none":
        router = rng.choice(("softmax", "sigmoid", "chain"))
    if router == "hierarchical" and count < MAX_PATHS:
        router = "softmax"
    child = replace(one, paths=tuple(pool[family] for family in chosen), router=router if count > 1 else "none")
    for names in _INHERITED:
        source = rng.choice((one, other))
        child = replace(child, **{name: getattr(source, name) for name in names})
    child = replace(child, out_norm=child.out_norm or any(family in SUMMING for family in chosen))
    settled = _settled(child, one)
    return settled if settled is not None and settled != other else None


def _settled(child: Genome | None, parent: Genome) -> Genome | None:
    child = of_one_width(child) if child is not None else None
    if child is None or faults(child):
        return None
    fitted = fit(canonical(child))
    return fitted if fitted is not None and fitted != parent else None


_ATTENDING = tuple(family for family in FAMILIES if family not in ("short_conv", "long_conv"))
_PUT: Mapping[str, Move] = {
    **PUT_IN,
    **{FAMILY_OPERATOR[family]: another_family(family) for family in FAMILIES if family != "short_conv"},
    **{name: routed(kind) for kind, name in ROUTER_OPERATOR.items()},
    **{f"feature_map_{f}": some_path(MAPPED, feature=f) for f in ("elu", "relu", "silu", "softmax")},
    **{f"decay_init_{d}": some_path(DECAYING, decay=d) for d in ("long", "short", "spread")},
    "short_conv": convolved,
    "sliding_window": windowed,
    "output_gate": whole(gate="full"),
    "learned_floor": floored,
    "residual_path": whole(residual=True),
    "qk_l2norm": some_path(_ATTENDING, norm="l2"),
    "qk_rmsnorm": some_path(tuple(f for f in _ATTENDING if f not in ERASING), norm="rms"),
    "several_reflections": several_steps,
    "beta_two": some_path(ERASING, beta=2),
    "separate_erase_write": some_path(ERASING, separate=True),
    "log_linear_state": some_path(MAPPED, tree=True),
    "output_norm": whole(out_norm=True),
    "rotary": some_path(_ATTENDING, rotary=True),
    "more_heads": whole(heads="more"),
    "fewer_heads": whole(heads="fewer"),
}
OPERATORS: tuple[str, ...] = tuple(sorted(_PUT))
# Operators that can be put in again: another window, a short convolution as a path, another block.
REPEATABLE = ("sliding_window", "short_conv", "block_before", "block_beside", "block_after")


# Taking out ----------------------------------------------------------------------------------------------------


def _take(name: str, genome: Genome, rng: Random) -> Genome | None:
    if name in TAKEN_OUT:
        return TAKEN_OUT[name](genome, rng)
    family = next((f for f, operator in FAMILY_OPERATOR.items() if operator == name), None)
    if name == "short_conv" and all(treatments(genome)[stream].mix == "conv" for stream in PROJECTED):
        streams = treatments(genome)
        plain = {stream: replace(streams[stream], mix="none", taps=0) for stream in PROJECTED}
        genome = with_treatments(genome, streams | plain)
    if name == "sliding_window":
        family = "softmax"
    if family is not None:
        return _without_family(genome, family)
    if name in ROUTER_OPERATOR.values():
        return replace(genome, paths=genome.paths[:1], router="none")
    if name in _PLAIN:
        return replace(genome, **_PLAIN[name])  # type: ignore[arg-type]
    return on_paths(genome, lambda path: _plainer(path, name))


_PLAIN: Mapping[str, Mapping[str, object]] = {
    "output_gate": {"gate": "none"},
    "learned_floor": {"floor": "none"},
    "residual_path": {"residual": False},
    "output_norm": {"out_norm": False},
    "more_heads": {"heads": "same"},
    "fewer_heads": {"heads": "same"},
}


def _without_family(genome: Genome, family: str) -> Genome | None:
    around = tuple(s for s in genome.around if all(path.family != family for path in s.block.paths))
    paths = tuple(path for path in genome.paths if path.family != family)
    if not paths:
        return None
    router = genome.router
    if len(paths) == 1:
        router = "none"
    elif router == "hierarchical" and len(paths) < MAX_PATHS:
        router = "softmax"
    return replace(genome, paths=paths, router=router, around=around)


def _plainer(path: Path, name: str) -> Path:
    if name == f"qk_{path.norm}norm":
        return replace(path, norm="none")
    if name == f"feature_map_{path.feature}":
        return replace(path, feature="none")
    if name == f"decay_init_{path.decay}":
        return replace(path, decay="default")
    return replace(path, **_PLAIN_PATH[name]) if name in _PLAIN_PATH else path  # type: ignore[arg-type]


_PLAIN_PATH: Mapping[str, Mapping[str, object]] = {
    "beta_two": {"beta": 1},
    "several_reflections": {"steps": 1},
    "separate_erase_write": {"separate": False},
    "log_linear_state": {"tree": False},
    "rotary": {"rotary": False},
}
