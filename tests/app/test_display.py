"""The live display: what events leave behind, on a terminal and without one, whatever they say."""

from __future__ import annotations

import io
import math
import time
from dataclasses import replace

import pytest
from rich.console import Console

from move37.agents.events import (
    ApprovalClosed,
    ApprovalRequested,
    BudgetUpdated,
    Event,
    ExperimentUpdated,
    GateChecked,
    Notice,
    Spoke,
    StageFinished,
    StageStarted,
    TrainingUpdated,
)
from move37.app.display import Live, Plain, panel, status_lines, thinking
from move37.app.live_state import LiveState
from move37.lab.records import BITS_PER_BYTE, Experiment, ExperimentStatus, Role
from move37.lab.tasks.task import Progress
from tests.app.campaigns import HOSTILE
from tests.builders import a_gate, a_measurement, a_verdict


def an_experiment(**changes: object) -> Experiment:
    fields: dict[str, object] = {"id": "c1-001", "campaign": 1, "number": 1, "role": Role.CANDIDATE}
    return Experiment(**({"status": ExperimentStatus.RUNNING, "name": "floor"} | fields | changes))  # type: ignore[arg-type]


def a_budget(**changes: object) -> BudgetUpdated:
    told = BudgetUpdated(done=3, budget=12, seconds=60.0, seconds_left=510.0, tokens=0, cost=0.0, phase="search")
    return replace(told, **changes)  # type: ignore[arg-type]


def progress(step: int, loss: float | None, seed: int = 0) -> TrainingUpdated:
    return TrainingUpdated(
        progress=Progress(experiment="c1-001", rung="lm@100", seed=seed, step=step, steps=100, loss=loss)
    )


def everything(words: str = "words") -> list[Event]:
    """One of each event, with `words` wherever foreign text may stand."""
    measured = an_experiment(status=ExperimentStatus.MEASURED, measurements=(a_measurement(),), verdict=a_verdict())
    return [
        Notice(text=words),
        a_budget(),
        ExperimentUpdated(experiment=an_experiment(name=words)),
        StageStarted(experiment="c1-001", stage="hypothesis"),
        Spoke(experiment="c1-001", source="Researcher", to="Critic", text=words),
        Spoke(experiment="c1-001", source="person", to="Critic", text=words),
        ApprovalRequested(experiment="c1-001", kind="hypothesis", text=words),
        StageFinished(experiment="c1-001", stage="hypothesis"),
        StageStarted(experiment="c1-001", stage="gates"),
        GateChecked(experiment="c1-001", gate=a_gate()),
        GateChecked(experiment="c1-001", gate=a_gate(name=words, passed=False, message=words)),
        progress(10, 4.0),
        progress(20, math.nan),
        progress(30, None),
        ExperimentUpdated(experiment=measured),
        ExperimentUpdated(experiment=an_experiment(status=ExperimentStatus.FAILED, reason=words)),
        a_budget(phase="done"),
    ]


def seen(events: list[Event], *, terminal: bool) -> str:
    out = io.StringIO()
    screen = Console(
        file=out, force_terminal=terminal, width=100, markup=False, emoji=False, highlight=False, color_system=None
    )
    board = LiveState(BITS_PER_BYTE)
    with (Live if terminal else Plain)(screen, board) as show:
        for event in events:
            show(event)
            screen.print(panel(board, 100))
    return out.getvalue()


def test_plain_lines_name_who_says_what() -> None:
    out = seen(everything("try decays"), terminal=False)
    assert "c1-001 Researcher to Critic: try decays" in out
    assert "c1-001 person to Critic: try decays" in out
    assert "/approve c1-001 or /veto c1-001 REASON" in out
    assert "c1-001 floor measured 2.700 bits/byte after 100 steps  +0.010 on one seed" in out
    assert "failed: try decays" in out


