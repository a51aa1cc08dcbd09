"""The gates without a sandbox, for candidates that we wrote ourselves: the same measurements and judgements, faster."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from move37.lab import baselines
from move37.lab.gates.gate import GateEvidence, RawMeasurement
from move37.lab.gates.job import measured
from move37.lab.gates.registry import GATES
from move37.lab.inside.bench import Bench
from move37.lab.inside.spawner import Spawner
from move37.lab.judging.ast_hash import ast_hash
from move37.lab.judging.checked import Checked, Fingerprint
from move37.lab.judging.judging import judge_all, refused
from move37.lab.judging.reports import Death
from move37.lab.records import GateResult
from move37.lab.training.contract import ContractError, check_source


@cache
def spawner() -> Spawner:
    """One for the whole session of tests; it ends with it."""
    return Spawner([])


def gates_here(source: str, *, known: Sequence[Fingerprint] = ()) -> Checked:
    """Everything that `run_gates` does in its first job."""
    try:
        tree = ast_hash(check_source(source))
    except ContractError as error:
        return Checked(results=refused(str(error)))
    bench = Bench(spawner(), source, seconds=20.0, draw=0)
    raws: dict[str, RawMeasurement] = {}
    deaths: dict[str, Death] = {}
    for gate in GATES:
        line, died = measured(bench, lambda gate=gate: gate.measure(bench))  # type: ignore[misc]
        if died:
            deaths[gate.name] = Death(gate=gate.name, sentence=line["died"], traceback=line["traceback"])
        else:
            raws[gate.name] = RawMeasurement.from_json(line["raw"])
    bench.close()
    evidence = GateEvidence(baseline_parameters=baselines.LARGEST, tree=tree, known=tuple(known))
    outputs = tuple(raws["novelty"].outputs)
    return Checked(
        results=judge_all(raws, deaths, evidence), fingerprint=Fingerprint(experiment="x", tree=tree, outputs=outputs)
    )


def failing(checked: Checked) -> list[str]:
    """The gates that are shut."""
    return [result.name for result in checked.results if result.passed is False]


def result(checked: Checked, name: str) -> GateResult:
    """One gate's result."""
    return next(r for r in checked.results if r.name == name)
