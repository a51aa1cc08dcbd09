"""The moves on paths: another family in place of the first or beside it, routers and chains, fields of one path.

Each is a function from a genome and a random generator to a genome, not settled yet (operators.py does that), or None
where it does not apply.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from move37.agents.search.composition import Move, usual
from move37.agents.search.genome import (
    ERASING,
    FAMILIES,
    GATED_DECAY,
    MAX_PATHS,
    PROJECTED,
    STEPPING,
    SUMMING,
    WINDOWS,
    Family,
    Genome,
    Path,
)
from move37.agents.search.streams import treatments, with_treatments

PARALLEL_CHANCE = 0.35  # of joining a new family beside the old ones rather than in place of the first


def another_family(family: Family) -> Move:
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
    own = usual(family)
    return replace(
        own,
        norm="l2" if family in ERASING else like.norm if like.norm != "none" else own.norm,
        feature=like.feature if like.feature != "none" else own.feature,
        decay=like.decay,
    )


def _beside(genome: Genome, new: Path, rng: Random) -> Genome:
    router = genome.router if genome.router != "none" else rng.choice(("softmax", "sigmoid"))
    out_norm = genome.out_norm or new.family in SUMMING
    return replace(genome, paths=(*genome.paths, new), router=router, out_norm=out_norm)


def routed(kind: str) -> Move:
    def move(genome: Genome, rng: Random) -> Genome | None:
        wanted = MAX_PATHS if kind == "hierarchical" else 2
        missing = [f for f in FAMILIES if all(path.family != f for path in genome.paths)]
        for family in rng.sample(missing, max(0, wanted - len(genome.paths))):
            genome = _beside(genome, _fresh(family, Path(family=family)), rng)
        return replace(genome, router=kind)  # type: ignore[arg-type]

    return move


def some_path(allowed: tuple[str, ...], **changes: object) -> Move:
    """A move that changes one path of an allowed family, where it would make a difference."""

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


def windowed(genome: Genome, rng: Random) -> Genome | None:
    place = next((n for n, path in enumerate(genome.paths) if path.family == "softmax"), None)
    if place is None:
        new = replace(_fresh("softmax", Path(family="softmax")), window=rng.choice(WINDOWS))
        return _beside(genome, new, rng) if len(genome.paths) < MAX_PATHS else None
    old = genome.paths[place]
    paths = list(genome.paths)
    paths[place] = replace(old, window=rng.choice([w for w in WINDOWS if w != old.window]))
    return replace(genome, paths=tuple(paths))


def convolved(genome: Genome, rng: Random) -> Genome | None:
    streams = treatments(genome)
    if any(streams[name].mix != "conv" for name in PROJECTED):
        treated = {name: replace(streams[name], mix="conv", taps=genome.taps) for name in PROJECTED}
        return with_treatments(genome, streams | treated)
    return another_family("short_conv")(genome, rng)


def floored(genome: Genome, rng: Random) -> Genome | None:
    where = ["router"] if genome.router not in ("none", "chain") else []
    where += ["decay"] if any(path.family in GATED_DECAY for path in genome.paths) else []
    where = [w for w in where if w != genome.floor]
    return replace(genome, floor=rng.choice(where)) if where else None  # type: ignore[arg-type]


def several_steps(genome: Genome, rng: Random) -> Genome | None:
    """Two steps a token where there is one; three where there are two. A delta rule comes in where none is."""
    if all(path.family not in STEPPING for path in genome.paths):
        genome = replace(genome, paths=(_fresh("delta", genome.paths[0]), *genome.paths[1:]))
    steps = max(path.steps for path in genome.paths)
    return some_path(STEPPING, steps=min(steps + 1, 3))(genome, rng)
