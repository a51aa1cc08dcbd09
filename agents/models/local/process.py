"""The model's server as a child process: started at the first call, watched, started again when it died.

It listens on loopback at a port of its own choice, which it prints; it ends when our end of its stdin closes, so that
it never outlives us, however we end.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import structlog

from move37.agents.errors import ModelUnavailable
from move37.agents.models.local import AT_ONCE

log = structlog.get_logger()

START_SECONDS = 300.0  # to read a large file from a slow disk
MOST_DEATHS = 3  # in a row, without one answer between them


_open: WeakValueDictionary[tuple[Any, ...], LocalServer] = WeakValueDictionary()


def server_of(path: Path, options: Sequence[str] = ()) -> LocalServer:
    """The server of a file and its options: whoever holds one already shares it, within one event loop."""
    try:
        loop = id(asyncio.get_running_loop())
    except RuntimeError:
        loop = None
    key = (path.resolve(), tuple(options), loop)
    if (server := _open.get(key)) is None:
        server = _open[key] = LocalServer(path, options)
    server.users += 1
    return server


class LocalServer:
    """One server process for one model file. `users` close it: it ends with the last of them."""

    def __init__(self, path: Path, options: Sequence[str] = ()) -> None:
        self.path = path
        self.users = 0
        self.turns = asyncio.Semaphore(AT_ONCE)  # of all users: a call that waits for the slot is not timed yet
        self._options = tuple(options)
        self._process: asyncio.subprocess.Process | None = None
        self._address = ""
        self._complaints: deque[str] = deque(maxlen=5)
        self._reader: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self.deaths = 0

    async def address(self) -> str:
        """The server's base URL; starts it where it does not run. Raises `ModelUnavailable`."""
        async with self._lock:
            if self._process is not None and self._process.returncode is None:
                return self._address
            if self._process is not None:
                self.deaths += 1
                log.warning("local_model_died", path=str(self.path), status=self._process.returncode)
                if self.deaths >= MOST_DEATHS:
                    raise ModelUnavailable(
                        f"the process of {self.path.name} ended {self.deaths} times in a row ({self._why()}): is the "
                        "file a GGUF model, and does it fit into memory?"
                    )
            await self._start()
            return self._address

    def answered(self) -> None:
        """The server gave an answer: deaths before it are forgotten."""
        self.deaths = 0

    async def _start(self) -> None:
        command = [sys.executable, "-P", "-m", "move37.agents.models.local.serve", str(self.path), *self._options]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        assert process.stdout is not None and process.stderr is not None
        self._process = process
        self._complaints.clear()
        self._reader = asyncio.create_task(self._read(process.stderr))
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await process.stdout.readline()
            self._address = str(json.loads(line)["address"])
        except (TimeoutError, ValueError, KeyError, TypeError) as error:
            await self._end()
            raise ModelUnavailable(
                f"{self.path} does not start as a model ({self._why()}): name a GGUF file that llama.cpp can read"
            ) from error
        log.info("local_model_started", path=str(self.path), address=self._address)

    async def _read(self, stderr: asyncio.StreamReader) -> None:
        while line := await stderr.readline():
            self._complaints.append(line.decode(errors="replace").strip())

    def _why(self) -> str:
        return next((line for line in reversed(self._complaints) if line), "it said nothing")[:200]

    async def close(self) -> None:
        """One user is done with it; end the process after the last."""
        self.users -= 1
        async with self._lock:
            if self.users <= 0:
                await self._end()

    async def _end(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            process.kill()  # it holds nothing that could be lost
            await process.wait()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)
        self._process = self._reader = None
