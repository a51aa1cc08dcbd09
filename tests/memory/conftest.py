"""The backends that the store suite runs on, and small honest records."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from move37.memory.edge import EdgeStore
from move37.memory.index import Index
from move37.memory.local import open_local
from move37.memory.minilm import MiniLM
from move37.memory.records import Entry, Lesson, MeasuredEffect, MeasuredEffects, ProbeResult
from move37.memory.server import connect
from move37.memory.store import Collection, FieldIndex, Point, Sparse, Store

BACKENDS = ("edge", "local", "memory", "http", *(("server",) if os.environ.get("MOVE37_QDRANT_URL") else ()))
SHAPE = Collection(
    name="things",
    schema=1,
    model="toy",
    dimension=4,
    dense=("a", "b"),
    sparse=("w",),
    indexes={"tag": FieldIndex.KEYWORD, "year": FieldIndex.INTEGER},
)


def make_store(kind: str, folder: Path) -> Store:
    """A backend in a folder; the server of MOVE37_QDRANT_URL when one is named."""
    if kind == "edge":
        return EdgeStore(folder)
    if kind == "server":
        return connect(os.environ["MOVE37_QDRANT_URL"], os.environ.get("QDRANT_API_KEY"))
    return open_local(folder if kind == "local" else None)


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "http":
        # Late: it brings Qdrant's client along, 2 s of processor time that child processes of tests do without.
        from tests.memory.qdrant_http import KEY, served

        with served() as url:
            client = connect(url, KEY)
            client.open(SHAPE)
            yield client
            client.close()
        return
    made = make_store(request.param, tmp_path)
    if request.param == "server":
        made.drop(SHAPE.name)
    made.open(SHAPE)
    yield made
    if request.param == "server":
        made.drop(SHAPE.name)
    made.close()


@pytest.fixture(scope="session")
def embedder() -> MiniLM:
    return MiniLM()


@pytest.fixture
def index(embedder: MiniLM) -> Iterator[Index]:
    store = open_local(None)  # the engines agree (test_store.py), and this one writes no file
    yield Index(store, embedder)
    store.close()


def point_id(number: int) -> str:
    return str(uuid.UUID(int=number + 1))


def a_point(
    number: int, a: list[float] | None = None, *, words: dict[int, float] | None = None, **payload: Any
) -> Point:
    rows = np.asarray([a or [1.0, 0.0, 0.0, 0.0]], dtype=np.float32)
    terms = words or {}
    return Point(
        id=point_id(number),
        dense={"a": rows / np.linalg.norm(rows, axis=1, keepdims=True)},
        sparse={"w": Sparse(tuple(sorted(terms)), tuple(terms[key] for key in sorted(terms)))} if terms else {},
        payload=payload,
    )


def an_entry(**changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "key": "2400.00001",
        "number": 0,
        "origin": "person",
        "title": "Gates that forget",
        "name": "Forget what is stale",
        "year": 2024,
        "families": ("gla",),
        "mechanism": "A gate multiplies the state before each write.",
        "insight": "Without forgetting the state fills up and later writes drown.",
        "symptoms": ("Recall of early tokens stays while that of late tokens collapses.",),
        "remedy": "Add a learned decay.",
        "operators": ("gla",),
    }
    return Entry(**(fields | changes))


def effects(**known: tuple[float, float | None]) -> MeasuredEffects:
    """Effects as (gain, standard error) by reference: `effects(parent=(-0.02, 0.005))`."""
    return MeasuredEffects(**{name: MeasuredEffect(gain=gain, error=error) for name, (gain, error) in known.items()})


def a_lesson(**changes: Any) -> Lesson:
    fields: dict[str, Any] = {
        "experiment": "exp-1",
        "task": "mixers",
        "name": "doubled_beta",
        "family": "delta",
        "parents": ("delta",),
        "status": "measured",
        "rung": 2,
        "operators": ("beta_two",),
        "expected": "parity is solved and the loss stays",
        "seen": "the loss rose by 0.02 bits per byte once beta could reach two",
        "why": "the state oscillates",
        "next": "clip beta at 1.8",
        "symptoms": ("the loss oscillates after warm-up",),
        "lesson": "a beta up to two costs loss on text",
        "base": "b-delta",
        "gained": ("beta_two",),
        "effects": effects(parent=(-0.02, 0.005)),
        "steps": 500,
        "seeds": 5,
        "probes": (ProbeResult(name="parity", value=0.9, chance=0.5),),
        "finished_at": "2026-11-20T10:00:00+00:00",
    }
    return Lesson(**(fields | changes))


Builder = Callable[..., Any]
