"""Logs: readable on stderr, whole JSON lines in the home, nothing on stdout, other libraries in the file alone."""

from __future__ import annotations

import ast
import json
import logging
import resource
import signal
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
import structlog

from move37.app import logs


@pytest.fixture(autouse=True)
def _undone() -> Iterator[None]:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def test_the_console_is_stderr_and_obeys_its_level(capsys: pytest.CaptureFixture[str]) -> None:
    logs.to_console("warning")
    log = structlog.get_logger()
    log.info("job_finished", job="j1")
    log.warning("sandbox_changed", using="process", why="a\x1b[31m")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "! sandbox changed: using=process why=a␛[31m\n"


def test_the_file_has_one_json_object_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = logs.to_file(tmp_path, "error")
    structlog.get_logger().info("job_finished", job="j1", seconds=1.5, text="two\nlines")
    logging.getLogger("autogen_core").error("it broke", exc_info=ValueError("inside"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["event"] == "job_finished" and lines[0]["level"] == "info" and lines[0]["at"]
    assert lines[1]["logger"] == "autogen_core" and "ValueError" in lines[1]["exception"]
    assert capsys.readouterr() == ("", "")


def test_a_log_that_cannot_be_written_raises_nothing_and_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / logs.FILE).symlink_to("/dev/full")
    logs.to_file(tmp_path, "warning")
    structlog.get_logger().info("job_finished", job="j1")
    structlog.get_logger().warning("sandbox_changed", using="process")
    logging.getLogger("autogen_core").error("it broke", exc_info=ValueError("inside"))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "No space left" in said[0] and said[1] == "! sandbox changed: using=process"


def test_a_line_that_found_half_its_room_spoils_none_after_it(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    path = logs.to_file(small, "warning")
    log = structlog.get_logger()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit is a short one, then an error
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        log.warning("first", text="x" * 200)
        log.warning("second")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    log.warning("third", text="half of \ud83d")
    lines = path.read_text().splitlines()
    assert len(lines) == 2 and json.loads(lines[1])["event"] == "third"


def test_a_stderr_that_is_full_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stderr", full)
        logs.to_console("warning")
        structlog.get_logger().warning("sandbox_changed", using="process")
        monkeypatch.undo()
        with suppress(OSError):
            full.close()


@cache
def _logged() -> dict[str, set[str]]:
    """Event -> the facts that every place which logs it gives."""
    found: dict[str, set[str]] = {}
    for room in ("agents", "app", "lab", "memory", "sandbox"):
        for path in Path(logs.__file__).parents[1].joinpath(room).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text())):
                if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or not call.args:
                    continue
                event = call.args[0]
                if call.func.attr == "warning" and isinstance(event, ast.Constant) and isinstance(event.value, str):
                    facts = {word.arg for word in call.keywords if word.arg}
                    found[event.value] = found.get(event.value, facts) & facts
    return found


@pytest.mark.parametrize("event", logs.SENTENCES)
def test_what_a_user_may_meet_is_a_sentence_over_facts_that_are_there(
    event: str, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = {name: name for _, name, _, _ in Formatter().parse(logs.SENTENCES[event]) if name}
    assert facts.keys() <= _logged()[event]
    logs.to_console("warning")
    structlog.get_logger().warning(event, **(facts | {"pause": 2.0}))
    said = capsys.readouterr().err
    assert said.startswith("! ") and "=" not in said and said.count("\n") == 1
    structlog.get_logger().warning(event)
    assert capsys.readouterr().err.startswith(f"! {event.replace('_', ' ')}") or not facts
