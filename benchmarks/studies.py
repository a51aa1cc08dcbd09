"""What the published studies share: rows in JSON lines, from which a later session goes on; summaries; verdicts.

One row is one training. `StudyRuns` runs what a file of rows lacks; `SeedSummary` is the middle of some seeds with
their spread and a 95 % interval of the mean; `judged` says whether a published value stands beside it.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from move37.benchmarks.json_lines import Row, read
from move37.lab.statistics.paired import interval

FEWEST = 3  # seeds behind a verdict


class StudyRuns:
    """Runs by what identifies them, kept in a file of JSON lines where one is given.

    A row has what identifies its run under "run", and what it gave: "value", "cpu_seconds", ...
    """

    def __init__(self, out: Path | None) -> None:
        self._out = out
        self._known: dict[str, Row] = {}
        for row in read(out):
            if "run" in row:
                self._known[_key(row["run"])] = row

    def get(self, identity: dict[str, Any], run: Callable[[], Row]) -> Row:
        """The row of this run: from the file, or made by `run` and written at once."""
        if (row := self._known.get(_key(identity))) is not None:
            return row
        began = time.process_time()
        row = {"run": identity, **run(), "cpu_seconds": round(time.process_time() - began, 1)}
        self._known[_key(identity)] = row
        if self._out:
            cut_off = self._out.exists() and (text := self._out.read_bytes()) and not text.endswith(b"\n")
            with self._out.open("a", encoding="utf-8") as file:
                file.write(("\n" if cut_off else "") + json.dumps(row) + "\n")
        print(json.dumps(row), file=sys.stderr, flush=True)
        return row


def _key(identity: dict[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedSummary:
    """Values of one arm over seeds."""

    n: int
    median: float
    mad: float  # median absolute deviation
    low: float  # 95 % interval of the mean, clipped to what the value can be; the whole range for one seed
    high: float

    @classmethod
    def of(cls, values: Sequence[float], *, least: float, most: float = 1.0) -> SeedSummary:
        """`least` and `most` bound what a value can be."""
        middle = statistics.median(values)
        found = interval(values)
        return cls(
            n=len(values),
            median=middle,
            mad=statistics.median(abs(v - middle) for v in values),
            low=least if found is None else max(least, found.low),
            high=most if found is None else min(most, found.high),
        )


def judged(ours: SeedSummary, published: float, spread: float = 0.0) -> str:
    """Whether our interval covers a published value, or meets its spread; otherwise that they disagree."""
    if ours.n < FEWEST:
        return f"{ours.n} of at least {FEWEST} seeds: no verdict"
    if ours.low <= published <= ours.high:
        return "covered"
    if ours.low <= published + spread and published - spread <= ours.high:
        return "within its spread"
    return "DISAGREES"


def chosen(names: Sequence[str], known: Collection[str]) -> list[str]:
    """Those named, or all. Raises `ValueError` for a name that is not known."""
    if wrong := [name for name in names if name not in known]:
        raise ValueError(f"no arm {', '.join(wrong)}: there are {', '.join(known)}")
    return [*names] or [*known]
