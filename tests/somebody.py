"""A call made as another user, to whom files can be closed: tests that run as root have nobody to refuse."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from typing import TypeVar

import pytest

USER = 54321  # nobody's in particular
T = TypeVar("T")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


def as_somebody(work: Callable[..., T], *arguments: object) -> T:
    """The result of `work`, in a fork of this process that has become `USER`; its exception is an `EOFError` here."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresuid(USER, USER, USER)
            with os.fdopen(writer, "wb") as file:
                file.write(pickle.dumps(work(*arguments)))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        answer = file.read()
    os.waitpid(pid, 0)
    found: T = pickle.loads(answer)
    return found
