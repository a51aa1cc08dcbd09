"""Every gate on every program, each in the sandbox and under a limit of CPU time of its own. Pure but for the sandbox.

Read `audit`. Where a program could not be tested (it cannot be adapted, does not build here, or exceeds its time),
`tested` is false and `reason` says why; that is no verdict about its architecture.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from move37.lab.audit.adapt import adapted
from move37.lab.audit.programs import Program
from move37.lab.audit.reproducer import reproducers
from move37.lab.errors import MeasurementBroken
from move37.lab.gates.registry import BUDGETS
from move37.lab.judging.checked import Checked
from move37.lab.judging.run import run_gates
from move37.lab.records import Candidate, GateResult
from move37.sandbox.sandbox import Sandbox

SECONDS = 120.0  # of CPU time for one program; a busy machine makes none untestable
FIRST = ("import", "shape")  # where one of these gives no answer, nothing else was tested


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """One program's verdict."""

    name: str
    tested: bool
    reason: str = ""  # why it could not be tested
    layer: str = ""  # the class that was judged
    gates: tuple[GateResult, ...] = ()
    adapted: str = ""  # the file that was judged: `move37 check` on it repeats each failure
    reproducers: Mapping[str, str] = field(default_factory=dict)  # failing gate -> lines that show it below that file

    @property
    def failed(self) -> tuple[str, ...]:
        """Gates that refuse it; empty where it could not be tested."""
        return tuple(g.name for g in self.gates if g.passed is False) if self.tested else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSummary:
    """All of them in numbers."""

    programs: int
    tested: int
    clean: int  # tested, and no gate refuses
    faulty: int  # tested, and a gate refuses what it computes
    over_budget: int  # tested, and refused for its size or cost alone: it may be sound
    by_gate: dict[str, int]  # gate -> programs that it refuses


async def audit(
    programs: Sequence[Program],
    sandbox: Sandbox,
    *,
    workers: int,
    seconds: float = SECONDS,
    on_done: Callable[[Audited], None] | None = None,
) -> tuple[Audited, ...]:
    """Judge all programs, `workers` at a time, in their own order. Raises `SandboxError` where the sandbox is ours to
    repair; whatever a program does, the others are judged."""
    places = asyncio.Semaphore(workers)

    async def one(number: int, program: Program) -> Audited:
        async with places:
            found = await _judged(program, f"audit-{number}", sandbox, seconds)
        if on_done is not None:
            on_done(found)
        return found

    return tuple(await asyncio.gather(*(one(n, p) for n, p in enumerate(programs))))


def summary_of(audited: Sequence[Audited]) -> AuditSummary:
    """How many could be tested, how many nothing refuses, and which gate refuses how many."""
    refused = Counter(name for a in audited for name in a.failed)
    return AuditSummary(
        programs=len(audited),
        tested=sum(a.tested for a in audited),
        clean=sum(a.tested and not a.failed for a in audited),
        faulty=sum(bool(set(a.failed) - BUDGETS) for a in audited),
        over_budget=sum(bool(a.failed) and set(a.failed) <= BUDGETS for a in audited),
        by_gate=dict(refused.most_common()),
    )


async def _judged(program: Program, trust: str, sandbox: Sandbox, seconds: float) -> Audited:
    if program.source is None:
        return Audited(name=program.name, tested=False, reason=program.reason)
    found = await asyncio.to_thread(adapted, program.source, place=program.place, folder=program.folder)
    if found.reason:
        return Audited(name=program.name, tested=False, reason=found.reason)
    candidate = Candidate(source=found.source, author="audited")
    judged = Audited(name=program.name, tested=False, layer=found.layer, adapted=found.source)
    try:
        checked = await run_gates(candidate, trust=trust, sandbox=sandbox, seconds=seconds)
        judged = replace(judged, gates=answered(checked), reason=untestable(checked))
        judged = replace(judged, tested=not judged.reason)
        if judged.failed:
            shown = await reproducers(found.source, judged.gates, trust=trust, sandbox=sandbox)
            judged = replace(judged, reproducers=shown)
        return judged
    except MeasurementBroken as error:
        return replace(judged, reason=str(error))
    finally:
        await sandbox.release(trust)


def answered(checked: Checked) -> tuple[GateResult, ...]:
    """What the gates say; of a program whose time ended, a gate that had no time for a number says nothing. Pure."""
    if not checked.exhausted:
        return checked.results
    return tuple(replace(g, passed=None) if g.passed is False and g.value is None else g for g in checked.results)


def untestable(checked: Checked) -> str:
    """Why nothing was learned about the architecture; empty where something was: a fault, if only one. Pure."""
    if checked.exhausted and not any(g.passed is False for g in answered(checked)):
        last = next((g for g in checked.results if g.passed is False and g.value is None), None)
        return f"its time ended before every gate had answered: {last.message if last else 'nothing failed'}"
    shut = next((g for g in checked.results if g.name in FIRST and g.passed is not True), None)
    if shut is None:
        return ""
    if shut.name == "import":
        return f"it does not build: {shut.message}"
    if shut.passed is None or shut.value is None:
        return f"it does not run here: {shut.message}"  # at our sizes, on what stands for its modules: no fault of it
    return ""
