"""`protections()` of the process backend: a job tries what each protection stops, and the host reads what it found.

A line is active only when the attempt failed inside *and* the zygote says that it put the protection up. Not covered:
whether limits hit at the right size; tests/sandbox does that.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from move37.sandbox.job import Job, Limits, Outcome, Protection, Status

PROGRAM = r"""
import ctypes, errno, json, os, socket, sys

def fails(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno, "?")
    except Exception as error:
        return type(error).__name__
    return ""

def status():
    try:
        lines = open("/proc/self/status").read().splitlines()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

def connect():
    with socket.socket() as probe:
        probe.settimeout(1)
        probe.connect(("192.0.2.1", 80))

def unshare():
    if ctypes.CDLL(None, use_errno=True).unshare(0x10000000):
        raise OSError(ctypes.get_errno(), "unshare")

found = status()
parent = os.getppid()
print(json.dumps({
    "pids": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()) if os.path.isdir("/proc/self") else [],
    "parent": parent,
    "uid": os.getuid(),
    "capabilities": found.get("CapEff", ""),
    "no_new_privs": found.get("NoNewPrivs", ""),
    "seccomp": found.get("Seccomp", ""),
    "connect": fails(connect),
    "unshare": fails(unshare),
    "home": fails(lambda: os.listdir(os.path.dirname(HOST_FILE))),
    "host_file": fails(lambda: open(HOST_FILE).read()),
    "write_system": fails(lambda: open("/usr/move37-probe", "w")),
    "environment": sorted(os.environ),
}))
""".lstrip()


def job() -> Job:
    """The job that tries; the file it looks for is this one, which only the host has."""
    source = f"HOST_FILE = {__file__!r}\n{PROGRAM}"
    return Job(
        id=f"probe-{uuid4().hex[:8]}",
        trust="probe",
        argv=("python", "probe.py"),
        files={"probe.py": source.encode()},
        limits=Limits(wall_seconds=20, memory_bytes=1 << 30),
    )


def read(outcome: Outcome, report: dict[str, Any]) -> tuple[Protection, ...]:
    """The lines of `move37 doctor`."""
    found: dict[str, Any] = {}
    if outcome.status is Status.DONE:
        found = json.loads(outcome.stdout)
    why: dict[str, str] = report["reasons"]
    spaces = bool(report["spaces"])
    no_spaces = f"namespaces are not to be had: {why.get('namespaces', '')}"
    no_group = f"no cgroup: {why.get('cgroup') or 'none may be made here'}"

    def line(name: str, active: object, detail: str, missing: str) -> Protection:
        return Protection(name=name, active=bool(active), detail=detail if active else missing)

    isolated = spaces and found.get("parent") == 0
    network = "its own namespace with nothing but loopback" if spaces else "sockets are refused (system call filter)"
    how = "an unprivileged user namespace" if report["spaces"] == "user" else "root"
    return (
        line("process namespace", isolated, f"it sees and signals only its own processes (through {how})", no_spaces),
        line("no network", found.get("connect"), network, no_spaces),
        line("mount namespace", spaces and found.get("host_file"), "a file system of our making, read-only", no_spaces),
        line("other namespaces", spaces, "host name, System V IPC, cgroup view", no_spaces),
        line(
            "no capabilities",
            found.get("capabilities", "").strip("0") == "" and found,
            f"uid {found.get('uid')} with none, and none to be gained",
            "the job keeps capabilities",
        ),
        line(
            "a user of its own",
            report["change_user"] and found.get("uid") not in (None, 0, 65534),
            f"uid {found.get('uid')}, another for each job: what the kernel counts for a user is one job's",
            why.get("user", "without root or namespaces there is one user"),
        ),
        line("no new privileges", found.get("no_new_privs") == "1", "setuid programs gain nothing", "Linux only"),
        line(
            "Landlock",
            report["landlock"] and found.get("host_file"),
            f"version {report['landlock']}: reads a list of folders, writes its own",
            why.get("landlock", ""),
        ),
        line(
            "system call filter",
            found.get("seccomp") == "2" and found.get("unshare"),
            f"{report['seccomp']} instructions: no io_uring, bpf, keys, ptrace, namespaces",
            why.get("seccomp", ""),
        ),
        line(
            "memory limit of all processes", report["memory_group"], "cgroup, without swap", _memory(report, no_group)
        ),
        line("process limit", report["process_group"] or spaces, _processes(report), no_group),
        line("disk limit", spaces, "all it writes goes to one sized tmpfs", f"only one file's size; {no_spaces}"),
        line("host environment hidden", found and "HOME" in found["environment"], "nothing is inherited", "unknown"),
        line("time limit from outside", True, "the parent kills, and the host kills the parent", ""),
    )


def _memory(report: dict[str, Any], no_group: str) -> str:
    each = "each process by RLIMIT_DATA"
    return (
        f"{each}, all together by looking every 50 ms; {no_group}" if report["spaces"] else f"{each} only; {no_group}"
    )


def _processes(report: dict[str, Any]) -> str:
    return "cgroup" if report["process_group"] else "RLIMIT_NPROC of its user namespace"
