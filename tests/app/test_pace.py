"""How soon somebody hears a line: what the archive knows of this campaign, and no promise where it knows nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from move37.agents.events import StageStarted
from move37.agents.inbox import Inbox
from move37.agents.search.plans import CODE_GENERATOR
from move37.app.live_state import LiveState
from move37.app.orders import OrderContext, carry_out, understand
from move37.app.pace import about, heard_within, until_spoken
from move37.app.situation import situation
from move37.lab.records import BITS_PER_BYTE, Candidate, Experiment, ExperimentStatus, Role, StageRecord
from tests.builders import a_candidate

BEGUN = datetime(2026, 11, 29, tzinfo=UTC)
CYCLE = ("parents", "hypothesis", "candidate", "gates", "lm@100", "verdict:lm@100", "analysis")
seconds = st.lists(st.integers(1, 300), min_size=len(CYCLE), max_size=len(CYCLE))


def an_experiment(lasted: list[int], *, written: Candidate | None = None, more: tuple[str, ...] = ()) -> Experiment:
    """A candidate whose stages took so many seconds each; those of `more` come an hour later."""
    ends = [BEGUN + timedelta(seconds=sum(lasted[: n + 1])) for n in range(len(lasted))]
    ends += [ends[-1] + timedelta(hours=n + 1) for n in range(len(more))]
    stages = tuple(
        StageRecord(stage=stage, rung=0, seed=0, finished_at=end.isoformat())
        for stage, end in zip((*CYCLE[: len(lasted)], *more), ends, strict=True)
    )
    return Experiment(
        id="c1-001",
        campaign=1,
        number=1,
        role=Role.CANDIDATE,
        status=ExperimentStatus.MEASURED,
        candidate=written or a_candidate(),
        stages=stages,
        created_at=BEGUN.isoformat(),
    )


@given(st.lists(seconds, min_size=1, max_size=9), st.integers(0, 400))
def test_who_waits_for_a_training_hears_when_the_median_is_over(everyone: list[list[int]], since: int) -> None:
    known = [an_experiment(lasted) for lasted in everyone]
    training = median(lasted[4] + lasted[5] for lasted in everyone)  # with its verdict: then the Analyst speaks
    assert heard_within([("lm@100", since)], known) == (training - since if training > since else None)
    gates = median(sum(lasted[3:6]) for lasted in everyone)
    assert heard_within([("gates", 0.0)], known) == gates
    negotiation = median(lasted[1] for lasted in everyone)
    assert heard_within([("hypothesis", 0.0)], known) == negotiation  # at the latest: within it each turn hears
    assert heard_within([("gates", 0.0), ("hypothesis", 0.0)], known) == min(gates, negotiation)


@given(seconds)
def test_what_nothing_tells_is_not_told(lasted: list[int]) -> None:
    whole = an_experiment(lasted, more=("memory", "lm@200", "verdict:climb", "analysis:climb"))
    assert set(until_spoken([whole])) == set(CYCLE)  # no rung above the screen: there all wait for each other
    assert heard_within([("lm@200", 0.0)], [whole]) is None and heard_within([], [whole]) is None
    assert heard_within([("gates", 0.0)], []) is None
    assert until_spoken([an_experiment(lasted[:5]), replace(whole, role=Role.BASELINE)]) == {}


def test_a_plan_that_is_turned_into_code_is_nobodys_turn() -> None:
    lasted = [1, 2, 4, 8, 16, 32, 64]
    generated = an_experiment(lasted, written=a_candidate(author=CODE_GENERATOR))
    assert heard_within([("candidate", 0.0)], [generated]) == 4 + 8 + 16 + 32
    assert heard_within([("candidate", 0.0)], [an_experiment(lasted)]) == 4


@given(st.floats(0.01, 1e5))
def test_a_guess_is_rounded_up_and_no_finer_than_it_is(guess: float) -> None:
    number, unit = about(guess).split()
    told = int(number) * {"s": 1, "min": 60}[unit]
    assert guess <= told <= max(5.0, guess + 5) or (unit == "min" and guess <= told < guess + 60)


def test_a_line_is_acknowledged_with_the_time_where_it_is_known() -> None:
    say, ask = understand("be bold"), understand("/ask critic why?")
    known = OrderContext(speaking=("the Researcher of c1-004",), soon=38.0)
    assert carry_out(say, Inbox(), known) == (
        "noted: whoever speaks next hears it, within about 40 s by the pace so far; the Researcher of c1-004 speaks now"
    )
    assert "within" not in carry_out(say, Inbox(), replace(known, soon=None))
    board = LiveState(BITS_PER_BYTE, [an_experiment([1, 1, 1, 10, 100, 1, 1])])
    board.see(StageStarted(experiment="c1-002", stage="lm@100"))
    at = situation(board, say, search=False, task="mixers")
    assert at.soon is not None and 90 < at.soon <= 101
    board.pause(True)
    assert situation(board, say, search=False, task="mixers").soon is None
    assert "within" not in carry_out(ask, Inbox(), known)  # the Critic may not be next
