"""Streams of a block: the input, queries, keys, values, the gate, the output, and what happens to each before its use.

`genome.conv` is short for "a convolution of `genome.taps` on queries, keys and values alike"; here every
stream has an entry of its own. Read `treatments` (a genome -> one entry a stream) and `with_treatments` (back).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from move37.agents.search.genome import NORMED, PROJECTED, STREAMS, TAPS, Genome, Stream, StreamName

_UNTREATED = {name: Stream(name=name) for name in STREAMS}


def treatments(genome: Genome) -> dict[StreamName, Stream]:
    """What happens to every stream, those that are left alone included, in the order of STREAMS."""
    found = _UNTREATED | {stream.name: stream for stream in genome.streams}
    if genome.conv:
        for name in PROJECTED:
            found[name] = replace(found[name], mix="conv", taps=genome.taps)
    return found


def with_treatments(genome: Genome, wanted: Mapping[StreamName, Stream]) -> Genome:
    """The genome whose streams are treated so, in its one spelling."""
    streams = {name: _canonical(wanted[name], genome) for name in STREAMS}
    mixes = {(streams[name].mix, streams[name].taps) for name in PROJECTED}
    (mix, taps), *others = sorted(mixes)
    has_path = any(path.family == "short_conv" for path in genome.paths)
    conv = not others and mix == "conv" and (taps == genome.taps or not has_path)
    if conv:
        streams |= {name: replace(streams[name], mix="none", taps=0) for name in PROJECTED}
    return replace(
        genome,
        conv=conv,
        taps=taps if conv else genome.taps if has_path else TAPS,
        streams=tuple(s for s in streams.values() if s.mix != "none" or s.norm),
    )


def _canonical(stream: Stream, genome: Genome) -> Stream:
    if stream.name == "gate" and genome.gate == "none":
        return Stream(name="gate")
    taps = (stream.taps or TAPS) if stream.mix == "conv" else 0
    norm = stream.norm and stream.name in NORMED
    return stream if (taps, norm) == (stream.taps, stream.norm) else replace(stream, taps=taps, norm=norm)
