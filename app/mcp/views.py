"""Records -> compact JSON for a coding agent. Pure. Texts are cut, numbers are rounded, nothing is said twice."""

from __future__ import annotations

from typing import Any

from move37.agents import ledger
from move37.agents.research_context import IdeaFacts, LeaderboardRow
from move37.lab.records import (
    SCREEN,
    Effect,
    Effects,
    Experiment,
    GateResult,
    Principle,
    Verdict,
)
from move37.memory.records import Entry, Recollection

LONGEST = 1_500  # characters of a text
ADVICE = (
    "refused by {}: it is not trained and takes no second file. Analyse it; to mend it, propose again from what it was "
    "made from, and check(source) before you submit"
)


def cut(text: str, length: int = LONGEST) -> str:
    """At most so many characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def rounded(value: float | None) -> float | None:
    """Five significant digits."""
    return None if value is None else float(f"{value:.5g}")


def row(experiment: Experiment, metric: str, *, needs: str = "") -> dict[str, Any]:
    """An experiment on a line."""
    found: dict[str, Any] = {"id": experiment.id, "name": experiment.name, "state": experiment.status.value}
    if needs:
        found["needs"] = needs
    if experiment.reason:
        found["reason"] = cut(experiment.reason, 200)
    if numbers := [m for m in screened(experiment) if m["metric"] == metric]:
        found |= {"value": numbers[-1]["value"], "steps": numbers[-1]["steps"]}
    return found


def whole(experiment: Experiment, effects: Effects, *, source: bool = True) -> dict[str, Any]:
    """Everything about one experiment that its author may know."""
    found: dict[str, Any] = {
        "id": experiment.id,
        "name": experiment.name,
        "role": experiment.role.value,
        "state": experiment.status.value,
        "parents": list(experiment.parents),
        "reason": cut(experiment.reason),
        "gates": [gate(g) for g in experiment.gates if g.passed is not True],
        "measurements": screened(experiment),
        "effects": effects_record(effects),
    }
    if refused := [g.name for g in experiment.gates if g.passed is False]:
        found["advice"] = ADVICE.format(" and ".join(refused))
    if (h := experiment.hypothesis) is not None:
        found["hypothesis"] = {"base": h.base, "change": cut(h.change), "predicted_effect": cut(h.predicted_effect)}
    if experiment.verdict is not None:
        found["verdict"] = verdict(experiment.verdict)
    if (a := experiment.analysis) is not None:
        found["analysis"] = {n: cut(getattr(a, n)) for n in ("expected", "seen", "why", "next")}
    if source and experiment.candidate is not None:
        found["source"] = experiment.candidate.source
    return found


def screened(experiment: Experiment) -> list[dict[str, Any]]:
    """What was measured on the screening text; deciding text and fresh seeds are told by the verdict alone."""
    return [
        {"metric": m.metric, "value": rounded(m.value), "steps": m.steps, "diverged": m.diverged}
        for m in ledger.screening(experiment)
    ]


def gate(result: GateResult) -> dict[str, Any]:
    """One gate's answer."""
    found: dict[str, Any] = {"name": result.name, "passed": result.passed}
    if result.passed is not True:
        numbers = {"value": rounded(result.value), "limit": rounded(result.limit)}
        found |= {name: value for name, value in numbers.items() if value is not None}
        found["message"] = cut(result.message, 600)
        if result.traceback:
            found["traceback"] = result.traceback[-LONGEST:]
    return found


def verdict(found: Verdict) -> dict[str, Any]:
    """What may be said."""
    return {
        "baseline": found.baseline,
        "effect": rounded(found.effect),
        "low": rounded(found.low),
        "high": rounded(found.high),
        "text": cut(found.text),
    }


def effects_record(effects: Effects) -> dict[str, Any]:
    """Gains against parent, family and best baseline; positive is better."""
    named = {"parent": effects.parent, "family": effects.family, "best_baseline": effects.best}
    return {name: _effect(effect) for name, effect in named.items() if effect is not None and effect.text == SCREEN}


def _effect(effect: Effect) -> dict[str, Any]:
    return {"gain": rounded(effect.value), "error": rounded(effect.standard_error), "steps": effect.steps}


def leaderboard_row(found: LeaderboardRow) -> dict[str, Any]:
    """One place."""
    return {
        "experiment": found.experiment,
        "name": found.name,
        "value": rounded(found.value),
        "baseline": found.is_baseline,
        "parameters": found.parameters,
        "probes": {name: rounded(value) for name, value in found.probes.items()},
    }


def idea(found: IdeaFacts) -> dict[str, Any]:
    """An idea that nobody has tried."""
    h = found.hypothesis
    return {
        "id": found.id,
        "name": h.name,
        "base": h.base,
        "change": cut(h.change, 300),
        "reason": cut(found.reason, 200),
    }


def principle(found: Principle) -> dict[str, Any]:
    """One principle."""
    return {
        "id": found.id,
        "text": found.text,
        "supports": list(found.supports),
        "contradicts": list(found.contradicts),
    }


def insight(found: Entry) -> dict[str, Any]:
    """One insight of a paper, its empty fields left out."""
    fields = ("name", "insight", "remedy", "equations", "complexity", "mechanism", "source")
    return {name: cut(str(value)) for name in fields if (value := getattr(found, name))}


def recollection(found: Recollection) -> dict[str, Any]:
    """One item of memory, its empty fields left out."""
    fields = ("key", "kind", "title", "claim", "why", "remedy", "next", "lesson", "equations", "source")
    return {name: cut(str(value)) for name in fields if (value := getattr(found, name))}
