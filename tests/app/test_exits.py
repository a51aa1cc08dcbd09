"""Every error that a room can raise has an exit status, and the person gets one line."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from importlib import import_module

import pytest
import typer

from move37.app import __main__
from move37.app.exits import STATUS, BadInput, Exit, status_of
from tests.app.conftest import Move37


def errors() -> Iterator[type[Exception]]:
    for room in ("lab", "sandbox", "memory", "agents"):
        for thing in vars(import_module(f"move37.{room}.errors")).values():
            if isinstance(thing, type) and issubclass(thing, Exception) and thing.__module__ == f"move37.{room}.errors":
                yield thing


@pytest.mark.parametrize("kind", list(errors()), ids=lambda k: f"{k.__module__.split('.')[1]}.{k.__name__}")
def test_every_error_of_every_room_is_mapped(kind: type[Exception]) -> None:
    assert status_of(kind("why")) in (Exit.WRONG_USE, Exit.ENVIRONMENT)


def test_the_map_names_classes_that_exist() -> None:
    for path in STATUS:
        module, _, name = path.rpartition(".")
        assert hasattr(import_module(module), name), path


@pytest.mark.parametrize("kind", list(errors()), ids=lambda k: f"{k.__module__.split('.')[1]}.{k.__name__}")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_whatever_a_full_disk_stopped_is_the_machines_fault(kind: type[Exception], number: int) -> None:
    error = kind("why")
    error.__cause__ = OSError(number, "no room")
    assert status_of(error) == Exit.ENVIRONMENT


def test_an_unknown_error_has_no_status() -> None:
    assert status_of(RuntimeError("ours")) is None


def in_the_middle_of_a_class() -> Exception:
    """What Python 3.11 makes of a Ctrl-C that comes while it makes one."""
    error = RuntimeError("Error calling __set_name__ on 'Field' instance 'entries' in '_Gathered'")
    error.__cause__ = KeyboardInterrupt()
    return error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadInput("mend\nthis"), 2),
        (KeyboardInterrupt(), 130),
        (in_the_middle_of_a_class(), 130),
        (typer.Abort(), 130),
        (typer.Exit(1), 1),
    ],
)
def test_what_a_command_raises_becomes_one_line_and_a_status(
    move37: Move37, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int
) -> None:
    def build() -> object:
        def command(**_: object) -> None:
            raise error

        return command

    monkeypatch.setattr(__main__, "command", build)
    answer = move37("anything")
    assert answer.status == status and answer.out == ""
    assert answer.err in ("", "move37: mend this\n")


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.EROFS, errno.ENOSPC, errno.ELOOP])
def test_a_path_that_cannot_be_used_is_one_line(move37: Move37, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def command(**_: object) -> None:
        raise OSError(number, os.strerror(number), "/a/path")

    monkeypatch.setattr(__main__, "command", lambda: command)
    answer = move37("anything")
    assert answer.status == Exit.ENVIRONMENT
    assert answer.err.startswith(f"move37: /a/path: {os.strerror(number)}") and answer.err.count("\n") == 1


def test_a_fault_of_ours_shows_its_trace_and_is_no_answer(move37: Move37, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(__main__, "command", lambda: lambda **_: 1 / 0)
    answer = move37("anything")
    assert answer.status == Exit.ENVIRONMENT
    assert "ZeroDivisionError" in answer.err and "move37 resume" in answer.err
