"""Logs: readable on stderr, whole JSON lines in the home, nothing on stdout, other libraries in the file alone."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

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
