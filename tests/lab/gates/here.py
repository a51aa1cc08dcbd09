"""The gates without a sandbox, for candidates that we wrote ourselves: the same measurements and judgements, faster."""

from __future__ import annotations

from collections.abc import Sequence

from move37.lab import baselines
from move37.lab.gates.bench import Bench
from move37.lab.gates.entry import take
from move37.lab.gates.gate import Evidence, Reading
from move37.lab.gates.judging import judge_all, refused
from move37.lab.gates.order import GATES
from move37.lab.gates.tree import tree_hash
from move37.lab.records import GateResult
from move37.lab.tasks.task import Checked, Fingerprint
from move37.lab.training.contract import ContractError, check_source


def gates_here(source: str, *, known: Sequence[Fingerprint] = ()) -> Checked:
    """Everything that `run_gates` does in its first job."""
    try:
        tree = tree_hash(check_source(source))
    except ContractError as error:
        return Checked(results=refused(str(error)))
    bench = Bench(source)
    readings: dict[str, Reading] = {}
    for gate in GATES:
        readings[gate.name] = take(lambda gate=gate: gate.measure(bench))  # type: ignore[misc]
    evidence = Evidence(baseline_parameters=baselines.LARGEST, tree=tree, known=tuple(known))
    outputs = tuple(readings["novelty"].outputs)
    return Checked(
        results=judge_all(readings, {}, evidence), fingerprint=Fingerprint(experiment="x", tree=tree, outputs=outputs)
    )


def failing(checked: Checked) -> list[str]:
    """The gates that are shut."""
    return [result.name for result in checked.results if result.passed is False]


def result(checked: Checked, name: str) -> GateResult:
    """One gate's result."""
    return next(r for r in checked.results if r.name == name)
