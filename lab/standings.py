"""A cache of measured runs, keyed by everything that their numbers depend on, so that none is repeated.

Read `Key` first, then `Standings`: a file of JSON lines in the home's cache for each corpus and kind of machine.
`move37 measure`, `baseline` and `confirm` share it, also after a kill. A line that a kill cut short is skipped. Each
kind of machine, corpus and version has a file of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from move37.lab import machine
from move37.lab.archive.codec import decode, encode
from move37.lab.errors import LabError
from move37.lab.records import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What one run's numbers depend on, beside corpus, machine and versions."""

    source: str  # sha256 of the candidate's file
    rung: int
    steps: int
    total_steps: int  # 0: not known before the run
    width: int
    scale: str
    device: str
    text: str
    seed: int
    learning_rate: float

    @classmethod
    def of(cls, source: str, measurement: Measurement) -> Key:
        """The key under which a measurement of this source is kept."""
        return cls(
            source=digest(source),
            rung=measurement.rung,
            steps=measurement.steps,
            total_steps=measurement.total_steps,
            width=measurement.width,
            scale=measurement.scale,
            device=measurement.device,
            text=measurement.text,
            seed=measurement.seed,
            learning_rate=measurement.learning_rate,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalStanding:
    """A finished run: name, source, and the number with its conditions."""

    name: str
    family: str
    source: str  # the file itself, so that a standing can be run again
    measurement: Measurement


class Standings:
    """The kept runs of one corpus on one kind of machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, cache: Path, *, corpus: str, sandbox: str) -> Standings:
        """Those for `corpus` (its digest) in this `sandbox`, on this machine, under the installed versions."""
        return cls(cache / "standings" / f"{corpus[:16]}-{machine.conditions(sandbox)}.jsonl")

    def all(self) -> tuple[RivalStanding, ...]:
        """Every kept run, oldest first."""
        return tuple(self._read())

    def find(self, source: str, **conditions: object) -> tuple[Measurement, ...]:
        """This file's runs under the given fields of a measurement, one a seed and rate; the newest counts."""
        wanted = digest(source)
        found = {}
        for standing in self._read():
            m = standing.measurement
            if digest(standing.source) == wanted and all(getattr(m, k) == v for k, v in conditions.items()):
                found[Key.of(standing.source, m), m.metric] = m
        return tuple(found.values())

    def put(self, standing: RivalStanding) -> None:
        """Append one run, synced. Raises `LabError` when the cache cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # A newline on both sides, so that a line that a kill cut short does not run into the next.
            line = "\n" + json.dumps(encode(standing), ensure_ascii=False) + "\n"
            with self.path.open("ab") as file:
                file.write(line.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LabError(f"{self.path} cannot be written ({error.strerror}): is the disk full?") from error

    def _read(self) -> Iterator[RivalStanding]:
        try:
            lines = self.path.read_bytes().splitlines()
        except OSError:
            return
        for line in lines:
            try:
                yield decode(RivalStanding, json.loads(line))
            except (ValueError, TypeError, KeyError):  # cut short by a kill, or by another version
                continue


def digest(source: str) -> str:
    """Of a candidate's file."""
    return hashlib.sha256(source.encode("utf-8")).hexdigest()
