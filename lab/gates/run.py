"""Run the gates on one candidate: jobs in the sandbox, judgement here.

Read `run_gates`, then `_Jobs`: `measure` (one job measures all gates; a gate that takes the process with it has
failed, and the next job goes on behind it), `alone` (a prefix, where the rest never was) and `time` (CPU seconds, as
the sandbox counted them outside). Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from itertools import count

import structlog

from move37.lab import baselines
from move37.lab.errors import MeasurementBroken
from move37.lab.gates import complexity
from move37.lab.gates.gate import Evidence, Reading, Timing
from move37.lab.gates.judging import FATAL, judge_all, refused
from move37.lab.gates.order import NAMES
from move37.lab.gates.reports import Death, read_reports
from move37.lab.gates.tree import tree_hash
from move37.lab.records import Candidate
from move37.lab.tasks.task import Checked, Fingerprint
from move37.lab.training.contract import FILE_NAME, ContractError, check_source
from move37.lab.training.sizes import D_MODEL, fit_mlp_width
from move37.lab.travel import inside, main_file
from move37.sandbox.job import MIB, Job, Limits, Outcome, Status
from move37.sandbox.sandbox import Sandbox

log = structlog.get_logger()

SECONDS = 20.0  # CPU seconds for one gate; all thirteen take one second in a usual candidate
JOB_SECONDS = 240.0  # wall clock for one job
MEMORY_BYTES = 3072 * MIB
MOST_DEATHS = 3  # processes that a candidate may take with it before the rest is not run
GIVEN_TOKENS, PREFIXES = 80, (17, 70)  # the sequence drawn here; lengths between which its prefix is drawn

_serial = count(1)


async def run_gates(
    candidate: Candidate,
    *,
    trust: str,
    sandbox: Sandbox,
    known: Sequence[Fingerprint] = (),
    baseline_parameters: int = baselines.LARGEST,
) -> Checked:
    """All gates on a mixer. `trust` names it to the sandbox; `known` empty leaves novelty null.

    `baseline_parameters`: of the largest baseline mixer. The softmax baseline, by its very source, may be quadratic.
    Raises `SandboxError`, and `MeasurementBroken` when a job fails before the candidate has begun.
    """
    source, exempt_quadratic = candidate.source, baselines.is_quadratic_baseline(candidate.source)
    try:
        tree = tree_hash(check_source(source))
    except ContractError as error:
        return Checked(results=refused(str(error)))
    bench = _Jobs(source, trust, sandbox)
    readings, deaths = await bench.measure()
    evidence = Evidence(
        baseline_parameters=baseline_parameters,
        exempt_quadratic=exempt_quadratic,
        tree=tree,
        known=tuple(known),
        alone=await bench.alone() if _worth(readings, "truncation") else None,
        timing=await bench.time(readings["complexity"])
        if _worth(readings, "complexity") and not exempt_quadratic
        else None,
    )
    results = judge_all(readings, deaths, evidence)
    shut = [result.name for result in results if result.passed is False]
    log.info("gates_judged", candidate=trust, jobs=bench.jobs, cpu_seconds=round(bench.cpu_seconds, 2), failed=shut)
    outputs = tuple(readings["novelty"].outputs) if "novelty" in readings else ()
    fingerprint = Fingerprint(experiment=trust, tree=tree, outputs=outputs)
    return Checked(results=results, fingerprint=fingerprint, facts=_facts(readings))


def _worth(readings: Mapping[str, Reading], name: str) -> bool:
    """Whether a further job can add to what this gate measured."""
    limit = complexity.LIMIT if name == complexity.NAME else float("inf")
    value = readings[name].value if name in readings else None
    return value is not None and value <= limit


def _facts(readings: Mapping[str, Reading]) -> dict[str, float]:
    value = readings["parameters"].value if "parameters" in readings else None
    if value is None:
        return {}
    try:
        return {"parameters": value, "mlp_width": float(fit_mlp_width(int(value)))}
    except ValueError:
        return {"parameters": value}


class _Jobs:
    """The jobs of one candidate, one after another."""

    def __init__(self, source: str, trust: str, sandbox: Sandbox) -> None:
        self._files = {**inside(), **main_file("move37.lab.gates.entry"), FILE_NAME: source.encode()}
        self._trust = trust
        self._sandbox = sandbox
        # Drawn from the source, so that a second check of it sees the same; it was written before it could know.
        draw = random.Random(hashlib.sha256(source.encode()).digest())
        self._given = [[round(draw.gauss(0, 1), 3) for _ in range(D_MODEL)] for _ in range(GIVEN_TOKENS)]
        self._prefix = draw.randint(*PREFIXES)
        self._start_seconds = 0.0
        self.jobs = 0
        self.cpu_seconds = 0.0

    async def measure(self) -> tuple[dict[str, Reading], dict[str, Death]]:
        """Every gate's reading, and the gates that took their process with them."""
        readings: dict[str, Reading] = {}
        deaths: dict[str, Death] = {}
        left = list(NAMES)
        while left and len(deaths) < MOST_DEATHS and not any(name in deaths for name in FATAL):
            outcome = await self._run("gates", gates=left, given=self._given)
            reports = read_reports(outcome, seconds=SECONDS)
            if not reports.started:
                raise MeasurementBroken(f"the gates' own job failed: {_last_line(outcome)}")
            readings |= {name: reading for name, reading in reports.readings.items() if name in left}
            if reports.death is None or reports.death.gate not in left:
                break
            deaths[reports.death.gate] = reports.death
            left = left[left.index(reports.death.gate) + 1 :]
        return readings, deaths

    async def alone(self) -> Reading | None:
        """Outputs for a prefix of the drawn sequence, from a process that never held the rest."""
        outcome = await self._run("alone", given=self._given[: self._prefix])
        self._start_seconds = outcome.cpu_seconds
        return read_reports(outcome, seconds=SECONDS).readings.get("alone")

    async def time(self, reading: Reading) -> Timing | None:
        """The better of two tries; None when a timed job failed, for reasons that have nothing to do with time."""
        time, calls = complexity.timed_lengths(reading)
        best: Timing | None = None
        for _ in range(2):
            long = await self._run("time", time=time, calls=calls)
            short = await self._run("time", time=time // complexity.SPAN, calls=calls * complexity.SPAN)
            if short.status is not Status.DONE or long.status is Status.FAILED:
                return None
            timing = Timing(long=long.cpu_seconds, short=short.cpu_seconds, start=self._start_seconds)
            best = timing if best is None or timing.ratio < best.ratio else best
            if not complexity.too_slow(timing):
                break
        return best

    async def _run(self, mode: str, **order: object) -> Outcome:
        order = {"mode": mode, "seconds": SECONDS, "given": []} | order
        job = Job(
            id=f"{self._trust}-gates-{next(_serial)}",
            trust=self._trust,
            argv=("python", "main.py"),
            files=self._files | {"order.json": json.dumps(order).encode()},
            limits=Limits(wall_seconds=JOB_SECONDS, memory_bytes=MEMORY_BYTES, threads=1),
        )
        outcome = await self._sandbox.run(job)
        self.jobs += 1
        self.cpu_seconds += outcome.cpu_seconds
        return outcome


def _last_line(outcome: Outcome) -> str:
    lines = outcome.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else outcome.message or outcome.status.value
