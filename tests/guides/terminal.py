"""A shell in which a command of the pages is typed: begun, read, spoken to, ended as a reader would end it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.guides.conftest import surroundings
from tests.guides.pages import ROOT

PATIENCE = 570.0  # seconds for what a busy machine may be slow at


class Typed:
    """One line in a shell of its own; use as a context, which leaves nothing running."""

    def __init__(self, line: str, folder: Path, *, terminal: bool = False, **more: str) -> None:
        programs = folder / "bin"
        programs.mkdir(exist_ok=True)
        (programs / "move37").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m move37 "$@"\n')
        (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        for program in programs.iterdir():
            program.chmod(0o755)
        more["PATH"] = os.pathsep.join((str(programs), os.environ["PATH"]))
        more["PYTHONPATH"] = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
        self.line, self.output = line, folder / f"said-{time.monotonic_ns()}.txt"
        self.keys, screen = pty.openpty() if terminal else (-1, -1)
        with self.output.open("wb") as said:
            out = screen if terminal else said
            self.process = subprocess.Popen(
                ["bash", "-c", line], cwd=folder, env=surroundings(PYTHONUNBUFFERED="1", TERM="xterm", **more),
                stdin=screen if terminal else subprocess.PIPE, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        if terminal:
            termios.tcsetwinsize(screen, (40, 130))
            os.close(screen)
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with (
            self.output.open("ab", buffering=0) as said,
            suppress(OSError),
        ):  # raised when the terminal's last user ends
            while shown := os.read(self.keys, 65536):
                said.write(shown)

    def __enter__(self) -> Typed:
        return self

    def __exit__(self, *raised: object) -> None:
        self._close_stdin()
        with suppress(ProcessLookupError):  # also what a shell has left in the background
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.keys >= 0:
            os.close(self.keys)

    def _close_stdin(self) -> None:
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()

    @property
    def said(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def says(self, pattern: str) -> re.Match[str]:
        """As soon as it has said so; fails when it has ended without, or says nothing of the kind for long."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            if found := re.search(pattern, self.said):
                return found
            assert not ended, f"{self.line} ended with {self.process.returncode}:\n{self.said}"
            time.sleep(0.05)
        raise AssertionError(f"{self.line} did not say {pattern!r}:\n{self.said}")

    def hears(self, text: str) -> None:
        """A line typed at it."""
        if self.process.stdin is None:
            os.write(self.keys, f"{text}\r".encode())
            return
        self.process.stdin.write(f"{text}\n".encode())
        self.process.stdin.flush()

    def left(self) -> int:
        """Ctrl-D at its prompt, and the status that it leaves with."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:  # between two prompts a key may be lost
            with suppress(OSError):
                os.write(self.keys, b"\x04")
            time.sleep(1.0)
        return self.process.wait(1.0)

    def interrupted(self) -> int:
        """Ctrl-C, and the status that it leaves with."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(PATIENCE)

    def ended(self) -> int:
        """Its status when it ends by itself; nothing more is typed."""
        self._close_stdin()
        return self.process.wait(PATIENCE)
