"""Small honest records for tests: every builder gives a valid one, and takes what the test is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from move37.lab.archive.store import Archive, Campaign, ModelCall
from move37.lab.records import (
    DECIDE,
    SCREEN,
    Analysis,
    Brief,
    Candidate,
    Experiment,
    ExperimentStatus,
    GateResult,
    Hypothesis,
    Measurement,
    Role,
    Stage,
    Verdict,
)


def a_brief(**changes: Any) -> Brief:
    fields: dict[str, Any] = {"budget": 2, "text": "Try decays."}
    return Brief(**(fields | changes))


def a_hypothesis(**changes: Any) -> Hypothesis:
    fields: dict[str, Any] = {
        "name": "gated_delta_with_floor",
        "family": "gated_delta",
        "motivation": "2412.06464 reports that gating and the delta rule complement each other.",
        "change": "a learned floor under the decay",
        "predicted_effect": "0.02 bits per byte less",
        "probe": "overwrite_recall",
        "risk": "the floor keeps what should be forgotten",
        "cites": ("2412.06464",),
    }
    return Hypothesis(**(fields | changes))


def a_candidate(**changes: Any) -> Candidate:
    fields: dict[str, Any] = {"source": "class Mixer: ...\n", "author": "designer (search)", "family": "gated_delta"}
    return Candidate(**(fields | changes))


def a_gate(**changes: Any) -> GateResult:
    fields: dict[str, Any] = {"name": "shape", "passed": True, "value": 0.0, "limit": 0.0, "message": "all shapes kept"}
    return GateResult(**(fields | changes))


def a_measurement(**changes: Any) -> Measurement:
    fields: dict[str, Any] = {
        "metric": "bits_per_byte",
        "value": 2.7,
        "rung": 2,
        "seed": 0,
        "steps": 100,
        "learning_rate": 1e-2,
        "train_seconds": 5.0,
        "cpu_seconds": 5.0,
        "tokens_seen": 204_800,
        "calibrated": True,
        "text": DECIDE if changes.get("fresh") else SCREEN,
    }
    return Measurement(**(fields | changes))


def a_verdict(**changes: Any) -> Verdict:
    fields: dict[str, Any] = {
        "baseline": "c1-gated_delta",
        "effect": 0.01,
        "low": None,
        "high": None,
        "tried": 1,
        "text": "screened on one seed",
    }
    return Verdict(**(fields | changes))


def an_analysis(**changes: Any) -> Analysis:
    fields: dict[str, Any] = {
        "expected": "less forgetting",
        "seen": "0.01 bits per byte less",
        "why": "one seed cannot tell",
        "next": "longer decay",
        "symptoms": ("loss falls early and then stalls",),
        "author": "designer (search)",
    }
    return Analysis(**(fields | changes))


def a_call(**changes: Any) -> ModelCall:
    fields: dict[str, Any] = {
        "role": "Researcher",
        "model": "openai:tiny",
        "prompt_version": "v",
        "prompt_tokens": 4_000,
        "completion_tokens": 500,
        "cost": 0.01,
        "seconds": 2.0,
    }
    return ModelCall(**(fields | changes))


def a_home(path: Path) -> tuple[Archive, Campaign]:
    """An archive with one campaign."""
    archive = Archive.open(path)
    return archive, archive.begin_campaign(a_brief())


def a_finished_experiment(archive: Archive, campaign: Campaign, number: int = 1, **measurement: Any) -> Experiment:
    """A candidate that went through every stage of the screen."""
    ident = archive.begin_experiment(campaign.id, number, Role.CANDIDATE).id
    hypothesis = a_hypothesis()
    archive.finish_stage(
        ident, Stage.HYPOTHESIS, {"hypothesis": hypothesis}, name=hypothesis.name, family=hypothesis.family
    )
    archive.finish_stage(ident, Stage.CANDIDATE, {"candidate": a_candidate()})
    archive.finish_stage(ident, Stage.GATES, {"gates": (a_gate(),)})
    archive.finish_stage(
        ident,
        "train-100",
        {"measurements": (a_measurement(**measurement),)},
        rung=2,
        reached=2,
        status=ExperimentStatus.MEASURED,
    )
    archive.finish_stage(ident, "verdict-lm@100", {"verdict": a_verdict()}, rung=2)
    archive.finish_stage(ident, Stage.ANALYSIS, {"analysis": an_analysis()})
    return archive.experiment(ident)


def a_baseline(archive: Archive, campaign: Campaign, name: str = "gated_delta", number: int = 0) -> Experiment:
    """A baseline with one measurement."""
    ident = archive.begin_experiment(campaign.id, number, Role.BASELINE, name=name, family=name).id
    archive.finish_stage(ident, Stage.CANDIDATE, {"candidate": a_candidate(author="baseline", family=name)})
    archive.finish_stage(
        ident,
        "train-100",
        {"measurements": (a_measurement(value=2.72),)},
        rung=2,
        reached=2,
        status=ExperimentStatus.MEASURED,
    )
    return archive.experiment(ident)
