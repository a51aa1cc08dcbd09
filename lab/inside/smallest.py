"""The job that looks for the shortest input on which a gate's failure shows; the trusted process of an audit.

`order.json` names gates and their limits; each answer is one JSON line. Lengths are tried from the shortest on, one row
at the sizes of the default scale; what shows at none of them, or only in training, has the gate's own sizes alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping

import torch

from move37.lab.inside.bench import Bench
from move37.lab.inside.bench_job import Order, with_bench
from move37.lab.inside.remote import CandidateDied, CandidateFault
from move37.lab.training.contract import ContractError

LONGEST = 130  # tokens; just over a training window
LOUD = 4.0  # scale of what is changed, against 1


def main() -> None:
    """Do what order.json says."""
    with_bench(_all)


def _all(bench: Bench, order: Order) -> None:
    for gate, limit in order["gates"].items():
        sys.stdout.write(json.dumps({"gate": gate, "time": shortest(bench, gate, limit)}) + "\n")
        sys.stdout.flush()


def shortest(bench: Bench, gate: str, limit: float) -> int | None:
    """The least number of tokens at which outputs differ by more than `limit` of their size; None where none was found.

    Also None where the candidate raises on the way: then it has no answer at some length.
    """
    bench.reseed(known=True)
    try:
        return next((time for time in range(1, LONGEST + 1) if APART[gate](bench, time) > limit), None)
    except CandidateDied:
        bench.close()  # the next gate starts a process of its own
        return None
    except (CandidateFault, ContractError):
        return None


def _future(bench: Bench, time: int) -> float:
    """How far the last input reaches into earlier outputs."""
    x = bench.noise(1, time)
    other = torch.cat((x[:, :-1], LOUD * bench.noise(1, 1)), dim=1)
    one, two = bench.run(x), bench.run(other)
    return bench.difference(two[:, :-1], one[:, :-1], scale=one) if time > 1 else 0.0


def _length(bench: Bench, time: int) -> float:
    """How far all but the last output differ where the last input is missing."""
    if time == 1:
        return 0.0
    x = bench.noise(1, time)
    whole = bench.run(x)
    return bench.difference(bench.run(x[:, :-1], process="prefixes"), whole[:, :-1], scale=whole)


def _company(bench: Bench, time: int) -> float:
    """How far a row's output differs beside another row."""
    x, other = bench.noise(1, time), LOUD * bench.noise(1, time)
    return bench.difference(bench.run(torch.cat((x, other)), process="company")[:1], bench.run(x))


def _not_finite(bench: Bench, time: int) -> float:
    """Over every limit where equal tokens, or different ones, give no number."""
    x = bench.noise(1, time)
    rows = torch.cat((x, x[:, :1].expand_as(x)))
    return 0.0 if all(bool(bench.run(row[None]).isfinite().all()) for row in rows) else float("inf")


APART: Mapping[str, Callable[[Bench, int], float]] = {
    "causality": _future, "truncation": _length, "batch": _company, "finite": _not_finite,
}  # fmt: skip
