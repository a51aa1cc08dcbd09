"""A training's checkpoint: whole or not at all, whoever else writes it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from move37.lab import machine
from move37.lab.tasks.mixers_measuring import BYTES
from move37.lab.training.runs import CheckpointStore, RunCost


def test_the_newest_that_is_whole_counts_and_replaces_the_older_ones(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, "seed0")
    for steps in (100, 300):
        store.put(b"w%d" % steps, RunCost(steps=steps))
    assert store.latest(500) == (RunCost(steps=300), b"w300") and store.latest(200) == (RunCost(), None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed0-300.json", "seed0-300.safetensors"]


def test_two_who_write_one_checkpoint_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Two `move37 measure` of one file in one home, at the same and at different steps."""
    (tmp_path / "seed0-100.safetensors.0.new").write_bytes(b"of somebody who is writing")
    stores = [CheckpointStore(tmp_path, "seed0") for _ in range(4)]

    def write(store: CheckpointStore) -> None:
        for steps in range(100, 1000, 100):
            store.put(bytes([steps // 100]) * 100_000, RunCost(steps=steps))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, stores))
    spent, weights = stores[0].latest(1000)
    assert spent.steps == 900 and weights == b"\x09" * 100_000
    assert [path.name for path in tmp_path.glob("*.new")] == ["seed0-100.safetensors.0.new"]


def test_a_disk_that_is_full_leaves_the_older_one_and_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CheckpointStore(tmp_path, "seed0")
    store.put(b"w", RunCost(steps=100))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        store.put(b"v", RunCost(steps=200))
    assert store.latest(500) == (RunCost(steps=100), b"w") and not list(tmp_path.glob("*.new"))


@pytest.mark.parametrize("other", ["corpus", "sandbox", "machine", "version", "seed", "rate", "steps"])
def test_whatever_changes_numbers_has_a_checkpoint_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    def store(**changes: Any) -> CheckpointStore:
        fields: dict[str, Any] = {"seed": 0, "learning_rate": 0.01, "corpus": "a" * 64, "sandbox": "process"} | changes
        network = replace(BYTES, total_steps=fields.pop("steps", 500))
        return CheckpointStore.of(tmp_path, network, **fields)

    store().put(b"w", RunCost(steps=100))
    changed: dict[str, Any] = {"corpus": {"corpus": "b" * 64}, "sandbox": {"sandbox": "docker"}, "seed": {"seed": 1}}
    changed |= {"rate": {"learning_rate": 0.02}, "steps": {"steps": 2_000}}
    if other == "machine":
        monkeypatch.setattr(machine, "kind", lambda: "aarch64")
    if other == "version":
        monkeypatch.setattr(machine, "version_of", lambda name: f"of {name}, the next one")
    assert store(**changed.get(other, {})).latest(100) == (RunCost(), None)
    monkeypatch.undo()
    assert store().latest(100) == (RunCost(steps=100), b"w")
