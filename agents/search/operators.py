"""The moves of the search: one function an operator that puts it into a genome or takes it out, and crossover.

Names equal memory/cognition/operators.txt, and a test keeps them equal. `put` and `take` give back a valid, canonical
genome within the parameter limit that differs from the one it was given, or None where the operator does not apply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

from move37.agents.search.grammar import (
    BASELINES,
    DECAYING,
    ERASING,
    FAMILIES,
    FAMILY_OPERATOR,
    GATED_DECAY,
    MAPPED,
    MAX_PATHS,
    ROUTER_OPERATOR,
    SUMMING,
    WINDOWS,
    Family,
    Genome,
    Path,
    canonical,
    faults,
    operators_in,
)
from move37.agents.search.size import fit

Move = Callable[[Genome, Random], Genome | None]
PARALLEL_CHANCE = 0.35  # of joining a new family beside the old ones rather than in place of the first


def put(name: str, genome: Genome, rng: Random) -> Genome | None:
    """`genome` with operator `name` in it."""
    return _settled(_PUT[name](genome, rng), genome)


def take(name: str, genome: Genome, rng: Random) -> Genome | None:
    """`genome` without operator `name`. Families are taken out only where another path remains."""
    moved = _settled(_take(name, genome), genome)
    return moved if moved is not None and name not in operators_in(moved) else None


def crossover(one: Genome, other: Genome, rng: Random) -> Genome | None:
    """Paths from both parents, at least one of each where their families differ; every other choice from either."""
    pool = {path.family: path for path in (*other.paths, *one.paths)}
    count = rng.randint(1, min(MAX_PATHS, len(pool)))
    chosen = rng.sample(sorted(pool), count)
    sources = [rng.choice((one, other)) for _ in range(7)]
    router = sources[0].router
    if count > 1 and router == "none":
        router = rng.choice(("softmax", "sigmoid"))
    if router == "hierarchical" and count < MAX_PATHS:
        router = "softmax"
    child = Genome(
        paths=tuple(pool[family] for family in chosen),
        router=router if count > 1 else "none",
        conv=sources[1].conv,
        out_norm=sources[2].out_norm or any(family in SUMMING for family in chosen),
        gate=sources[3].gate,
        floor=sources[4].floor,
        residual=sources[5].residual,
        heads=sources[6].heads,
    )
    settled = _settled(child, one)
    return settled if settled is not None and settled != other else None


def _settled(child: Genome | None, parent: Genome) -> Genome | None:
    if child is None or faults(child):
        return None
    fitted = fit(canonical(child))
    return fitted if fitted is not None and fitted != parent else None


# Putting in ----------------------------------------------------------------------------------------------------


def _family(family: Family) -> Move:
    def move(genome: Genome, rng: Random) -> Genome | None:
        if any(path.family == family for path in genome.paths):
            return None
        new = _fresh(family, genome.paths[0])
        if len(genome.paths) < MAX_PATHS and rng.random() < PARALLEL_CHANCE:
            return _beside(genome, new, rng)
        paths = (new, *genome.paths[1:])
        return replace(genome, paths=paths, out_norm=genome.out_norm or family in SUMMING)

    return move


def _fresh(family: Family, like: Path) -> Path:
    """A path of `family` as its baseline has it, keeping the modifiers of `like` that it can carry."""
    usual = BASELINES[family].paths[0] if family in BASELINES else Path(family=family)
    return replace(
        usual,
        norm="l2" if family in ERASING else like.norm if like.norm != "none" else usual.norm,
        feature=like.feature if like.feature != "none" else usual.feature,
        decay=like.decay,
        window=usual.window,
    )


def _beside(genome: Genome, new: Path, rng: Random) -> Genome:
    router = genome.router if genome.router != "none" else rng.choice(("softmax", "sigmoid"))
    out_norm = genome.out_norm or new.family in SUMMING
    return replace(genome, paths=(*genome.paths, new), router=router, out_norm=out_norm)


def _router(kind: str) -> Move:
    def move(genome: Genome, rng: Random) -> Genome | None:
        wanted = MAX_PATHS if kind == "hierarchical" else 2
        missing = [f for f in FAMILIES if all(path.family != f for path in genome.paths)]
        for family in rng.sample(missing, max(0, wanted - len(genome.paths))):
            genome = _beside(genome, _fresh(family, Path(family=family)), rng)
        return replace(genome, router=kind)  # type: ignore[arg-type]

    return move


def _some_path(allowed: tuple[str, ...], **changes: object) -> Move:
    """Change one path whose family allows it and that is not so already."""

    def move(genome: Genome, rng: Random) -> Genome | None:
        fitting = [
            place
            for place, path in enumerate(genome.paths)
            if path.family in allowed and any(getattr(path, name) != value for name, value in changes.items())
        ]
        if not fitting:
            return None
        place = rng.choice(fitting)
        paths = list(genome.paths)
        paths[place] = replace(paths[place], **changes)  # type: ignore[arg-type]
        return replace(genome, paths=tuple(paths))

    return move


def _whole(**changes: object) -> Move:
    def move(genome: Genome, rng: Random) -> Genome | None:
        return replace(genome, **changes)  # type: ignore[arg-type]

    return move


def _window(genome: Genome, rng: Random) -> Genome | None:
    place = next((n for n, path in enumerate(genome.paths) if path.family == "softmax"), None)
    if place is None:
        new = replace(_fresh("softmax", Path(family="softmax")), window=rng.choice(WINDOWS))
        return _beside(genome, new, rng) if len(genome.paths) < MAX_PATHS else None
    old = genome.paths[place]
    paths = list(genome.paths)
    paths[place] = replace(old, window=rng.choice([w for w in WINDOWS if w != old.window]))
    return replace(genome, paths=tuple(paths))


def _short_conv(genome: Genome, rng: Random) -> Genome | None:
    if not genome.conv:
        return replace(genome, conv=True)
    return _family("short_conv")(genome, rng)


def _floor(genome: Genome, rng: Random) -> Genome | None:
    where = ["router"] if len(genome.paths) > 1 else []
    where += ["decay"] if any(path.family in GATED_DECAY for path in genome.paths) else []
    where = [w for w in where if w != genome.floor]
    return replace(genome, floor=rng.choice(where)) if where else None  # type: ignore[arg-type]


_ATTENDING = tuple(family for family in FAMILIES if family not in ("short_conv", "long_conv"))
_PUT: Mapping[str, Move] = {
    **{FAMILY_OPERATOR[family]: _family(family) for family in FAMILIES if family != "short_conv"},
    **{name: _router(kind) for kind, name in ROUTER_OPERATOR.items()},
    **{f"feature_map_{f}": _some_path(MAPPED, feature=f) for f in ("elu", "relu", "silu", "softmax")},
    **{f"decay_init_{d}": _some_path(DECAYING, decay=d) for d in ("long", "short", "spread")},
    "short_conv": _short_conv,
    "sliding_window": _window,
    "output_gate": _whole(gate="full"),
    "learned_floor": _floor,
    "residual_path": _whole(residual=True),
    "qk_l2norm": _some_path(_ATTENDING, norm="l2"),
    "qk_rmsnorm": _some_path(tuple(f for f in _ATTENDING if f not in ERASING), norm="rms"),
    "beta_two": _some_path(ERASING, beta=2),
    "output_norm": _whole(out_norm=True),
    "rotary": _some_path(_ATTENDING, rotary=True),
    "more_heads": _whole(heads="more"),
    "fewer_heads": _whole(heads="fewer"),
}
OPERATORS: tuple[str, ...] = tuple(sorted(_PUT))


# Taking out ----------------------------------------------------------------------------------------------------


def _take(name: str, genome: Genome) -> Genome | None:
    family = next((f for f, operator in FAMILY_OPERATOR.items() if operator == name), None)
    if name == "short_conv" and genome.conv:
        genome = replace(genome, conv=False)
    if name == "sliding_window":
        family = "softmax"
    if family is not None:
        return _without_family(genome, family)
    if name in ROUTER_OPERATOR.values():
        if name == ROUTER_OPERATOR.get(genome.router):
            return replace(genome, paths=genome.paths[:1], router="none")
        return None
    if name in _PLAIN:
        return replace(genome, **_PLAIN[name])  # type: ignore[arg-type]
    return replace(genome, paths=tuple(_plainer(path, name) for path in genome.paths))


_PLAIN: Mapping[str, Mapping[str, object]] = {
    "output_gate": {"gate": "none"},
    "learned_floor": {"floor": "none"},
    "residual_path": {"residual": False},
    "output_norm": {"out_norm": False},
    "more_heads": {"heads": "same"},
    "fewer_heads": {"heads": "same"},
}


def _without_family(genome: Genome, family: str) -> Genome | None:
    paths = tuple(path for path in genome.paths if path.family != family)
    if not paths:
        return None
    router = genome.router
    if len(paths) == 1:
        router = "none"
    elif router == "hierarchical" and len(paths) < MAX_PATHS:
        router = "softmax"
    return replace(genome, paths=paths, router=router)


def _plainer(path: Path, name: str) -> Path:
    if name == f"qk_{path.norm}norm":
        return replace(path, norm="none")
    if name == f"feature_map_{path.feature}":
        return replace(path, feature="none")
    if name == f"decay_init_{path.decay}":
        return replace(path, decay="default")
    if name == "beta_two":
        return replace(path, beta=1)
    return replace(path, rotary=False) if name == "rotary" else path
