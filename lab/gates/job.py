"""The gates' job: the trusted process measures a candidate's processes and reports each gate as it ends.

`order.json` says which gates; every report is one JSON line on standard output, to which only this process writes. That
a process of the candidate died or hung in a gate is reported too; the next gate starts new ones.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from typing import Any

from move37.lab.gates.gate import RawMeasurement
from move37.lab.gates.registry import GATES
from move37.lab.inside.bench import Bench
from move37.lab.inside.bench_job import Order, with_bench
from move37.lab.inside.remote import CandidateDied, CandidateFault
from move37.lab.training.contract import ContractError

FATAL = ("import", "shape")  # nothing else is worth running when the process dies in these
MOST_DEATHS = 3  # deaths of processes after which no further gate is run


def main() -> None:
    """Do what order.json says."""
    with_bench(_all)


def _all(bench: Bench, order: Order) -> None:
    bench.width, bench.heads = order["width"], order["heads"]
    bench.layers, bench.parameters, bench.processes.budget = order["layers"], order["parameters"], order["budget"]
    report({"missing": list(bench.processes.get("first").missing)})
    deaths = 0
    for gate in GATES:
        if gate.name not in order["gates"]:
            continue
        report({"gate": gate.name, "starts": True})
        line, died = measured(bench, lambda gate=gate: gate.measure(bench))  # type: ignore[misc]
        report({"gate": gate.name, **line})
        deaths += died
        if died and bench.processes.exhausted:
            report({"exhausted": True})
            break
        if deaths == MOST_DEATHS or (died and gate.name in FATAL):
            break


def measured(bench: Bench, measure: Callable[[], RawMeasurement]) -> tuple[dict[str, Any], bool]:
    """A gate's report, and whether a process of the candidate died in it."""
    bench.reseed()
    try:
        return {"raw": plain(measure())}, False
    except CandidateDied as fault:
        bench.close()
        return {"died": fault.line, "traceback": fault.traceback}, True
    except (CandidateFault, ContractError) as fault:
        return {"raw": plain(crashed(fault))}, False


def crashed(fault: CandidateFault | ContractError) -> RawMeasurement:
    """The candidate's exception as a measurement."""
    cause = fault if isinstance(fault, CandidateFault) else fault.__cause__
    traceback = cause.traceback if isinstance(cause, CandidateFault) else ""
    line = fault.line if isinstance(fault, CandidateFault) else str(fault)
    return RawMeasurement(crash=line, traceback=traceback)


def plain(raw: RawMeasurement) -> dict[str, Any]:
    """The measurement as JSON, which has no infinity: a very large number stands for it."""
    value = raw.value
    if value is not None and not math.isfinite(value):
        value = 1e9
    return {
        "value": value,
        "detail": raw.detail,
        "see": raw.see,
        "numbers": {name: number if math.isfinite(number) else 1e9 for name, number in raw.numbers.items()},
        "outputs": [number if math.isfinite(number) else 1e9 for number in raw.outputs],
        "crash": raw.crash,
        "traceback": raw.traceback,
    }


def report(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