@pytest.mark.parametrize(
    ("stage", "progressed", "said"),
    [
        ("hypothesis", None, "… waiting for the Researcher of c1-001"),
        ("analysis", None, "… waiting for the Analyst of c1-001"),
        ("lm@100", progress(10, 4.0), "… training: c1-001 10/100 at 4.00"),
    ],
)
def test_a_plain_log_says_what_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, stage: str, progressed: Event | None, said: str
) -> None:
    monkeypatch.setattr("move37.app.display.SILENCE", 0.1)
    monkeypatch.setattr("move37.app.display.THOUGHT", 0.1)
    out = io.StringIO()
    board = LiveState(BITS_PER_BYTE)
    with Plain(Console(file=out, width=100, color_system=None), board) as show:
        for event in (StageStarted(experiment="c1-001", stage=stage), progressed):
            if event is not None:
                show(event)
        deadline = time.monotonic() + 20.0
        while said not in out.getvalue() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert said in out.getvalue()


def test_nobody_is_waited_for_while_a_campaign_is_paused_or_asks_its_user() -> None:
    board = LiveState(BITS_PER_BYTE)
    board.see(StageStarted(experiment="c1-001", stage="hypothesis"))
    assert thinking(board) == "waiting for the Researcher of c1-001"
    board.pause(True)
    assert thinking(board) == ""
    board.pause(False)
    board.see(ApprovalRequested(experiment="c1-001", kind="hypothesis", text="may it?"))
    assert thinking(board) == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_foreign_text_commands_no_display(terminal: bool) -> None:
    out = seen(everything(HOSTILE), terminal=terminal)
    assert "\x1b[31m" not in out and "\x1b]" not in out and "\x07" not in out and "\u202e" not in out
    assert "[bold red]markup[/]" in " ".join(out.split())


def test_the_panel_shows_the_curve_and_what_is_left() -> None:
    board = LiveState(BITS_PER_BYTE)
    board.see(a_budget())
    board.see(StageStarted(experiment="c1-001", stage="lm@100"))
    for step, loss in ((10, 4.0), (20, 3.5), (30, 3.0)):
        board.see(progress(step, loss))
    screen = Console(file=io.StringIO(), width=100)
    screen.print(panel(board, 100))
    out = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "█▄▁ 3.000 step 30 of 100" in out
    assert "3 of 12 experiments" in out and "left" in out


def test_a_new_seed_begins_a_new_curve() -> None:
    board = LiveState(BITS_PER_BYTE)
    board.see(progress(10, 4.0))
    board.see(progress(5, 5.0, seed=1))
    assert board.at_work()[0].losses == [5.0]


def test_a_gate_seen_again_begins_the_next_attempt() -> None:
    board = LiveState(BITS_PER_BYTE)
    for name in ("import", "shape", "import"):
        board.see(GateChecked(experiment="c1-001", gate=a_gate(name=name)))
    assert [g.name for g in board.at_work()[0].gates] == ["import"]


def test_the_best_is_never_a_failure_or_a_divergence() -> None:
    runs = {
        "sound": an_experiment(id="a", status=ExperimentStatus.MEASURED, measurements=(a_measurement(value=2.7),)),
        "failed": an_experiment(id="b", status=ExperimentStatus.FAILED, measurements=(a_measurement(value=2.1),)),
        "diverged": an_experiment(
            id="c", status=ExperimentStatus.MEASURED, measurements=(a_measurement(value=2.0, diverged=True),)
        ),
    }
    board = LiveState(BITS_PER_BYTE, runs.values())
    assert [(role, e.id, value) for role, e, value, _ in board.leaders()] == [(Role.CANDIDATE, "a", "2.700")]
    assert "lower is better" in status_lines(board)[0]


