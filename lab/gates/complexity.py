"""Gate `complexity`: the empirical exponent of time and memory in the length, measured up to 4096 tokens.

What decides first is counted (`cost.py`): operations, numbers written, bytes alive. What is not visible there shows
in CPU seconds, taken from outside: as many tokens once as long sequences and once as short ones. A linear mixer
needs as much for both, a quadratic one eight times as much; the bound between them is wide, and asked for twice.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING

from move37.lab.gates.gate import Evidence, Gate, Reading, Timing, failed, passed, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.gates.bench import Bench

NAME = "complexity"
LIMIT = 1.15  # exponent
LENGTHS = (256, 512, 1024, 2048, 4096)
HOPELESS = 1.5  # an exponent that needs no longer sequence
SMALLEST = 1e4  # counts below this have no exponent worth asking for
WORDS = {"flops": "multiply-adds", "written": "numbers written", "peak_bytes": "memory"}

SPAN = 8  # how much longer the sequences of one timed job are than those of the other
TIME_RATIO = 3.0  # of CPU seconds for equal tokens: 1 linear, SPAN quadratic
TIME_EXCESS = 0.2  # CPU seconds; noise on a busy machine stays below


def measure(bench: Bench) -> Reading:
    """The largest exponent of a count over the last two doublings of the length."""
    costs = [_count(bench, LENGTHS[0])]
    looping = costs[0]["calls"] > 2 * LENGTHS[0]  # a loop over time: slow to count, and steep early where it is steep
    lengths = LENGTHS[1:3] if looping else LENGTHS[1:]
    worst, detail = 0.0, ""
    for time in lengths:
        costs.append(_count(bench, time))
        if len(costs) > 2:
            worst, detail = _steepest(costs[-3:])
            detail = f"{detail} from {time // 4} to {time} tokens"
        if worst > HOPELESS:
            break
    return Reading(value=worst, detail=detail, numbers=costs[-1] | {"looping": float(looping)})


def _count(bench: Bench, time: int) -> dict[str, float]:
    import torch

    from move37.lab.gates.bench import guarded
    from move37.lab.gates.cost import Meter

    mixer = bench.build(shaken=False)
    x = bench.inputs(1, time).to(bench.dtype)
    with guarded(), torch.no_grad(), Meter() as meter:
        mixer(x)
    return asdict(meter.cost())


def _steepest(costs: list[dict[str, float]]) -> tuple[float, str]:
    """The largest exponent, and of what. Of the doublings the flatter one counts: a chunk size that steps up with the
    length makes one of them steep, growth makes all."""
    exponents = {}
    for name in WORDS:
        counts = [cost[name] for cost in costs]
        if min(counts) > SMALLEST:
            exponents[name] = min(math.log2(long / short) for short, long in pairwise(counts))
    if not exponents:
        return 0.0, "hardly anything grows"
    name = max(exponents, key=lambda key: exponents[key])
    return exponents[name], f"{WORDS[name]} grow like time ** {exponents[name]:.2f}"


def timed_lengths(reading: Reading) -> tuple[int, int]:
    """Length of the long sequences and how many of them: less where every token is a step of a loop in Python."""
    looping = reading.numbers.get("looping", 0.0) > 0
    return (1024, 1) if looping else (4096, 3)


def work(bench: Bench, *, time: int, calls: int) -> None:
    """The timed job: nothing but forward passes. Equal tokens make the jobs comparable."""
    from move37.lab.gates.bench import call

    mixer = bench.build(shaken=False)
    x = bench.inputs(1, time).to(bench.dtype)
    for _ in range(calls):
        call(mixer, x)


def too_slow(timing: Timing) -> bool:
    """Whether the timed jobs differ by more than noise and caches explain."""
    return timing.ratio > TIME_RATIO and timing.excess > TIME_EXCESS


def judge(reading: Reading, evidence: Evidence) -> GateResult:
    """Counts first, then time."""
    if reading.value is None:
        return unjudged(NAME, reading.detail, LIMIT)
    if evidence.exempt_quadratic:
        return passed(NAME, reading.value, None, f"{reading.detail}; this baseline is quadratic, and exempt")
    if reading.value > LIMIT:
        message = f"{reading.detail}: look for a tensor of time x time, or attend within a fixed window"
        return failed(NAME, reading.value, LIMIT, message)
    timing = evidence.timing
    if timing is not None and too_slow(timing):
        exponent = 1 + math.log(timing.ratio) / math.log(SPAN)
        message = f"a token costs {timing.ratio:.1f} times the CPU time when sequences are {SPAN} times as long"
        return failed(NAME, exponent, LIMIT, f"{message}: look for loops over time within loops over time")
    return passed(NAME, reading.value, LIMIT, reading.detail)


GATE = Gate(name=NAME, measure=measure, judge=judge)
