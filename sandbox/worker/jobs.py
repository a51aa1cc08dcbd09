"""One job after another: take its files in, watch it run, report how it ended and what it left.

This folder needs the standard library (and torch, where there is torch) and nothing else of ours: it is copied into the
image, where `main.py` is PID 1 with its standard input and output attached, and `sandbox/process/` builds its own
supervisor from the same parts.

Read in this order: `wire`, `isolation_protocol` (what holds a job), here `run_job`, `OutputRelay` (what happens while
it runs), `results`, `container`, `identity`, `child` and `program` (the inside of a job), `warm_up`, `main`.

Not covered: Windows; a second channel for control; a standard input that is still being written while the job runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

from move37.sandbox.worker.identity import acting_as, hand_over
from move37.sandbox.worker.isolation_protocol import Isolation, WaitingChild
from move37.sandbox.worker.results import ResultFiles, gather, send_files
from move37.sandbox.worker.wire import CHUNK, Gone, Incoming, Spec, Wire

PAGE = 4096
LOOK_SECONDS = 0.05  # between two looks at what the job holds
LINUX = sys.platform == "linux"


def send_spec(child: WaitingChild, spec: Spec, stdin: int | None) -> None:
    """Hand a waiting child its job, and what it reads on standard input."""
    data = json.dumps(spec).encode()
    data = struct.pack(">I", len(data)) + data
    sent = socket.send_fds(child.control, [data], [] if stdin is None else [stdin])
    if sent < len(data):  # with nothing left to send, a child that is done already would be an error
        child.control.sendall(data[sent:])


def trouble(child: WaitingChild) -> str | None:
    """Why the program could not start; None when it did. Only to be asked after the child has ended."""
    child.control.setblocking(False)
    with contextlib.suppress(OSError):
        return child.control.recv(4096).decode("utf-8", "replace") or None
    return None


class OutputRelay:
    """Passes on what a running job writes, until it ends, its time is over, or the host cancels it."""

    def __init__(self, wire: Wire, job: Spec, child: WaitingChild, isolation: Isolation) -> None:
        self.wire, self.job, self.child, self.isolation = wire, job, child, isolation
        self.room = int(job["limits"]["output_bytes"])
        self.truncated = False
        self.open = {child.stdout: b"1", child.stderr: b"2"}

    def run(self) -> str | None:
        """Why the job must end now; None when it ended by itself. Its time runs on while the host does not read."""
        now = time.monotonic()
        deadline, look = now + float(self.job["limits"]["wall_seconds"]), now + LOOK_SECONDS
        while self.child.poll() is None:
            now = time.monotonic()
            left = deadline - now
            if left <= 0:
                return "timeout"
            waiting = [self.child.wake, self.wire.reader, *([] if self.wire.full else self.open)]
            writing = [self.wire.writer] if self.wire.waiting else []
            ready, free, _ = select.select(waiting, writing, [], min(left, LOOK_SECONDS))
            for descriptor in ready:
                if descriptor == self.wire.reader and self._cancelled():
                    return "cancelled"
                if descriptor in self.open:
                    self.pass_on(descriptor)
            if free:
                self.wire.push()
            if now >= look:
                look = now + LOOK_SECONDS
                if reason := self.isolation.watch():
                    return reason
        return None

    def _cancelled(self) -> bool:
        kind, payload = self.wire.receive()
        if kind != b"C":
            raise Gone  # a frame that the protocol does not allow here: give up rather than guess
        return bool(json.loads(payload)["id"] == self.job["id"])

    def pass_on(self, descriptor: int) -> bool:
        """One read from a pipe of the job; what is over the limit is read and dropped, so the job never blocks."""
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return False
        if not data:
            del self.open[descriptor]
            return False
        kept = data[: self.room]
        self.truncated |= len(kept) < len(data)
        self.room -= len(kept)
        if kept:
            self.wire.queue(self.open[descriptor], kept)
            self.wire.push()
        return True

    def rest(self) -> None:
        """Read what is left in the pipes after all processes were killed; does not wait for survivors."""
        for descriptor in list(self.open):
            os.set_blocking(descriptor, False)
            while descriptor in self.open and self.pass_on(descriptor):
                pass


def receive_files(wire: Wire, job: Spec, isolation: Isolation) -> int | None:
    """Write the job's files below its folder: read-only, or its own; the descriptor of its standard input.

    Raises `OSError`, with all of them taken in.
    """
    incoming = Incoming(wire)
    work = isolation.root / "work"
    size_of_stdin = int(job["stdin"])
    total = size_of_stdin + sum(size for _, size, _ in job["files"])
    mode = 0o644 if job["writable"] else 0o444
    try:
        stdin = receive_stdin(incoming, isolation.root / "stdin", size_of_stdin) if size_of_stdin else None
        for name, size, executable in job["files"]:
            target = work / name
            target.parent.mkdir(parents=True, exist_ok=True)
            receive_file(incoming, target, size, mode | (0o111 if executable else 0))
    except OSError:
        for _ in incoming.take(total - incoming.taken):
            pass
        raise
    os.utime(work)  # now, by the clock of the files' times, which is coarser than any that Python names
    job["placed_ns"] = work.stat().st_mtime_ns
    if job["writable"]:
        hand_over(work, isolation.user)
    return stdin


def receive_file(incoming: Incoming, target: Path, size: int, mode: int) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with open(descriptor, "wb", buffering=0) as stream:
        for part in incoming.take(size):
            while part:
                part = part[stream.write(part) :]


def receive_stdin(incoming: Incoming, path: Path, size: int) -> int:
    """An open file without a name."""
    receive_file(incoming, path, size, 0o444)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    path.unlink()
    return descriptor


def tell_broken(wire: Wire, job: Spec, why: str) -> None:
    """The E frame of a job whose program never started."""
    nothing: Spec = {"exit_code": 0, "signal": 0, "reason": None, "out_of_memory": False, "truncated": False}
    nothing |= {"wall_seconds": 0.0, "cpu_seconds": 0.0, "peak_memory_bytes": 0, "refused": None, "files": []}
    wire.tell(b"E", id=job["id"], broken=why, left_out=[], left_out_count=0, **nothing)


def run_job(wire: Wire, job: Spec, isolation: Isolation) -> None:
    """One job from its J frame to the last byte of its results. Raises `Leftover` when it left something for ever."""
    # Input does not count as written by the job; a file takes whole pages, and a folder none.
    sizes = [int(job["stdin"]), *(size for _, size, _ in job["files"])]
    job["limits"]["input_bytes"] = sum(-(-size // PAGE) * PAGE for size in sizes)
    child = isolation.prepare(job["limits"])
    try:
        try:
            stdin = receive_files(wire, job, isolation)
        except OSError as error:
            isolation.kill_all(child)
            tell_broken(wire, job, f"its files cannot be written: {error.strerror}")
            return
        wire.tell(b"S", id=job["id"])
        relay = OutputRelay(wire, job, child, isolation)
        started = time.monotonic()
        tops = [] if job["writable"] else sorted({name.split("/")[0] for name, *_ in job["files"]})
        where = {"root": str(isolation.root), "tops": tops, "user": isolation.user}
        send_spec(child, {key: job[key] for key in ("argv", "env", "limits")} | where, stdin)
        if stdin is not None:
            os.close(stdin)
        try:
            reason = relay.run()
        except Gone:
            isolation.kill_all(child)
            raise
        wall = time.monotonic() - started
        status, usage = isolation.kill_all(child)
        relay.rest()
        report_end(wire, job, isolation, reason, status, usage, wall, relay.truncated, trouble(child))
    finally:
        child.control.close()
        os.close(child.stdout)
        os.close(child.stderr)
        isolation.clean()


def report_end(
    wire: Wire,
    job: Spec,
    isolation: Isolation,
    reason: str | None,
    status: int,
    usage: Any,
    wall: float,
    truncated: bool,
    broken: str | None,
) -> None:
    """The E frame and the results behind it."""
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    counted = {"cpu_seconds": cpu_of(usage), "peak_memory_bytes": peak_of(usage), "out_of_memory": False}
    counted |= isolation.usage()
    with acting_as(isolation.user):
        results = gather(isolation.root, job) if broken is None else ResultFiles(room=0)
        wire.tell(
            b"E",
            id=job["id"],
            exit_code=0 if killed else os.WEXITSTATUS(status),
            signal=killed,
            reason=reason,
            wall_seconds=wall,
            truncated=truncated,
            refused=results.refused,
            broken=broken,
            left_out=results.left_out,
            left_out_count=results.left_out_count,
            files=[[result.name, result.size, result.executable] for result in results.files.values()],
            **counted,
        )
        send_files(wire, results)


def cpu_of(usage: Any) -> float:
    return float(usage.ru_utime + usage.ru_stime)


def peak_of(usage: Any) -> int:
    return int(usage.ru_maxrss) * (1024 if LINUX else 1)


def serve(wire: Wire, isolation: Isolation) -> None:
    """Jobs, one after another, until the host goes."""
    with contextlib.suppress(Gone):
        while True:
            isolation.idle(wire.reader)
            kind, payload = wire.receive()
            if kind == b"J":
                run_job(wire, json.loads(payload), isolation)