def test_leaders_are_compared_at_equal_steps() -> None:
    further = (a_measurement(value=3.1, steps=100), a_measurement(value=2.8, steps=200))
    candidate = an_experiment(status=ExperimentStatus.PROMOTED, measurements=further)
    baseline = an_experiment(
        id="c1-gla", role=Role.BASELINE, status=ExperimentStatus.MEASURED, measurements=(a_measurement(value=3.0),)
    )
    board = LiveState(BITS_PER_BYTE, [candidate, baseline])
    where = "after 100 steps, screened"
    assert [(value, place) for _, _, value, place in board.leaders()] == [("3.100", where), ("3.000", where)]


def test_the_time_goes_on_between_events(monkeypatch: pytest.MonkeyPatch) -> None:
    board = LiveState(BITS_PER_BYTE)
    board.see(a_budget())
    board.budget_at -= 30.0
    now = board.budget_now()
    assert now is not None and now.seconds >= 90.0
    assert now.seconds_left is not None and now.seconds_left <= 480.0


@pytest.mark.parametrize("how", ["paused", "asked"])
def test_the_time_stands_still_while_it_is_paused_or_somebody_is_asked(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr("move37.app.live_state.time.monotonic", lambda: clock[0])
    asked = ApprovalRequested(experiment="c1-001", kind="hypothesis", text="a floor")
    board = LiveState(BITS_PER_BYTE)
    board.see(a_budget())

    def gone(seconds: float) -> float:
        clock[0] += seconds
        told = board.budget_now()
        assert told is not None
        return round(told.seconds - a_budget().seconds, 3)

    assert gone(5.0) == 5.0
    board.pause(True) if how == "paused" else board.see(asked)
    assert gone(100.0) == 5.0
    assert ("PAUSED" in status_lines(board)[0]) is (how == "paused")
    board.see(a_budget())  # told anew while it stands still
    assert gone(100.0) == 0.0
    board.pause(False) if how == "paused" else board.see(ApprovalClosed(experiment="c1-001", answer="approved"))
    assert gone(3.0) == 3.0
    assert "PAUSED" not in status_lines(board)[0]


def test_who_waits_for_a_word_is_not_said_to_speak_next() -> None:
    board = LiveState(BITS_PER_BYTE)
    board.see(StageStarted(experiment="c1-001", stage="hypothesis"))
    board.see(Spoke(experiment="c1-001", source="Critic", to="Lab", text="accepted"))
    assert [a.id for a in board.at_work_unasked()] == ["c1-001"]
    board.see(ApprovalRequested(experiment="c1-001", kind="hypothesis", text="a floor"))
    assert board.at_work_unasked() == [] and "/approve c1-001" in status_lines(board)[-1]
    assert len(status_lines(board)[-1]) <= 56  # whole at 60 columns


@pytest.mark.parametrize(("seconds", "told"), [(600.0, "without an answer it goes on in 10 min"), (None, "")])
def test_a_request_says_when_it_goes_on_by_itself(seconds: float | None, told: str) -> None:
    asked = ApprovalRequested(experiment="c1-001", kind="hypothesis", text="a floor", seconds=seconds)
    text = LiveState(BITS_PER_BYTE).see(asked)
    assert text is not None and told in text.plain and ("without" in text.plain) is bool(told)


def test_the_last_words_of_an_ended_experiment_do_not_bring_it_back() -> None:
    board = LiveState(BITS_PER_BYTE)
    board.see(ExperimentUpdated(experiment=an_experiment(status=ExperimentStatus.MEASURED)))
    board.see(Spoke(experiment=an_experiment().id, source="Analyst", to="Lab", text="nothing gained"))
    assert board.at_work() == []


def test_a_very_long_line_of_a_person_does_not_fill_the_screen() -> None:
    spoke = Spoke(experiment="c1-001", source="ada", to="Critic", text="paste me " * 900)
    text = LiveState(BITS_PER_BYTE).see(spoke)
    assert text is not None and 900 < len(text) < 1_100


def test_an_ended_experiment_leaves_the_panel() -> None:
    board = LiveState(BITS_PER_BYTE)
    for event in everything():
        board.see(event)
    assert board.at_work() == []
