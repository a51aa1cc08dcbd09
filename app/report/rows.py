"""Records -> the JSON that `--json` prints, in the shapes that other programs rely on. Pure.

`list_row`, `show_row` and `chat_row` are one object each; numbers that are no numbers (a diverged run) become null,
because JSON has no nan.
"""

from __future__ import annotations

import math
from typing import Any

from move37.lab.archive.codec import encode
from move37.lab.archive.store import Line
from move37.lab.records import BITS_PER_BYTE, COMBINED_SCORE, Experiment, Metric, Verdict
from move37.lab.verdicts import Summary, summarise


def metric_of(task: str) -> Metric:
    """The primary metric of a task by its name; asks no task, so that reading commands stay light."""
    return COMBINED_SCORE if task.split(":", 1)[0] == "program" else BITS_PER_BYTE


def list_row(experiment: Experiment) -> dict[str, Any]:
    """One object of `move37 list --json`."""
    return {
        "id": experiment.id,
        "role": experiment.role.value,
        "status": experiment.status.value,
        "parents": list(experiment.parents),
        "family": experiment.family,
        "rung": experiment.rung,
        "metrics": {name: _metric(summary) for name, summary in summarise(experiment.measurements).items()},
        "verdict": _verdict(experiment.verdict),
    }


def show_row(experiment: Experiment) -> dict[str, Any]:
    """`move37 show ID --json`: the list's object, the stages, and everything the experiment holds."""
    return list_row(experiment) | {
        "stages": [
            {"stage": s.stage, "rung": s.rung, "seed": s.seed, "finished_at": s.finished_at} for s in experiment.stages
        ],
        "campaign": experiment.campaign,
        "number": experiment.number,
        "name": experiment.name,
        "reason": experiment.reason,
        "created_at": experiment.created_at,
        "hypothesis": encode(experiment.hypothesis),
        "candidate": encode(experiment.candidate),
        "gates": [_finite(encode(g)) for g in experiment.gates],
        "measurements": [_finite(encode(m)) for m in experiment.measurements],
        "effects": encode(experiment.effects),
        "comparisons": encode(experiment.verdict.comparisons) if experiment.verdict else [],
        "confirmation": experiment.verdict.confirmation if experiment.verdict else 0,
        "self_reported": bool(experiment.verdict and experiment.verdict.self_reported),
        "analysis": encode(experiment.analysis),
        "environment": dict(experiment.environment),
    }


def chat_row(line: Line) -> dict[str, Any]:
    """One object of `move37 show ID --chat --json`."""
    return {"source": line.source, "to": line.to, "text": line.text, "at": line.at}


def _metric(summary: Summary) -> dict[str, Any]:
    return {
        "mean": _number(summary.mean),
        "low": _number(summary.low),
        "high": _number(summary.high),
        "n": summary.n,
        "self_reported": summary.self_reported,
        "witness": summary.self_reported,  # its old name, for one version
    }


def _verdict(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    return {
        "baseline": verdict.baseline,
        "effect": _number(verdict.effect),
        "low": _number(verdict.low),
        "high": _number(verdict.high),
        "tried": verdict.tried,
        "text": verdict.text,
    }


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    # The codec writes nan and inf as text, which is right for the archive and wrong for a field of numbers.
    return {k: None if k in ("value", "limit") and isinstance(v, str) else v for k, v in record.items()}


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
