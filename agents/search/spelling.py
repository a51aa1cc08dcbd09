"""When two genomes are one mixer (`canonical`), which are invalid and why (`faults`), and what a plan may hold
(`well_typed`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

from move37.agents.search import genome as vocabulary
from move37.agents.search.genome import (
    CONVOLVING,
    DECAYING,
    ERASING,
    FAMILIES,
    FEWEST_TAPS,
    GATED_DECAY,
    MAPPED,
    MAX_PATHS,
    MOST_TAPS,
    PASSES,
    PLACES,
    STEPPING,
    STEPS,
    SUMMING,
    WINDOWS,
    Genome,
    Path,
    SmallBlock,
)
from move37.agents.search.streams import treatments, with_treatments


def canonical(genome: Genome) -> Genome:
    """The same mixer with everything that has no effect spelled one way.

    Order of parallel paths after the first is free, of chained ones it is not; the blocks around it stand in the order
    in which they work.
    """
    paths = tuple(_canonical_path(path) for path in genome.paths)
    several = len(paths) > 1
    router = genome.router if several else "none"
    if router != "chain":
        first, *rest = paths
        paths = (first, *sorted(rest, key=lambda path: FAMILIES.index(path.family)))
    floor = genome.floor
    if (floor == "router" and router in ("none", "chain")) or (
        floor == "decay" and not any(p.family in GATED_DECAY for p in paths)
    ):
        floor = "none"
    around = sorted((_canonical_small(small) for small in genome.around), key=lambda small: PLACES.index(small.place))
    found = replace(genome, paths=paths, router=router, floor=floor, around=tuple(around))
    return with_treatments(found, treatments(found))


def faults(genome: Genome) -> tuple[str, ...]:
    """Why a genome is invalid, one clause each; empty when it is valid."""
    found = _block_faults(genome)
    places = [small.place for small in genome.around]
    if len(set(places)) < len(places):
        found.append("two blocks in one place")
    for small in genome.around:
        found += [f"{small.place}: {fault}" for fault in _block_faults(small.block)]
        if small.block.around or small.block.passes > 1:
            found.append("a block around the main one is one block, applied once")
    return tuple(found)


def _block_faults(genome: Genome) -> list[str]:
    families = [path.family for path in genome.paths]
    found = []
    if not 1 <= len(families) <= MAX_PATHS:
        found.append(f"{len(families)} paths: 1 to {MAX_PATHS} are possible")
    if len(set(families)) < len(families):
        found.append("two paths of one family")
    if len(families) > 1 and genome.router == "none":
        found.append("several paths need a router or a chain")
    if genome.router == "hierarchical" and len(families) < MAX_PATHS:
        found.append("a hierarchical router needs three paths")
    for path in genome.paths:
        if path.family in ERASING and path.norm != "l2":
            found.append("an erasing write needs keys of length one, or it diverges")
        if path.family == "softmax" and path.window not in WINDOWS:
            found.append("softmax only inside a fixed window: the task demands near-linear time")
        if path.family in CONVOLVING and genome.keys != genome.values:
            found.append("a gated convolution multiplies keys and values: they need one width")
    if any(family in SUMMING for family in families) and not genome.out_norm:
        found.append("a sum without a denominator needs the output norm")
    names = [stream.name for stream in genome.streams]
    if len(set(names)) < len(names):
        found.append("one stream is treated twice")
    convolved = [stream.taps for stream in treatments(genome).values() if stream.mix == "conv"]
    if any(not FEWEST_TAPS <= taps <= MOST_TAPS for taps in (*convolved, genome.taps)):
        found.append(f"a short convolution has {FEWEST_TAPS} to {MOST_TAPS} taps")
    return found


def _canonical_path(path: Path) -> Path:
    family = path.family
    steps = path.steps if family in STEPPING else 1
    return Path(
        family=family,
        norm="none" if family in CONVOLVING else path.norm,
        feature=path.feature if family in MAPPED else "none",
        beta=path.beta if family in ERASING else 1,
        decay=path.decay if family in DECAYING else "default",
        rotary=path.rotary and family not in CONVOLVING and steps == 1,  # steps of a token have no positions
        window=path.window if family == "softmax" else 0,
        steps=steps,
        separate=path.separate and family in ERASING,
        tree=path.tree and family in MAPPED and steps == 1,  # a bucket is made of tokens
    )


def _canonical_small(small: SmallBlock) -> SmallBlock:
    feeds = small.feeds if small.place == "before" else "all"
    return replace(small, block=canonical(small.block), feeds=feeds)


def well_typed(genome: Genome) -> bool:
    """Whether every value of a foreign plan is one that its field can have."""
    return all(allowed for block in genome.blocks for allowed in _allowed(block)) and all(
        small.place in PLACES and small.feeds in get_args(vocabulary.Feeds) for small in genome.around
    )


def _allowed(genome: Genome) -> Iterator[bool]:
    words: tuple[tuple[Any, Any], ...] = (
        (genome.router, vocabulary.Router),
        (genome.gate, vocabulary.Gate),
        (genome.floor, vocabulary.Floor),
        (genome.heads, vocabulary.Heads),
        (genome.keys, vocabulary.Width),
        (genome.values, vocabulary.Width),
        *((path.family, vocabulary.Family) for path in genome.paths),
        *((path.norm, vocabulary.Norm) for path in genome.paths),
        *((path.feature, vocabulary.Feature) for path in genome.paths),
        *((path.decay, vocabulary.Decay) for path in genome.paths),
        *((stream.name, vocabulary.StreamName) for stream in genome.streams),
        *((stream.mix, vocabulary.Mix) for stream in genome.streams),
    )
    yield all(isinstance(value, str) and value in get_args(kind) for value, kind in words)
    flags = [genome.conv, genome.out_norm, genome.residual, *(stream.norm for stream in genome.streams)]
    flags += [flag for path in genome.paths for flag in (path.rotary, path.separate, path.tree)]
    yield all(isinstance(flag, bool) for flag in flags)
    numbers = [genome.taps, genome.passes, *(stream.taps for stream in genome.streams)]
    numbers += [number for path in genome.paths for number in (path.beta, path.window, path.steps)]
    yield all(type(number) is int for number in numbers)
    yield genome.passes in PASSES and all(path.beta in (1, 2) and path.steps in STEPS for path in genome.paths)
