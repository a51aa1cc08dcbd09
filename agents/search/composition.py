"""The moves of composition: what happens to one stream, how wide things are, and blocks before, beside and after.

Each is a function from a genome and a random generator to a genome, not settled yet (operators.py does that), or None
where it does not apply. Read `PUT_IN` and `TAKEN_OUT`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from move37.agents.search.genome import (
    CONVOLVING,
    FAMILIES,
    NORMED,
    PLACES,
    STREAMS,
    TAPS,
    Family,
    Feeds,
    Genome,
    Mix,
    Path,
    Place,
    SmallBlock,
    StreamName,
    Width,
)
from move37.agents.search.grammar import BASELINES
from move37.agents.search.streams import treatments, with_treatments

Move = Callable[[Genome, Random], Genome | None]
WIDE, NARROW = (6, 8), (2, 3)  # taps
LOCAL: tuple[Family, ...] = ("short_conv", "softmax")  # families of a block that joins neighbours
LOCAL_CHANCE = 0.5
SMALL: tuple[Width, ...] = ("quarter", "half")


def usual(family: Family) -> Path:
    """A path of `family` as its baseline has it."""
    if family == "kda":
        return Path(family="kda", norm="l2")
    return BASELINES[family].paths[0] if family in BASELINES else Path(family=family)


# Streams -------------------------------------------------------------------------------------------------------


def _mixed(name: StreamName, mix: Mix) -> Move:
    def move(genome: Genome, rng: Random) -> Genome | None:
        streams = treatments(genome)
        if streams[name].mix == mix:
            return None
        streams[name] = replace(streams[name], mix=mix, taps=TAPS if mix == "conv" else 0)
        return with_treatments(genome, streams)

    return move


def _normed(name: StreamName, on: bool) -> Move:
    def move(genome: Genome, rng: Random) -> Genome | None:
        streams = treatments(genome)
        return with_treatments(genome, streams | {name: replace(streams[name], norm=on)})

    return move


def _taps(choices: tuple[int, ...]) -> Move:
    """Another number of taps for one of the convolutions; that of queries, keys and values counts as one."""

    def move(genome: Genome, rng: Random) -> Genome | None:
        named = [stream for stream in genome.streams if stream.mix == "conv"]
        shared = genome.conv or any(path.family == "short_conv" for path in genome.paths)
        if not named and not shared:
            return None
        place, taps = rng.randrange(len(named) + shared), rng.choice(choices)
        if place == len(named):
            return replace(genome, taps=taps)
        streams = tuple(replace(s, taps=taps) if s is named[place] else s for s in genome.streams)
        return replace(genome, streams=streams)

    return move


def _usual_taps(genome: Genome, unusual: Callable[[int], bool]) -> Genome:
    streams = tuple(replace(s, taps=TAPS) if s.mix == "conv" and unusual(s.taps) else s for s in genome.streams)
    return replace(genome, streams=streams, taps=TAPS if unusual(genome.taps) else genome.taps)


# Sizes ---------------------------------------------------------------------------------------------------------


def whole(**changes: object) -> Move:
    """The same change of fields whatever the genome is."""

    def move(genome: Genome, rng: Random) -> Genome | None:
        return replace(genome, **changes)  # type: ignore[arg-type]

    return move


def of_one_width(genome: Genome) -> Genome:
    """Keys as wide as values where a gated convolution multiplies them."""
    around = tuple(replace(small, block=of_one_width(small.block)) for small in genome.around)
    convolving = any(path.family in CONVOLVING for path in genome.paths)
    return replace(genome, around=around, keys=genome.values if convolving else genome.keys)


# Blocks --------------------------------------------------------------------------------------------------------


def _block(place: Place) -> Move:
    """A small block with weights of its own at `place`, instead of one that is there already."""

    def move(genome: Genome, rng: Random) -> Genome | None:
        others = tuple(small for small in genome.around if small.place != place)
        return replace(genome, around=(*others, SmallBlock(place=place, block=_small(rng))))

    return move


def _small(rng: Random) -> Genome:
    family = rng.choice(LOCAL) if rng.random() < LOCAL_CHANCE else rng.choice(FAMILIES)
    width = rng.choice(SMALL)
    path = usual(family)
    return Genome(
        paths=(replace(path, window=16) if family == "softmax" else path,),
        conv=family not in CONVOLVING and rng.random() < 0.5,
        gate="none",
        keys=width,
        values=width,
    )


def _fed(stream: str) -> Move:
    """The block before feeds this stream of the main block instead of its input; a block is added where none is."""

    def move(genome: Genome, rng: Random) -> Genome | None:
        if all(small.place != "before" for small in genome.around):
            genome = _block("before")(genome, rng) or genome
        return _with_feeds(genome, lambda feeds: _joined({*_FED[feeds], stream}))

    return move


_FED: Mapping[Feeds, tuple[str, ...]] = {
    "all": (), "keys": ("keys",), "values": ("values",), "memory": ("keys", "values"),
}  # fmt: skip


def _joined(streams: set[str]) -> Feeds:
    return next(feeds for feeds, fed in _FED.items() if {*fed} == streams)


def _with_feeds(genome: Genome, change: Callable[[Feeds], Feeds]) -> Genome:
    around = (replace(s, feeds=change(s.feeds)) if s.place == "before" else s for s in genome.around)
    return replace(genome, around=tuple(around))


def _no_block(place: Place) -> Move:
    return lambda genome, rng: replace(genome, around=tuple(s for s in genome.around if s.place != place))


def _unfed(stream: str) -> Move:
    return lambda genome, rng: _with_feeds(genome, lambda feeds: _joined({*_FED[feeds]} - {stream}))


def on_paths(genome: Genome, change: Callable[[Path], Path]) -> Genome:
    """`change` on every path, those of the blocks around it included."""
    around = tuple(replace(small, block=on_paths(small.block, change)) for small in genome.around)
    return replace(genome, paths=tuple(change(path) for path in genome.paths), around=around)


PUT_IN: Mapping[str, Move] = {
    **{f"{name}_{mix}": _mixed(name, mix) for name in STREAMS for mix in ("conv", "shift")},
    **{f"{name}_norm": _normed(name, True) for name in NORMED},
    **{f"block_{place}": _block(place) for place in PLACES},
    **{f"{streams}_from_block": _fed(streams) for streams in ("keys", "values")},
    "wide_taps": _taps(WIDE),
    "narrow_taps": _taps(NARROW),
    "wide_keys": whole(keys="double"),
    "narrow_keys": whole(keys="half"),
    "wide_values": whole(values="double"),
    "narrow_values": whole(values="half"),
    "narrow_gate": whole(gate="low"),
    "second_pass": whole(passes=2),
}
_BACK: dict[str, Any] = {"keys": whole(keys="same"), "values": whole(values="same")}
TAKEN_OUT: Mapping[str, Move] = {
    **{f"{name}_{mix}": _mixed(name, "none") for name in STREAMS for mix in ("conv", "shift")},
    **{f"{name}_norm": _normed(name, False) for name in NORMED},
    **{f"block_{place}": _no_block(place) for place in PLACES},
    **{f"{streams}_from_block": _unfed(streams) for streams in ("keys", "values")},
    **{f"{width}_{streams}": _BACK[streams] for width in ("wide", "narrow") for streams in ("keys", "values")},
    "wide_taps": lambda genome, rng: _usual_taps(genome, lambda taps: taps > TAPS),
    "narrow_taps": lambda genome, rng: _usual_taps(genome, lambda taps: taps < TAPS),
    "narrow_gate": lambda genome, rng: replace(genome, gate="full") if genome.gate == "low" else None,
    "second_pass": whole(passes=1),
}
