"""A night at an endpoint that fails in every way: a leaderboard and a report end it, nothing finished is lost.

The campaigns are real (the command, a program task, the process sandbox); only the pauses between tries are cut short.
"""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from move37.agents.models import repair
from move37.lab.archive.store import Archive
from move37.lab.records import Experiment, ExperimentStatus, Role
from tests.agents.models.server import serving
from tests.agents.scripted import a_proposal, a_report, accepted, offered, some_code
from tests.agents.test_kill import EVALUATOR, PROGRAM, stages
from tests.agents.test_learning import role_of, text_of
from tests.app.conftest import Answer, Move37

Fault = Callable[[dict[str, Any]], tuple[Any, ...] | None]  # a request -> what comes instead of a reply, or None
PATIENCE = 600  # seconds for what a busy machine may be slow at
JSON_ERROR = {"error": {"message": "Internal error", "code": 500}}
OVERFLOW = {"error": {"message": "This model's maximum context length is 2048 tokens. Shorten your messages."}}
POLICY = {"error": {"message": "This request was blocked by our content policy."}}
REFUSED = (401, {"error": {"message": "Incorrect API key provided"}})
AWAY = (503, {"error": {"message": "Overloaded"}})
HTML = (502, b"<!DOCTYPE html><html><title>Bad gateway</title></html>", {"content-type": "text/html"})
CUT = (200, b'{"id": "1", "choices": [{"mess', {"content-length": "4000"})


class Model:
    """What a model says to each role; a fault that has something to say about a request comes before it."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = list(faults)
        self.asked: list[tuple[str, int]] = []  # (role, number of the experiment) of what it answered

    def __call__(self, request: dict[str, Any]) -> tuple[Any, ...]:
        for fault in self.faults:
            if (answer := fault(request)) is not None:
                return answer
        role, number = role_of(request)
        self.asked.append((role, number))
        answers = {
            "Researcher": offered(
                a_proposal(name=f"step_{number}", base="start program", change=f"y becomes {number}")
            ),
            "Critic": accepted(),
            "Engineer": some_code(PROGRAM.replace("y = 1.0", f"y = {1.0 + number / 10}")),
            "Analyst": a_report(),
        }
        return 200, answers[role].model_dump_json() if role else json.dumps({"ready": True, "principles": []})


def once(number: int, *answers: tuple[Any, ...]) -> Fault:
    """These answers, one after the other, to what experiment `number` asks first."""
    left = list(answers)
    return lambda request: left.pop(0) if left and role_of(request)[1] == number else None


def from_then_on(role: str, number: int, answer: tuple[Any, ...], calls: int | None = None) -> Fault:
    """This answer to everybody, for so many calls (None: for ever), from a role's turn in experiment `number` on."""
    left: Iterator[int] = iter(range(calls)) if calls else iter(int, 1)
    begun = threading.Event()

    def fault(request: dict[str, Any]) -> tuple[Any, ...] | None:
        if role_of(request) == (role, number):
            begun.set()
        return answer if begun.is_set() and next(left, None) is not None else None

    return fault


def too_long(number: int) -> Fault:
    """A context that is a fifth smaller than what experiment `number` asks first."""
    first: list[int] = []

    def fault(request: dict[str, Any]) -> tuple[Any, ...] | None:
        if role_of(request) != ("Researcher", number):
            return None
        first.append(len(text_of(request)))
        return (400, OVERFLOW) if len(text_of(request)) > 0.8 * first[0] else None

    return fault


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, move37: Move37) -> Callable[..., Answer]:
    """`move37 run` or `resume` of a small program task at `url`, with the pauses of a night cut to hundredths."""
    short = functools.partial(repair.RetryPolicy, first_pause=0.01, longest_pause=0.05, refused_seconds=0.3)
    monkeypatch.setattr(repair, "RetryPolicy", short)
    for name, value in {"RECOLLECTIONS": "0", "REPLY_SECONDS": "3", "WORKERS": "1", "SANDBOX": "process"}.items():
        monkeypatch.setenv(f"MOVE37_{name}", value)
    task = tmp_path / "task"
    task.mkdir()
    (task / "initial_program.py").write_text(PROGRAM)
    (task / "evaluator.py").write_text(EVALUATOR)

    def call(*arguments: str, url: str = "") -> Answer:
        more = ["--task", f"program:{task}", "--model", "openai:tiny", "--base-url", url] if url else []
        return move37("--home", str(tmp_path / "home"), *arguments, *more)

    return call


def candidates(home: Path) -> dict[int, Experiment]:
    with Archive.open(home, readonly=True) as archive:
        return {e.number: e for e in archive.experiments() if e.role is Role.CANDIDATE}


def status_of(home: Path) -> str:
    with Archive.open(home, readonly=True) as archive:
        return archive.campaigns()[0].status


def has_a_report(out: str) -> bool:
    """Whether the leaderboard and a report that is there stand in what was shown."""
    path = re.search(r"^report\s+(\S.*)$", out, re.MULTILINE)
    return "c1-start_program" in out and path is not None and Path(path[1].strip()).is_file()


