"""Gate `complexity`: the empirical exponent of time and memory in the length, measured up to 4096 tokens.

First, counts (`lab/inside/op_counter.py`): operations, numbers written, bytes alive, in one row and in four. They are
taken in the candidate's process, which could hide some; so CPU seconds of that process, as the system counts them, come
second: equally many tokens as long sequences and as short ones, two rows at a time. A linear mixer needs the same for
both, a quadratic one eight times as much; the bound between them is wide, and the better of two measurements counts.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from move37.lab.gates.gate import Gate, GateEvidence, RawMeasurement, Timing, failed, passed, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.inside.bench import Bench

NAME = "complexity"
LIMIT = 1.15  # exponent
LENGTHS = (256, 512, 1024, 2048, 4096)
ROWS = 4  # besides one
HOPELESS = 1.5  # from this exponent on no longer sequence is measured
SMALLEST = 1e4  # counts below this have no exponent worth asking for
WORDS = {"flops": "multiply-adds", "written": "numbers written", "peak_bytes": "memory"}

SPAN = 8  # how much longer the sequences of one timed job are than those of the other
TIME_RATIO = 3.0  # of CPU seconds for equal tokens: 1 linear, SPAN quadratic
TIME_EXCESS = 0.2  # CPU seconds; noise on a busy machine stays below


def measure(bench: Bench) -> RawMeasurement:
    """The largest exponent of a count over the last two doublings of the length, in one row and in `ROWS`."""
    found: list[tuple[float, str]] = []
    numbers: dict[str, float] = {}
    looping = False
    for batch in (1, ROWS):
        counts = [_count(bench, batch, LENGTHS[0])]
        looping |= counts[0]["calls"] > 2 * LENGTHS[0]  # a loop over time: slow to count, steep early
        worst, detail = 0.0, ""
        for time in LENGTHS[1:3] if looping or batch > 1 else LENGTHS[1:]:
            counts.append(_count(bench, batch, time))
            if len(counts) > 2:
                worst, detail = _steepest(counts[-3:])
                detail = f"{detail} from {time // 4} to {time} tokens" + (f" in {batch} rows" if batch > 1 else "")
            if worst > HOPELESS:
                break
        found.append((worst, detail))
        numbers = numbers or counts[-1]
    worst, detail = max(found) if max(found)[0] > LIMIT else found[0]
    timing = _time(bench, looping=looping) if worst <= LIMIT else {}
    return RawMeasurement(value=worst, detail=detail, numbers=numbers | timing)


def _count(bench: Bench, batch: int, time: int) -> dict[str, float]:
    module = bench.build(perturbed=False, process="counts")
    reply, _ = module.ask("count", bench.inputs(batch, time).to(bench.dtype))
    return {name: float(value) for name, value in dict(reply["counts"]).items()}


def _time(bench: Bench, *, looping: bool) -> dict[str, float]:
    """CPU seconds that the system counted for as many tokens in long and in short sequences; the better of two."""
    time, rows, calls = (1024, 1, 1) if looping else (4096, 2, 2)  # less where every token is a step of a loop
    best: Timing | None = None
    for _ in range(2):
        long = _work(bench, rows, time, calls=calls)
        short = _work(bench, rows, time // SPAN, calls=calls * SPAN)
        timing = Timing(long=long, short=short, start=_work(bench, 1, 1))
        best = timing if best is None or timing.ratio < best.ratio else best
        if not too_slow(timing):
            break
    assert best is not None
    return {"long": best.long, "short": best.short, "start": best.start}


def _work(bench: Bench, rows: int, time: int, *, calls: int = 1) -> float:
    """CPU seconds of a new process that runs forward passes only."""
    module = bench.build(perturbed=False, process="timed")
    x = bench.inputs(rows, time).to(bench.dtype)
    for _ in range(calls):
        module(x)
    return bench.processes.end("timed")


def _steepest(measured: list[dict[str, float]]) -> tuple[float, str]:
    """The largest exponent, and of which count. The smaller one of the doublings counts: a chunk size that changes with
    the length makes one of them large, true growth makes both."""
    exponents = {}
    for name in WORDS:
        counts = [at_one_length[name] for at_one_length in measured]
        if min(counts) > SMALLEST:
            exponents[name] = min(math.log2(long / short) for short, long in pairwise(counts))
    if not exponents:
        return 0.0, "hardly anything grows"
    name = max(exponents, key=lambda key: exponents[key])
    return exponents[name], f"{WORDS[name]} grow like time ** {exponents[name]:.2f}"


def too_slow(timing: Timing) -> bool:
    """Whether the timed jobs differ by more than noise and caches explain."""
    return timing.ratio > TIME_RATIO and timing.excess > TIME_EXCESS


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """Counts first, then time."""
    if raw.value is None:
        return unjudged(NAME, raw.detail, LIMIT)
    if evidence.exempt_quadratic:
        return passed(NAME, raw.value, None, f"{raw.detail}; this baseline is quadratic, and exempt")
    if raw.value > LIMIT:
        message = f"{raw.detail}: look for a tensor of time x time, or attend within a fixed window"
        return failed(NAME, raw.value, LIMIT, message)
    timing = Timing.of(raw)
    if timing is not None and too_slow(timing):
        exponent = 1 + math.log(timing.ratio) / math.log(SPAN)
        message = f"a token costs {timing.ratio:.1f} times the CPU time when sequences are {SPAN} times as long"
        return failed(NAME, exponent, LIMIT, f"{message}: look for loops over time within loops over time")
    return passed(NAME, raw.value, LIMIT, raw.detail)


GATE = Gate(name=NAME, measure=measure, judge=judge)
