"""One rule for how long the host waits, in a clock that a test can turn."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.sandbox.channel import JobExchange
from move37.sandbox.deadlines import GRACE_SECONDS, START_SECONDS, TRANSFER_BYTES_PER_SECOND, JobClock
from move37.sandbox.errors import SandboxBroken
from move37.sandbox.job import Job, Limits, Status
from tests.sandbox.test_channel import END

SLACK = 1e-6


class Dial:
    """A clock by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def of(job: Job) -> tuple[JobClock, JobExchange, Dial]:
    dial = Dial()
    exchange = JobExchange(job, backend="process")
    return JobClock(job, exchange, clock=dial), exchange, dial


def job(wall_seconds: float = 6.0, **fields: Any) -> Job:
    return Job(id="j", trust="t", argv=("x",), limits=Limits(wall_seconds=wall_seconds), **fields)


@given(st.floats(0.1, 1e5), st.floats(0, 50), st.floats(0, 1), st.integers(0, 10**9))
def test_travelling_never_counts_as_the_programs_time(wall: float, before: float, share: float, size: int) -> None:
    clock, exchange, dial = of(Job(id="j", trust="t", argv=("x",), limits=Limits(wall_seconds=wall, result_bytes=size)))
    assert abs(clock.left() - START_SECONDS) < SLACK
    dial.now += before
    exchange.feed([(b"S", b"{}")])
    assert abs(clock.left() - wall - GRACE_SECONDS) < SLACK * wall + SLACK
    dial.now += share * wall
    exchange.feed([(b"E", json.dumps(END | {"files": [["a", size, False]]}).encode())])
    assert abs(clock.left() - START_SECONDS - size / TRANSFER_BYTES_PER_SECOND) < SLACK * wall + SLACK


def test_input_has_time_to_travel() -> None:
    clock, _, _ = of(job(files={"a": bytes(20_000_000)}, stdin=bytes(20_000_000)))
    assert clock.left() == pytest.approx(START_SECONDS + 2)


async def test_what_has_arrived_is_looked_at_though_the_time_is_over() -> None:
    clock, exchange, dial = of(job())
    exchange.feed([(b"S", b"{}")])
    clock.left()
    dial.now += 1000
    reader = asyncio.StreamReader()
    reader.feed_data(b"late")
    assert await clock.read(lambda: reader.read(10)) == b"late"
    with pytest.raises(TimeoutError):
        await clock.read(lambda: reader.read(10))


async def test_only_the_programs_own_time_is_a_time_out() -> None:
    clock, exchange, _ = of(job())
    clock.left()
    with pytest.raises(SandboxBroken, match="take its files"):
        clock.give_up(1.0, TimeoutError())
    exchange.feed([(b"S", b"{}"), (b"1", b"so far")])
    clock.left()
    outcome = clock.give_up(6.0, TimeoutError())
    assert (outcome.status, outcome.exit_code, outcome.stdout) == (Status.TIMED_OUT, 124, b"so far")
    exchange.feed([(b"E", json.dumps(END | {"files": [["a", 3, False]]}).encode())])
    clock.left()
    with pytest.raises(SandboxBroken, match="send its results"):
        clock.give_up(6.0, TimeoutError())
