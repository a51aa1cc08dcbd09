"""What the Docker backend protects with on this machine, line by line for `move37 doctor`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from move37.sandbox.docker.confinement import GVISOR
from move37.sandbox.job import Protection

# Enforced by every daemon that accepts the request body: it fails to create the container otherwise.
_ALWAYS = (
    ("network", "a namespace of its own with a loopback device and nothing else"),
    ("root file system", "read-only; /tmp and /dev/shm are the only places to write, both sized and in memory"),
    ("user", "65534 with every capability dropped and no-new-privileges: no setuid file gives anything"),
    ("mount, pid, ipc, uts namespaces", "host files, processes and shared memory cannot be named"),
    ("wall clock", "kept by us, outside the container, which is killed"),
    ("output and results", "capped while they are read; only declared regular files come back"),
    ("one candidate, one container", "never reused for another; each job is a forked child, swept when it ends"),
)
_CONTROLLERS = (
    ("MemoryLimit", "memory", "of all processes together"),
    ("SwapLimit", "no swap", "memory and swap share one limit"),
    ("PidsLimit", "processes", "a fork bomb ends at the limit"),
    ("CpuCfsQuota", "processor time", "a quota of as many cores as the job may use threads"),
)


def list_protections(info: Mapping[str, Any], runtime: str = "") -> tuple[Protection, ...]:
    """From the engine's own description of itself, and the runtime that was asked for."""
    options = [str(option) for option in info.get("SecurityOptions") or ()]
    found = [Protection(name=name, active=True, detail=detail) for name, detail in _ALWAYS]
    for key, name, detail in _CONTROLLERS:
        active = bool(info.get(key))
        found.append(
            Protection(name=name, active=active, detail=detail if active else "this kernel offers no such control")
        )
    gvisor = runtime == GVISOR
    seccomp = any("name=seccomp" in option for option in options) and not gvisor
    detail = "an allow list of system calls, narrower than Docker's own"
    if gvisor:
        detail = "gVisor answers system calls itself and does not read our profile"
    found.append(Protection(name="seccomp", active=seccomp, detail=detail))
    found.append(Protection(name="gVisor", active=gvisor, detail="a kernel of its own between the job and this one"))
    remapped = any("name=userns" in option or "name=rootless" in option for option in options)
    found.append(
        Protection(
            name="user namespace",
            active=remapped,
            detail="uid 65534 inside is a subordinate uid outside"
            if remapped
            else "the daemon runs without userns-remap",
        )
    )
    apparmor = any("name=apparmor" in option for option in options)
    found.append(
        Protection(name="AppArmor", active=apparmor, detail="docker-default" if apparmor else "not on this kernel")
    )
    return tuple(found)
