"""Starts candidates' processes, as forks of a process that never had data and never runs a candidate.

A fork copies memory. So the spawner is forked first, before the trusted process reads a token; every candidate's
process is a fork of the spawner, with shared memory of its own only. All of them are alike: none can tell from its
memory whether it is used for a training, for one step's check or for scoring.

Read `Spawner`; `_serve` is the spawner's own loop.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import mmap
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from move37.lab.inside import device, process_locks
from move37.lab.inside.candidate import serve
from move37.lab.inside.wire import Channel, ChannelClosed
from move37.lab.training.contract import FILE_NAME
from move37.sandbox.worker.docstrings import forget_docstrings

REGION = 512 * 2**20  # bytes of address space for one process's tensors; memory is taken as it is touched
SLOTS = 8  # candidate's processes alive at the same time
HANGS = signal.SIGUSR1  # a process that gets it writes its stack
IDLE = 4.0  # seconds of wall clock allowed for one CPU second, so that a busy machine fails no candidate
LARGEST_DUMP = 65536
DUMP_SECONDS, DUMP_PAUSE = 10.0, 1.0  # for all of it, and between two pieces, on a busy machine
_NEW, _END = b"n", b"e"


@dataclass(slots=True)
class Process:
    """A candidate's process, as the trusted process sees it."""

    pid: int
    channel: Channel
    slot: int
    hang: int  # reading end of the pipe on which it writes its stack
    missing: tuple[str, ...] = field(default=())  # locks that this system does not have


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended."""

    status: int  # exit status, or minus the signal's number
    cpu_seconds: float


class Spawner:
    """Start it before any data is read. `denied` are the files that no candidate may read."""

    def __init__(self, denied: Sequence[Path], *, slots: int = SLOTS) -> None:
        import torch._dynamo  # noqa: F401  (some of torch imports it late, and it imports the package that is closed)

        process_locks.hide()
        self._regions = [mmap.mmap(-1, REGION) for _ in range(slots)]
        self._free = list(range(slots))
        self._control, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._control.close()
                process_locks.die_with_parent()
                _serve(theirs, self._regions, denied)
            finally:
                os._exit(0)
        theirs.close()

    def new(self) -> Process:
        """A fresh process, in which nothing is loaded yet. Raises `ChannelClosed` when the spawner is gone."""
        slot = self._free.pop()
        with contextlib.suppress(OSError):
            self._regions[slot].madvise(mmap.MADV_REMOVE)  # so that nothing of an earlier process is left
        ours, theirs = socket.socketpair()
        hang, theirs_hang = os.pipe()
        socket.send_fds(self._control, [_NEW + bytes([slot])], [theirs.fileno(), theirs_hang])
        theirs.close()
        os.close(theirs_hang)
        (pid,) = struct.unpack("<i", self._reply(4))
        process = Process(pid, Channel(ours, self._regions[slot]), slot, hang)
        head, _ = process.channel.receive()
        process.missing = tuple(head["missing"])
        return process

    def end(self, process: Process) -> Ended:
        """Kill it, unless it has ended by itself, and say how it ended."""
        process.channel.close()
        os.close(process.hang)
        self._control.sendall(_END + struct.pack("<i", process.pid))
        status, seconds = struct.unpack("<id", self._reply(12))
        self._free.append(process.slot)
        return Ended(status=status, cpu_seconds=seconds)

    def close(self) -> None:
        """End the spawner and all that it started."""
        self._control.close()
        os.waitpid(self.pid, 0)

    def _reply(self, size: int) -> bytes:
        data = self._control.recv(size, socket.MSG_WAITALL)
        if len(data) < size:
            raise ChannelClosed("the spawner is gone")
        return data


def wait(process: Process, seconds: float) -> None:
    """Return when it answers. Raises `TimeoutError` after `seconds` of CPU time, or IDLE times that of wall clock."""
    began = time.monotonic()
    used: float | None = None
    while not select.select([process.channel.line], [], [], 0.25)[0]:
        now = cpu_seconds_of(process.pid)  # not before: most requests are answered at once
        used = now if used is None else used
        if now - used > seconds or time.monotonic() - began > IDLE * seconds:
            raise TimeoutError


def where_it_hangs(process: Process) -> str:
    """The candidate's own lines of a dump that its process is asked for; it may have turned that off."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, HANGS)
    dump, until, patience = b"", time.monotonic() + DUMP_SECONDS, DUMP_SECONDS
    # The dump comes in pieces without an end mark, and a candidate could write for ever.
    while time.monotonic() < until and select.select([process.hang], [], [], patience)[0]:
        piece = os.read(process.hang, LARGEST_DUMP)
        if not piece:
            break
        dump, patience = (dump + piece)[:LARGEST_DUMP], DUMP_PAUSE
    lines = dump.decode("utf-8", "replace").splitlines()
    return "\n".join([line for line in lines if f'"{FILE_NAME}"' in line][:20])


def cpu_seconds_of(pid: int) -> float:
    """CPU seconds of a running process; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def _serve(control: socket.socket, regions: Sequence[mmap.mmap], denied: Sequence[Path]) -> None:
    forget_docstrings(process_locks.CORPUS)
    # With a card each process closes its files by itself, once the driver has opened what it needs.
    files_closed = None if device.given() else process_locks.close_files(denied)
    alive: set[int] = set()
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, 5, 2)
        if not order:
            break
        if order[:1] == _NEW:
            pid = os.fork()
            if pid == 0:
                try:
                    _become_candidate(control, regions, order[1], descriptors, denied, files_closed=files_closed)
                finally:
                    os._exit(1)
            for descriptor in descriptors:
                os.close(descriptor)
            alive.add(pid)
            control.sendall(struct.pack("<i", pid))
        else:
            (pid,) = struct.unpack("<i", order[1:])
            alive.discard(pid)
            control.sendall(_end(pid))
    for pid in alive:
        _end(pid)


def _end(pid: int) -> bytes:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    return struct.pack("<id", os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime)


def _become_candidate(
    control: socket.socket, regions: Sequence[mmap.mmap], slot: int, lines: Sequence[int], denied: Sequence[Path], *,
    files_closed: bool | None,
) -> None:  # fmt: skip
    """Close what a candidate must not have, set the locks, and serve."""
    process_locks.die_with_parent()
    control.close()
    for other, region in enumerate(regions):
        if other != slot:
            region.close()
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # only the trusted process writes progress, reports and errors
        os.dup2(nothing, standard)
    high = [fcntl.fcntl(line, fcntl.F_DUPFD, 10) for line in lines]  # out of the way of 3 and 4
    for target, descriptor in enumerate(high, start=3):
        os.dup2(descriptor, target)
    os.closerange(5, os.sysconf("SC_OPEN_MAX"))
    faulthandler.register(HANGS, file=4, all_threads=False)
    place = device.start()
    if files_closed is None:
        files_closed = process_locks.close_files(denied, writable=device.nodes())
    calls_closed = process_locks.close_calls()
    channel = Channel(socket.socket(fileno=3), regions[slot])
    locks = {process_locks.LANDLOCK: files_closed, process_locks.SECCOMP: calls_closed}
    channel.send({"missing": [name for name, closed in locks.items() if not closed]})
    serve(channel, place)
