"""What a stage opens with: records -> `Dossier`. Pure; the words around it are prompts, the fence is dossier.block."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from move37.agents.dossier import Dossier, GateFacts, OperatorRecord, ParentFacts, RecollectionFacts
from move37.lab.archive.codec import encode
from move37.lab.parents import effect_of
from move37.lab.records import Candidate, Experiment, GateResult, Hypothesis, Measurement, Metric, Role
from move37.memory import render
from move37.memory.records import Recollection

SOURCE_LIMIT = 60_000  # characters of a parent's source that go into a prompt: a program is cut by nobody
TRACE_LIMIT = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What an experiment starts from: parents, what memory returned, and the record so far."""

    parents: tuple[tuple[Experiment, float | None], ...] = ()  # with the effect against the best baseline
    recollections: tuple[Recollection, ...] = ()
    operators: Mapping[str, OperatorRecord] | None = None
    tried_plans: tuple[str, ...] = ()
    person: tuple[str, ...] = ()  # proposals that the person handed over


def for_hypothesis(
    *, task: str, metric: Metric, contract: str, seed: int, number: int, direction: str, past: Past
) -> Dossier:
    """What Researcher and Critic read."""
    return Dossier(
        task=task.split(":", 1)[0],
        seed=seed,
        number=number,
        direction=direction,
        contract=contract,
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        parents=[_parent(experiment, effect, metric) for experiment, effect in past.parents],
        recollections=[_recollection(r) for r in past.recollections],
        operators=dict(past.operators or {}),
        tried_plans=list(past.tried_plans),
        person=list(past.person),
    )


def for_candidate(hypothesis: Hypothesis, *, number: int) -> Dossier:
    """What the Engineer reads besides the negotiation."""
    return Dossier(number=number, hypothesis=asdict(hypothesis))


def for_debugging(candidate: Candidate, gates: Sequence[GateResult], *, number: int) -> Dossier:
    """What the Debugger reads: the file and the gates' own words."""
    refused = [g for g in gates if g.passed is False]
    return Dossier(number=number, source=candidate.source, attempt=candidate.attempt, gates=[_gate(g) for g in refused])


def for_analysis(experiment: Experiment, *, baselines: Sequence[Experiment], effect: float | None) -> Dossier:
    """What the Analyst reads: the expectation, the numbers, and the baselines' numbers at the same rungs."""
    rungs = {(m.metric, m.steps) for m in experiment.measurements}
    dossier = Dossier(
        number=experiment.number,
        measurements=[_measurement(m) for m in experiment.measurements],
        baseline_measurements={
            b.name: [_measurement(m) for m in b.measurements if (m.metric, m.steps) in rungs] for b in baselines
        },
        failure=experiment.reason,
        effect=effect,
        gates=[_gate(g) for g in experiment.gates if g.passed is not True],
    )
    if experiment.hypothesis is not None:
        dossier["hypothesis"] = asdict(experiment.hypothesis)
    return dossier


def operator_records(
    experiments: Sequence[Experiment], metric: Metric, operators_of: Callable[[str], Sequence[str]]
) -> Mapping[str, OperatorRecord]:
    """How each operator of the grammar has fared: `operators_of(source)` names those that a source uses."""
    baselines = [e for e in experiments if e.role is Role.BASELINE]
    effects: dict[str, list[float]] = defaultdict(list)
    for e in experiments:
        if e.role is not Role.CANDIDATE or e.candidate is None:
            continue
        effect = effect_of(e, baselines, metric)
        if effect is not None:
            for operator in operators_of(e.candidate.source):
                effects[operator].append(effect)
    return {name: OperatorRecord(tried=len(v), mean_effect=sum(v) / len(v)) for name, v in effects.items()}


def question(direction: str, parents: Sequence[tuple[Experiment, float | None]], lines: Sequence[str]) -> str:
    """What memory is asked before a hypothesis: what the parents' analyses saw, then what the person wants."""
    parts = [direction.strip(), *lines]
    for experiment, _ in parents:
        if experiment.analysis is not None:
            parts += [experiment.analysis.seen, experiment.analysis.next, *experiment.analysis.symptoms]
        else:
            parts.append(f"{experiment.family} {experiment.name} mixer")
    return "\n".join(p for p in parts if p) or "sequence mixer"


def _parent(experiment: Experiment, effect: float | None, metric: Metric) -> ParentFacts:
    values = [m for m in experiment.measurements if m.metric == metric.name]
    return ParentFacts(
        id=experiment.id,
        role=experiment.role.value,
        family=experiment.family,
        name=experiment.name,
        source=(experiment.candidate.source if experiment.candidate else "")[:SOURCE_LIMIT],
        value=max(values, key=lambda m: m.steps).value if values else None,
        effect=effect,
    )


def _recollection(known: Recollection) -> RecollectionFacts:
    effect = known.evidence.effects.fairest if known.evidence is not None else None
    return RecollectionFacts(
        key=known.key,
        kind=known.kind,
        title=known.title,
        text=render.recollection(known),
        operators=list(known.operators),
        next=known.next,
        status=known.evidence.status if known.evidence is not None else "",
        effect=effect.gain if effect is not None else None,
    )


def _gate(gate: GateResult) -> GateFacts:
    return GateFacts(
        name=gate.name,
        passed=gate.passed,
        value=gate.value,
        limit=gate.limit,
        message=gate.message,
        traceback=gate.traceback[-TRACE_LIMIT:],
    )


def _measurement(measurement: Measurement) -> dict[str, Any]:
    keep = ("metric", "value", "rung", "seed", "steps", "learning_rate", "fresh", "diverged", "train_seconds")
    encoded = encode(measurement)
    return {key: encoded[key] for key in keep}
