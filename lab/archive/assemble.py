"""Rows -> `Experiment`: a stage's payload has some fields ("hypothesis", "candidate", "gates", ...); later ones win."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from move37.lab.archive.codec import decode
from move37.lab.records import (
    Analysis,
    Candidate,
    Claim,
    Effects,
    Experiment,
    ExperimentStatus,
    GateResult,
    Hypothesis,
    Measurement,
    Role,
    StageRecord,
    Verdict,
)

_SINGLE: dict[str, type] = {
    "hypothesis": Hypothesis,
    "candidate": Candidate,
    "verdict": Verdict,
    "effects": Effects,
    "claim": Claim,
    "analysis": Analysis,
}


def experiment_from(row: sqlite3.Row, stages: Sequence[StageRecord]) -> Experiment:
    """One experiment with everything that its finished stages hold, in the order in which they finished."""
    found: dict[str, Any] = {}
    measurements: list[Measurement] = []
    for record in stages:
        payload = record.payload
        for key, kind in _SINGLE.items():
            if payload.get(key) is not None:
                found[key] = decode(kind, payload[key])
        if payload.get("gates") is not None:
            found["gates"] = tuple(decode(GateResult, g) for g in payload["gates"])  # type: ignore[attr-defined]
        measurements += [decode(Measurement, m) for m in payload.get("measurements") or ()]  # type: ignore[attr-defined]
    return Experiment(
        id=row["id"],
        campaign=row["campaign"],
        number=row["number"],
        role=Role(row["role"]),
        status=ExperimentStatus(row["status"]),
        parents=tuple(json.loads(row["parents"])),
        name=row["name"],
        family=row["family"],
        rung=row["rung"],
        measurements=tuple(measurements),
        stages=tuple(stages),
        reason=row["reason"],
        created_at=row["created_at"],
        environment=json.loads(row["environment"]),
        **found,
    )
