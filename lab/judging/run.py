"""Run the gates on one candidate: a job in the sandbox, judgement here.

Read `run_gates`, then `_Jobs`: one job measures all gates, with the candidate in processes apart from the one that
compares (`lab/gates/job.py`). Where the whole job dies (time, memory), the gate that was running has failed, and a
further job measures those after it. Nothing here imports torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import count

import structlog

from move37.lab import baselines
from move37.lab.errors import MeasurementBroken
from move37.lab.gates.gate import GateEvidence, RawMeasurement
from move37.lab.gates.registry import NAMES
from move37.lab.job_bundle import inside, main_file
from move37.lab.judging.ast_hash import ast_hash
from move37.lab.judging.checked import Checked, Fingerprint
from move37.lab.judging.judging import FATAL, judge_all, refused
from move37.lab.judging.reports import Death, read_reports
from move37.lab.records import Candidate
from move37.lab.scale import CPU, Scale
from move37.lab.training.contract import FILE_NAME, ContractError, check_source
from move37.lab.training.sizes import fit_mlp_width
from move37.sandbox.job import MIB, Job, Limits, Outcome
from move37.sandbox.sandbox import Sandbox

log = structlog.get_logger()

SECONDS = 20.0  # CPU seconds for one request to a candidate's process; all gates take a few in a usual one
ALL_SECONDS = 240.0  # CPU seconds of a candidate's gates
IDLE = 4.0  # seconds of wall clock allowed for one of them, as for a request (lab/inside/spawner.py)
BEGIN = 30.0  # seconds of wall clock in which a job begins on a busy machine
MEMORY_BYTES = 3072 * MIB
MOST_LAYERS = 4  # that are built each time, as a training builds them; more would cost seconds at a large scale
MOST_DEATHS = 3  # deaths of processes after which no further gate is run

_serial = count(1)


async def run_gates(
    candidate: Candidate,
    *,
    trust: str,
    sandbox: Sandbox,
    known: Sequence[Fingerprint] = (),
    scale: Scale = CPU,
    seconds: float = ALL_SECONDS,
) -> Checked:
    """All gates on a mixer. `trust` is the sandbox's key of isolation; with `known` empty, novelty is null.

    They are asked at the width and heads of `scale`, as the training is to use it. The softmax baseline, by its very
    source, may be quadratic. `seconds` are of CPU time, so that a busy machine fails no candidate; `IDLE` times that of
    wall clock ends what sleeps.
    Raises `SandboxError`, and `MeasurementBroken` when a job fails before the candidate has begun.
    """
    source, exempt_quadratic = candidate.source, baselines.is_quadratic_baseline(candidate.source)
    try:
        tree = ast_hash(check_source(source))
    except ContractError as error:
        return Checked(results=refused(str(error)))
    jobs = _Jobs(source, trust, sandbox, scale, seconds)
    raws, deaths, missing = await jobs.measure()
    evidence = GateEvidence(
        baseline_parameters=baselines.largest(scale.width, scale.heads),
        exempt_quadratic=exempt_quadratic,
        tree=tree,
        known=tuple(known),
    )
    results = judge_all(raws, deaths, evidence)
    shut = [result.name for result in results if result.passed is False]
    log.info("gates_judged", candidate=trust, jobs=jobs.jobs, cpu_seconds=round(jobs.cpu_seconds, 2), failed=shut)
    outputs = tuple(raws["novelty"].outputs) if "novelty" in raws else ()
    fingerprint = Fingerprint(experiment=trust, tree=tree, outputs=outputs)
    return Checked(
        results=results, fingerprint=fingerprint, exhausted=jobs.exhausted,
        facts=_facts(raws, scale) | {"locks_missing": float(len(missing))},
    )  # fmt: skip


def _facts(raws: Mapping[str, RawMeasurement], scale: Scale) -> dict[str, float]:
    value = raws["parameters"].value if "parameters" in raws else None
    if value is None:
        return {}
    try:
        width = fit_mlp_width(int(value), scale.parameters, d_model=scale.width, n_layers=scale.layers)
        return {"parameters": value, "mlp_width": float(width)}
    except ValueError:
        return {"parameters": value}


class _Jobs:
    """The jobs of one candidate, one after another."""

    def __init__(self, source: str, trust: str, sandbox: Sandbox, scale: Scale, seconds: float) -> None:
        self._scale, self._seconds = scale, seconds
        self._files = {**inside(), **main_file("move37.lab.gates.job"), FILE_NAME: source.encode()}
        self._trust = trust
        self._sandbox = sandbox
        self.jobs = 0
        self.cpu_seconds = 0.0
        self.exhausted = False

    async def measure(self) -> tuple[dict[str, RawMeasurement], dict[str, Death], set[str]]:
        """Every gate's measurement, the gates in which a process died, and the locks that were missing."""
        raws: dict[str, RawMeasurement] = {}
        deaths: dict[str, Death] = {}
        missing: set[str] = set()
        left = list(NAMES)
        while left and len(deaths) < MOST_DEATHS and not any(name in deaths for name in FATAL):
            outcome = await self._run(left)
            reports = read_reports(outcome)
            if not reports.started:
                raise MeasurementBroken(f"the gates' own job failed: {_last_line(outcome)}")
            raws |= {name: raw for name, raw in reports.raws.items() if name in left}
            found = {name: death for name, death in reports.deaths.items() if name in left}
            deaths |= found
            missing |= set(reports.missing)
            self.exhausted = reports.exhausted or self.cpu_seconds >= self._seconds
            if reports.whole or not found or self.exhausted:
                break
            left = left[max(left.index(name) for name in found) + 1 :]
        return raws, deaths, missing

    async def _run(self, gates: Sequence[str]) -> Outcome:
        sizes = self._scale
        order = {
            "gates": list(gates), "seconds": SECONDS, "width": sizes.width, "heads": sizes.heads,
            "layers": min(sizes.layers, MOST_LAYERS), "parameters": sizes.parameters,
            "budget": self._seconds - self.cpu_seconds,
        }  # fmt: skip
        job = Job(
            id=f"{self._trust}-gates-{next(_serial)}",
            trust=self._trust,
            argv=("python", "main.py"),
            files=self._files | {"order.json": json.dumps(order).encode()},
            limits=Limits(wall_seconds=BEGIN + IDLE * self._seconds, memory_bytes=MEMORY_BYTES, threads=1),
        )
        outcome = await self._sandbox.run(job)
        self.jobs += 1
        self.cpu_seconds += outcome.cpu_seconds
        return outcome


def _last_line(outcome: Outcome) -> str:
    lines = outcome.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else outcome.message or outcome.status.value
