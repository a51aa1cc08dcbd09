"""Beside the candidate: run the measuring halves of the gates and report each as it ends. Travels into the sandbox.

`order.json` says what to do; every report is one JSON line on what was standard output when the job began (the
candidate's own prints go nowhere). A watchdog ends the job, with a traceback, when a gate takes too many CPU seconds
(or far too much time, should it sleep): the lab then knows which gate it was and continues with the next one.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from move37.lab.gates import complexity, truncation
from move37.lab.gates.bench import Bench
from move37.lab.gates.gate import Reading
from move37.lab.gates.order import GATES
from move37.lab.inside.tracebacks import frames_of, one_line

IDLE = 4.0  # seconds of time for one CPU second: a busy machine must fail nobody

Report = Callable[[dict[str, Any]], None]


def main() -> None:
    """Do what order.json says."""
    torch.set_num_threads(1)
    report = _reporter()
    order: dict[str, Any] = json.loads(Path("order.json").read_text())
    bench = Bench(Path("candidate.py").read_text(), order["given"])
    if order["mode"] == "gates":
        for gate in GATES:
            if gate.name in order["gates"]:
                _watched(report, gate.name, order["seconds"], lambda gate=gate: gate.measure(bench))  # type: ignore[misc]
    elif order["mode"] == "alone":
        _watched(report, "alone", order["seconds"], lambda: Reading(value=0.0, outputs=truncation.answer(bench)))
    else:
        complexity.work(bench, time=order["time"], calls=order["calls"])
    os._exit(0)  # a thread that the candidate left behind must not hold the job


def take(measure: Callable[[], Reading]) -> Reading:
    """The reading, or the candidate's exception as one. What it prints on the way is nobody's business."""
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            return measure()
    except (Exception, SystemExit) as error:
        return Reading(crash=one_line(error), traceback=frames_of(error))


def _watched(report: Report, name: str, seconds: float, measure: Callable[[], Reading]) -> None:
    report({"gate": name, "starts": True})
    faulthandler.register(signal.SIGPROF, file=2, all_threads=False, chain=True)  # dumps, and then ends the process
    signal.setitimer(signal.ITIMER_PROF, seconds)
    faulthandler.dump_traceback_later(IDLE * seconds, exit=True, file=2)
    try:
        reading = take(measure)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
    report({"gate": name, "reading": _plain(reading)})


def _plain(reading: Reading) -> dict[str, Any]:
    """JSON has no infinity: the largest stand-in is as good for a judge."""
    value = reading.value
    if value is not None and not math.isfinite(value):
        value = 1e9
    return {
        "value": value,
        "detail": reading.detail,
        "numbers": {name: number if math.isfinite(number) else 1e9 for name, number in reading.numbers.items()},
        "outputs": [number if math.isfinite(number) else 1e9 for number in reading.outputs],
        "crash": reading.crash,
        "traceback": reading.traceback,
    }


def _reporter() -> Report:
    """Keep standard output for reports; what anybody else prints goes nowhere, and so cannot crowd them out."""
    channel = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115

    def report(line: dict[str, Any]) -> None:
        data = (json.dumps(line) + "\n").encode()
        while data:
            data = data[os.write(channel, data) :]

    return report