@pytest.mark.slow
def test_a_night_of_every_fault_ends_with_a_leaderboard_and_loses_one_experiment_to_the_one_call_that_never_came(
    tmp_path: Path, night: Callable[..., Answer]
) -> None:
    over = threading.Event()

    def never() -> bytes:
        over.wait(PATIENCE)
        return b""

    model = Model(
        once(1, *[(429, {"error": "Rate limit reached"}, {"retry-after": "0.02"})] * 3),
        from_then_on("Critic", 2, (500, JSON_ERROR), calls=60),
        once(3, HTML, (200, JSON_ERROR), (200, {"id": "1", "choices": []}), (200, b"null")),
        once(4, CUT, (0, b""), CUT),
        once(5, (200, never)),
        too_long(6),
        lambda request: (400, POLICY) if role_of(request) == ("Engineer", 7) else None,
    )
    with serving(model) as (url, requests):
        answer = night("run", "--budget", "8", url=url)
        over.set()
    found = candidates(tmp_path / "home")
    assert answer.status == 0 and status_of(tmp_path / "home") == "finished"
    assert has_a_report(answer.out)
    assert [n for n, e in found.items() if e.measurements] == [1, 2, 3, 4, 5, 6, 8]
    assert found[7].status is ExperimentStatus.FAILED and "content policy" in found[7].reason
    assert found[7].hypothesis is not None  # what was agreed on before is kept
    assert len(requests) > len(model.asked) + 60


@pytest.mark.slow
def test_the_variable_says_how_long_a_request_waits_for_a_person_who_is_not_there(
    tmp_path: Path, night: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVE37_APPROVAL_TIMEOUT", "1s")
    with serving(Model()) as (url, _):
        answer = night("run", "--budget", "1", "--approve", "code", url=url)
    assert answer.status == 0 and "Nobody answered within 1 s: code of c1-001 goes on." in answer.out + answer.err
    assert candidates(tmp_path / "home")[1].measurements and has_a_report(answer.out)


@pytest.mark.slow
def test_a_key_that_is_refused_in_the_middle_ends_with_a_report_and_resume_goes_on(
    tmp_path: Path, night: Callable[..., Answer]
) -> None:
    model = Model(from_then_on("Engineer", 2, REFUSED))
    with serving(model) as (url, _):
        answer = night("run", "--budget", "3", url=url)
        before = stages(tmp_path / "home")
        assert answer.status == 3 and "Incorrect API key" in answer.err and "Traceback" not in answer.err
        assert has_a_report(answer.out) and "move37 resume" in answer.out
        assert candidates(tmp_path / "home")[2].hypothesis is not None
        model.faults.clear()
        again = night("resume")
    assert again.status == 0 and status_of(tmp_path / "home") == "finished"
    assert before.items() <= stages(tmp_path / "home").items()
    assert all(e.measurements for e in candidates(tmp_path / "home").values())
    assert model.asked.count(("Researcher", 1)) == 1


@pytest.mark.slow
def test_an_endpoint_that_never_comes_back_is_waited_for_until_the_time_is_up(
    tmp_path: Path, night: Callable[..., Answer]
) -> None:
    model = Model(from_then_on("Critic", 2, AWAY))
    with serving(model) as (url, _):
        answer = night("run", "--budget", "3", "--max-time", "15s", url=url)
    assert answer.status == 0 and status_of(tmp_path / "home") == "finished"
    assert has_a_report(answer.out)
    assert not any(e.status is ExperimentStatus.RUNNING for e in candidates(tmp_path / "home").values())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the driver's children are ended by Linux")
def test_kill_9_in_the_middle_of_an_outage_loses_nothing_and_resume_goes_on(
    tmp_path: Path, night: Callable[..., Answer]
) -> None:
    home, reached = tmp_path / "home", threading.Event()

    def away(request: dict[str, Any]) -> tuple[Any, ...] | None:
        if role_of(request) == ("Engineer", 2):
            reached.set()
        return AWAY if reached.is_set() else None

    model = Model(away)
    with serving(model) as (url, _):
        run = ["run", "--task", f"program:{tmp_path / 'task'}", "--model", "openai:tiny", "--base-url", url]
        driver = subprocess.Popen(
            [sys.executable, "-m", "move37", "--home", str(home), *run, "--budget", "3"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            assert any(reached.wait(1.0) or driver.poll() is not None for _ in range(PATIENCE))
            assert driver.poll() is None
        finally:
            os.kill(driver.pid, signal.SIGKILL)
            driver.wait()
        before = stages(home)
        assert any(key[:2] == ("c1-002", "hypothesis") for key in before)
        model.faults.clear()
        again = night("resume")
    assert again.status == 0 and status_of(home) == "finished" and has_a_report(again.out)
    assert before.items() <= stages(home).items()
    assert all(e.measurements for e in candidates(home).values())
    assert model.asked.count(("Researcher", 1)) == model.asked.count(("Researcher", 2)) == 1
