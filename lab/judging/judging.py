"""From measurements to gate results: one fault, one failed gate. Pure.

One fault often shows at several gates: a file that does not import fails all, and so does a forward pass that raises.
The first gate fails, with message and traceback; the others have the answer "could not run".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from move37.lab.gates.gate import Gate, GateEvidence, RawMeasurement, failed, unjudged
from move37.lab.gates.registry import GATES
from move37.lab.judging.reports import Death
from move37.lab.records import GateResult

FATAL = ("import", "shape")  # nothing else is worth running when the process dies in these
RUNS_AT_ALL = ("import", "shape", "finite")  # gates that report exceptions; at others they only repeat
COMPARES = ("causality", "truncation", "batch", "purity", "determinism")
INFINITE = 1e9  # as reports write it


def judge_all(
    raws: Mapping[str, RawMeasurement], deaths: Mapping[str, Death], evidence: GateEvidence
) -> tuple[GateResult, ...]:
    """Every gate's result, in the order of `GATES`."""
    results: dict[str, GateResult] = {}
    crashes: set[str] = set()
    for gate in sorted(GATES, key=lambda gate: bool(gate.after)):
        results[gate.name] = _judge(gate, raws, deaths, crashes, replace(evidence, results=results))
    for name, raw in raws.items():
        if name in results and results[name].passed is None and raw.see in results:
            results[name] = _explained(results[name], raw, results[raw.see])
    return tuple(results[gate.name] for gate in GATES)


def _explained(result: GateResult, raw: RawMeasurement, other: GateResult) -> GateResult:
    """A gate without a value, which names another gate as the reason, fails if that one passed: none is skipped."""
    if not other.passed:
        return result
    message = f"{raw.detail.partition(';')[0]} at this gate and not at {other.name}: give one function everywhere"
    return failed(result.name, None, result.limit, message)


def _judge(
    gate: Gate,
    raws: Mapping[str, RawMeasurement],
    deaths: Mapping[str, Death],
    crashes: set[str],
    evidence: GateEvidence,
) -> GateResult:
    if gate.name in deaths:
        if gate.name not in RUNS_AT_ALL and (first := next((n for n in RUNS_AT_ALL if n in deaths), None)):
            return unjudged(gate.name, f"could not run; see {first}")
        death = deaths[gate.name]
        return failed(gate.name, None, None, f"{death.sentence} during this gate", death.traceback)
    raw = raws.get(gate.name)
    if raw is None:
        return unjudged(gate.name, _why_not_run(deaths, evidence))
    if raw.crash:
        if first := next((name for name in RUNS_AT_ALL if name in crashes and name != gate.name), None):
            return unjudged(gate.name, f"could not run; see {first}")
        crashes.add(gate.name)
        if gate.name not in RUNS_AT_ALL:
            return failed(gate.name, None, None, raw.crash, raw.traceback)
    if gate.name in COMPARES and (raw.value or 0.0) >= INFINITE and evidence.failed("finite"):
        return unjudged(gate.name, "not judged while numbers are not finite; see finite")
    return gate.judge(raw, evidence)


def _why_not_run(deaths: Mapping[str, Death], evidence: GateEvidence) -> str:
    for name in FATAL:
        if evidence.failed(name) or name in deaths:
            return f"not run; see {name}"
    return f"not run; see {', '.join(deaths)}" if deaths else "not run"


def refused(message: str) -> tuple[GateResult, ...]:
    """The results for a file that is refused before anything runs."""
    first = failed("import", 1.0, 0.0, message)
    return (first, *(unjudged(gate.name, "not run; see import") for gate in GATES[1:]))
