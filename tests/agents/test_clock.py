"""The campaign's clock counts work, not waiting for a person."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from move37.agents.clock import Clock, Pauses


class Time:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@given(st.lists(st.tuples(st.sampled_from(["hold", "release", "wait"]), st.integers(1, 50)), max_size=30))
def test_seconds_are_those_in_which_nothing_held_it(moves: list[tuple[str, int]]) -> None:
    time = Time()
    pauses = Pauses(time)
    clock, holders, counted = Clock(before=7.0, pauses=pauses, now=time), 0, 7.0
    for move, seconds in moves:
        if move == "hold":
            pauses.hold()
            holders += 1
        elif move == "release" and holders:
            pauses.release()
            holders -= 1
        time.at += seconds
        counted += 0 if holders else seconds
    assert abs(clock.seconds - counted) < 1e-6


def test_both_ends_stand_still_while_it_is_held() -> None:
    time = Time()
    clock = Clock(soft=60.0, hard=30.0, pauses=(pauses := Pauses(time)), now=time)
    time.at += 10
    with pauses.held():
        time.at += 1000
    assert clock.left == 20.0 and clock.hard_left == 20.0
    time.at += 100
    assert clock.left == clock.hard_left == 0.0


def test_what_stood_still_before_this_clock_began_is_not_taken_off() -> None:
    time = Time()
    pauses = Pauses(time)
    with pauses.held():
        time.at += 50
    clock = Clock(pauses=pauses, now=time)
    time.at += 5
    assert clock.seconds == 5.0


@given(st.floats(1, 1e6), st.floats(1, 1e6))
def test_a_time_that_somebody_named_is_the_one_that_holds(soft: float, hard: float) -> None:
    """`--max-time 90m`, begun with or resumed with, left the quick preset's nine minutes: "`--max-time` gives more"."""
    clock = Clock(soft=soft, hard=hard, now=lambda: 0.0)
    assert clock.left == clock.hard_left == hard
    assert Clock(soft=soft, now=lambda: 0.0).left == soft and Clock(now=lambda: 0.0).left is None
