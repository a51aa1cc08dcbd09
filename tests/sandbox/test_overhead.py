"""What the sandbox adds to a campaign can be read from its log."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import structlog

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
def test_the_share_is_what_callers_waited_beyond_their_programs() -> None:
    with structlog.testing.capture_logs() as said:
        overhead = Overhead()
        overhead.job(Outcome(job="a", status=Status.DONE, exit_code=0, wall_seconds=2.0), 2.5)
        with overhead.timed():
            time.sleep(0.02)
        overhead.closed()
    finished, closed = said
    assert (finished["job"], finished["seconds"], finished["inside_seconds"]) == ("a", 2.5, 2.0)
    assert closed["jobs"] == 1 and closed["inside_seconds"] == 2.0 and 0.51 <= closed["added_seconds"] < 60.0
    assert closed["lifetime_seconds"] >= 0.02 and closed["added_share"] > 0


def test_a_clock_inside_that_runs_ahead_adds_nothing() -> None:
    overhead = Overhead()
    overhead.job(Outcome(job="a", status=Status.DONE, exit_code=0, wall_seconds=2.0), 1.0)
    assert overhead.added_seconds == 0.0
