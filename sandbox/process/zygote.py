"""The process that jobs are forked from: it imports torch, forks on command, reaps, and never sees what a job holds."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from move37.sandbox.process import confine, namespaces
from move37.sandbox.process.host_support import HostSupport
from move37.sandbox.worker import child, syscalls
from move37.sandbox.worker.huge_pages import HugePages
from move37.sandbox.worker.warm_up import forget_ourselves, hide, warm_up

LINUX = sys.platform == "linux"
JOB_NICENESS = 5  # while every core trains, the campaign's own few milliseconds go first


class Zygote:
    """Forks on command, reaps, and reports."""

    def __init__(self, supervisor: socket.socket, support: HostSupport, root: Path) -> None:
        self.supervisor, self.support, self.root = supervisor, support, root
        self.job_pid = 0
        self.beside = 0.0  # processor seconds of orphans that were reaped since the last job
        self.huge_pages = HugePages()

    def run(self, *, warm: bool) -> None:
        if LINUX:
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        hide()
        forget_ourselves()
        greeting = warm_up(self.root, torch=warm, compiler=warm)
        wake, write = os.pipe()
        for descriptor in (wake, write):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self.supervisor.send(json.dumps(greeting).encode())
        poller = select.poll()
        poller.register(self.supervisor, select.POLLIN)
        poller.register(wake, select.POLLIN)
        while True:
            for descriptor, _ in poller.poll():
                if descriptor == wake:
                    os.read(wake, 4096)
                    self.reap()
                else:
                    self.obey()

    def obey(self) -> None:
        command, descriptors, _, _ = socket.recv_fds(self.supervisor, 16, 3 + len(namespaces.NAMES))
        if not command:
            os._exit(0)
        if command == b"fork":
            self.huge_pages.a_little()
            self.fork(descriptors)
        elif command == b"sweep":
            self.sweep()

    def fork(self, descriptors: list[int]) -> None:
        control, stdout, stderr, *spaces = descriptors
        if spaces:
            syscalls.setns(spaces[0], syscalls.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            os.nice(JOB_NICENESS)
            child.become_job(
                control,
                stdout,
                stderr,
                enter=lambda: enter_namespaces(spaces),
                confine=lambda spec: confine.confine(self.support, spec),
            )
        for descriptor in descriptors:
            os.close(descriptor)
        self.job_pid = pid
        self.supervisor.send(json.dumps({"forked": pid}).encode())

    def reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return
                self.report(pid, status, usage)

    def report(self, pid: int, status: int, usage: Any) -> None:
        if pid == self.job_pid:
            self.job_pid = 0
            figures = [usage.ru_utime, usage.ru_stime, usage.ru_maxrss]
            self.supervisor.send(json.dumps({"status": status, "usage": figures}).encode())
        else:
            self.beside += usage.ru_utime + usage.ru_stime

    def sweep(self) -> None:
        """Without namespaces: kill all descendants. Orphans have become our children, so a few rounds find them all."""
        while True:
            for pid in descendants() if LINUX else [self.job_pid]:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if pid and not LINUX:
                        os.killpg(pid, signal.SIGKILL)
                    elif pid:
                        os.kill(pid, signal.SIGKILL)
            try:
                pid, status, usage = os.wait4(-1, 0)
            except ChildProcessError:
                break
            self.report(pid, status, usage)
        self.supervisor.send(json.dumps({"swept": self.beside}).encode())
        self.beside = 0.0


def enter_namespaces(spaces: list[int]) -> None:
    """All of its namespaces but the first, which a child is born in."""
    for space in spaces[1:]:
        syscalls.setns(space, 0)


def descendants() -> list[int]:
    """Processes below this one, from /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found, waiting = [], [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found
