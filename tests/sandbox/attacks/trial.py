"""Runs one attack on one sandbox and collects what is needed to judge it.

`Host` is the prey: a secret file, a secret variable, a process, sockets and a file that everybody may write, all made
for the attack and looked at afterwards. `try_attack` runs the program, then a job that must find the sandbox in order,
then, where the table says so, a job of another candidate that must find no trace.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from move37.sandbox.job import MIB, Job, Limits, Outcome
from move37.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from tests.sandbox.attacks.table import Attack

FOLDER = Path(__file__).parent
VARIABLE = "MOVE37_TEST_SECRET"
SMALL = Limits(
    wall_seconds=20.0,
    memory_bytes=512 * MIB,
    pids=64,
    disk_bytes=64 * MIB,
    file_bytes=64 * MIB,
    output_bytes=1 * MIB,
    result_bytes=1 * MIB,
)
HEALTH = b"print('well')\n"


class Host:
    """What an attack may try to reach, and whether it did."""

    def __init__(self) -> None:
        token = secrets.token_hex(12)
        self.token = token
        self._folder = tempfile.TemporaryDirectory(prefix="move37-prey-")
        folder = Path(self._folder.name)
        folder.chmod(0o755)
        self.secret = folder / "secret.txt"
        self.secret.write_text(f"secret-{token}")
        self.secret.chmod(0o644)
        self.writable = folder / "writable.txt"
        self.writable.write_text("untouched")
        self.writable.chmod(0o666)
        os.environ[VARIABLE] = f"variable-{token}"
        self._listeners = [socket.socket(), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
        self._listeners[0].bind(("127.0.0.1", 0))
        self._listeners[1].bind(f"\0move37-{token}")
        self._listeners[2].bind(str(folder / "socket"))
        (folder / "socket").chmod(0o777)
        for listener in self._listeners:
            listener.listen()
            listener.setblocking(False)
        self._process = subprocess.Popen([sys.executable, "-S", "-c", "input()", f"marker-{token}"], stdin=-1)
        self._name = socket.gethostname()
        self._core = Path("/proc/sys/kernel/core_pattern")
        self._pattern = self._core.read_text() if self._core.exists() else ""
        self._clock = time.time() - time.monotonic()
        self.halves = secrets.token_bytes(24), secrets.token_bytes(24)

    def targets(self) -> dict[str, Any]:
        """What the program is told."""
        return {
            "secret": str(self.secret),
            "writable": str(self.writable),
            "project": str(FOLDER.parents[2]),
            "variable": f"variable-{self.token}",
            "marker": f"marker-{self.token}",
            "pid": self._process.pid,
            "port": self._listeners[0].getsockname()[1],
            "abstract": f"move37-{self.token}",
            "socket": str(self.secret.with_name("socket")),
            "first": base64.b64encode(self.halves[0]).decode(),
            "second": base64.b64encode(self.halves[1]).decode(),
        }

    def harm(self) -> str:
        """What was done to the host; empty when nothing was."""
        found = []
        for listener in self._listeners:
            try:
                listener.accept()[0].close()
                found.append("a socket of the host was reached")
            except BlockingIOError:
                pass
        if self.writable.read_text() != "untouched":
            found.append("a file of the host was written")
        if self._process.poll() is not None:
            found.append("a process of the host was killed")
        if socket.gethostname() != self._name:
            found.append("the host was renamed")
        if abs(time.time() - time.monotonic() - self._clock) > 5:
            found.append("the clock was moved")
        if self._pattern and self._core.read_text() != self._pattern:
            found.append("the core pattern was changed")
        return "; ".join(found)

    def close(self) -> None:
        os.environ.pop(VARIABLE, None)
        self._process.kill()
        self._process.communicate()
        for listener in self._listeners:
            listener.close()
        self._folder.cleanup()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One attack on one sandbox, as it went."""

    outcome: Outcome
    limits: Limits
    seconds: float  # from the call to its return, on the host's clock
    secret: str  # what the attacked host would not tell
    health: Outcome  # of a plain job that followed, of the same candidate
    after: Outcome | None  # of the job of another candidate
    harm: str  # what the host suffered
    survivors: int  # processes that should not be there

    @property
    def text(self) -> str:
        return self.outcome.stdout.decode("utf-8", "replace")


async def try_attack(
    attack: Attack,
    sandbox: Sandbox,
    count: Callable[[], Awaitable[int]],
    *,
    trust: str = "attacker",
    limits: Limits = SMALL,
) -> Trial:
    """Raises what the sandbox raises: an attack that breaks it has won.

    All attacks share one `trust`, so that each also meets whatever the earlier ones left.
    """
    await sandbox.run(_job(trust, {"main.py": HEALTH}, SMALL))  # a start is nobody's time
    host = Host()
    try:
        files = {
            "main.py": (FOLDER / "programs" / f"{attack.program}.py").read_bytes(),
            "attack.py": (FOLDER / "attack.py").read_bytes(),
            "targets.json": json.dumps(host.targets()).encode(),
            "judge.py": b"def score():\n    return 0.0\n",
        }
        given = attack.limits(limits)
        secret = {"secret.bin": host.halves[0] + host.halves[1]} if attack.secret_input else {}
        started = time.monotonic()
        outcome = await sandbox.run(_job(trust, files | secret, given, collect=attack.collect))
        seconds = time.monotonic() - started
        after = None
        if not attack.same:
            healthy = await sandbox.run(_job(trust, {"main.py": HEALTH}, SMALL))
        if attack.then:
            files["main.py"] = (FOLDER / "afterwards" / f"{attack.then}.py").read_bytes()
            after = await sandbox.run(_job(trust if attack.same else f"{trust}-other", files, SMALL))
        if attack.same:
            healthy = await sandbox.run(_job(trust, {"main.py": HEALTH}, SMALL))
        survivors = 0
        for _ in range(20):
            if (survivors := await count()) == 0:
                break
            await asyncio.sleep(0.1)
        await sandbox.release(f"{trust}-other")
        return Trial(
            outcome=outcome,
            limits=given,
            seconds=seconds,
            secret=f"secret-{host.token}",
            health=healthy,
            after=after,
            harm=host.harm(),
            survivors=survivors,
        )
    finally:
        host.close()


def _job(trust: str, files: dict[str, bytes], limits: Limits, *, collect: tuple[str, ...] = ()) -> Job:
    return Job(
        id=f"{trust}-{uuid4().hex[:6]}",
        trust=trust,
        argv=("python", "main.py"),
        files=files,
        collect=collect,
        limits=limits,
    )
