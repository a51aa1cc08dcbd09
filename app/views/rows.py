"""Views -> the JSON and CSV that other programs rely on. Pure.

`list_row`, `show_row` and `chat_row` are one object each; numbers that are no numbers (a diverged run) become null,
because JSON has no nan.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from move37.app.views.curves import CurveLine as CurveLine
from move37.app.views.leaderboard import LeaderboardView
from move37.lab.archive.codec import encode
from move37.lab.archive.message import Message
from move37.lab.evidence_ladder import ladder_of
from move37.lab.records import Experiment, Metric, Role, Verdict
from move37.lab.summary import Summary, summarise
from move37.lab.tasks.registry import asks_questions


def list_row(experiment: Experiment, metric: Metric) -> dict[str, Any]:
    """One object of `move37 list --json`; steps, text and fresh say what the number of `metric` compares with."""
    metrics = metrics_of(experiment)
    terms = metrics.get(metric.name, {})
    return {
        "id": experiment.id,
        "name": experiment.name,
        "campaign": experiment.campaign,
        "role": experiment.role.value,
        "status": experiment.status.value,
        "reason": experiment.reason,
        "parents": list(experiment.parents),
        "family": experiment.family,
        "rung": experiment.rung,
        "steps": terms.get("steps"),
        "text": terms.get("text"),
        "fresh": terms.get("fresh"),
        "metrics": metrics,
        "verdict": _verdict(experiment.verdict),
    }


def metrics_of(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """Each metric's best evidence, with what it must share with another value before the two compare."""
    found = {}
    for name, summary in summarise(experiment.measurements).items():
        runs = [m for m in experiment.measurements if m.metric == name and m.steps == summary.steps]
        texts = {m.text for m in runs if m.fresh is summary.fresh}
        found[name] = _metric(summary) | {"text": ", ".join(sorted(texts))}
    return found


def show_row(experiment: Experiment, metric: Metric) -> dict[str, Any]:
    """`move37 show ID --json`: the list's object, the stages, and everything the experiment holds."""
    return list_row(experiment, metric) | {
        "stages": [
            {"stage": s.stage, "rung": s.rung, "seed": s.seed, "finished_at": s.finished_at} for s in experiment.stages
        ],
        "number": experiment.number,
        "created_at": experiment.created_at,
        "hypothesis": encode(experiment.hypothesis),
        "candidate": encode(experiment.candidate),
        "gates": [_finite(encode(g)) for g in experiment.gates],
        "measurements": [_finite(encode(m)) for m in experiment.measurements],
        "effects": encode(experiment.effects),
        "comparisons": encode(experiment.verdict.comparisons) if experiment.verdict else [],
        "claim": encode(experiment.claim),
        "evidence": [encode(step) for step in ladder_of(experiment, metric)]
        if experiment.role is not Role.BASELINE and asks_questions(metric)
        else [],
        "confirmation": experiment.verdict.confirmation if experiment.verdict else 0,
        "self_reported": bool(experiment.verdict and experiment.verdict.self_reported),
        "analysis": encode(experiment.analysis),
        "environment": dict(experiment.environment),
    }


def chat_row(line: Message) -> dict[str, Any]:
    """One object of `move37 show ID --chat --json`."""
    return {"source": line.source, "to": line.to, "text": line.text, "at": line.at}


def board_rows(board: LeaderboardView) -> list[dict[str, Any]]:
    """The leaderboard, one flat row a place, for CSV and JSON."""
    return [
        {
            "group": group.heading,
            "steps": group.terms.steps,
            "text": group.terms.text,
            "fresh": group.terms.fresh,
            "width": group.terms.width,
            "rank": rank,
            "id": place.experiment.id,
            "name": place.experiment.name,
            "role": place.experiment.role.value,
            "status": place.experiment.status.value,
            "family": place.experiment.family,
            "metric": board.metric.name,
            "mean": _number(place.summary.mean),
            "low": _number(place.summary.low),
            "high": _number(place.summary.high),
            "n": place.summary.n,
            "self_reported": place.summary.self_reported,
            "own_backward": place.summary.own_backward,
            "rival": group.rival,
            "difference": _number(place.difference.value) if place.difference else None,
            "difference_seeds": place.difference.seeds if place.difference else None,
            "verdict": place.verdict.text if place.verdict else None,
        }
        for group in board.groups
        for rank, place in enumerate(group.places, start=1)
    ]


def measurement_rows(experiments: Iterable[Experiment]) -> list[dict[str, Any]]:
    """Every single run of `experiments`."""
    return [{"id": e.id, "name": e.name} | _finite(encode(m)) for e in experiments for m in e.measurements]


def gate_rows(experiments: Iterable[Experiment]) -> list[dict[str, Any]]:
    """Every gate of `experiments`, as it was judged last."""
    return [{"id": e.id, "experiment": e.name} | _finite(encode(g)) for e in experiments for g in e.gates]


def comparison_rows(experiments: Iterable[Experiment]) -> list[dict[str, Any]]:
    """Every comparison that verdicts and claims rest on."""
    rows = []
    for e in experiments:
        found = [("verdict", c) for c in (e.verdict.comparisons if e.verdict else ())]
        found += [("claim", c) for c in (e.claim.comparisons if e.claim else ())]
        rows += [{"id": e.id, "experiment": e.name, "of": of, "holds": c.holds} | encode(c) for of, c in found]
    return rows


def curve_rows(found: Iterable[CurveLine]) -> list[dict[str, Any]]:
    """Every stored point of the training curves."""
    return [
        {
            "id": c.experiment,
            "seed": c.seed,
            "learning_rate": c.learning_rate,
            "fresh": c.fresh,
            "step": step,
            "loss": _number(loss),
        }
        for c in found
        for step, loss in zip(c.steps, c.losses, strict=True)
    ]


def _metric(summary: Summary) -> dict[str, Any]:
    return {
        "mean": _number(summary.mean),
        "low": _number(summary.low),
        "high": _number(summary.high),
        "n": summary.n,
        "steps": summary.steps,
        "fresh": summary.fresh,
        "self_reported": summary.self_reported,
        "own_backward": summary.own_backward,
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


def _finite(record: Mapping[str, Any]) -> dict[str, Any]:
    # The codec writes nan and inf as text, which is right for the archive and wrong for a field of numbers.
    return {k: None if k in ("value", "limit") and isinstance(v, str) else v for k, v in record.items()}


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
