"""What the sandbox adds to a campaign can be read from its log."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import structlog

from move37.sandbox import overhead
from move37.sandbox.job import Outcome, Status
from move37.sandbox.overhead import Overhead


@pytest.fixture
def every_level() -> Iterator[None]:
    """Whatever level another test asked for."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("every_level")
def test_the_share_is_what_callers_waited_beyond_their_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 104.0, 104.5, 110.0])  # opened, the block's beginning and end, closed
    monkeypatch.setattr(overhead, "time", SimpleNamespace(perf_counter=lambda: next(times)))
    with structlog.testing.capture_logs() as said:
        sums = Overhead()
        sums.job(Outcome(job="a", status=Status.DONE, exit_code=0, wall_seconds=2.0), 2.5)
        with sums.timed():
            pass
        sums.closed()
    finished, closed = said
    assert (finished["job"], finished["seconds"], finished["inside_seconds"]) == ("a", 2.5, 2.0)
    assert closed["jobs"] == 1 and closed["inside_seconds"] == 2.0 and closed["added_seconds"] == 1.0
    assert closed["lifetime_seconds"] == 10.0 and closed["added_share"] == 0.1


def test_a_clock_inside_that_runs_ahead_adds_nothing() -> None:
    sums = Overhead()
    sums.job(Outcome(job="a", status=Status.DONE, exit_code=0, wall_seconds=2.0), 1.0)
    assert sums.added_seconds == 0.0
