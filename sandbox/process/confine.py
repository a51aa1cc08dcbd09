"""What a child gives up before it becomes the program: capabilities, identity, files, system calls; in this order.

`confine` raises when something that was promised cannot be put up: the job is then not run at all. Standard library
only: the zygote imports this.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Any

from move37.sandbox.process import rootfs
from move37.sandbox.process.host_support import HostSupport
from move37.sandbox.worker import identity, landlock, syscalls


def confine(support: HostSupport, spec: dict[str, Any]) -> None:
    """In the child, in its namespaces, with the job's files in place. Raises `OSError`."""
    if sys.platform != "linux":
        return
    root = spec["root"]
    gpus = int(spec["limits"].get("gpus", 0))
    devices = [str(path) for path in rootfs.gpu_devices()] if gpus else []
    if support.spaces:
        for name in spec["tops"]:
            _protect(f"{root}/work/{name}")
        devices = _take_devices(gpus)
    if spec["user"] is not None:
        _become(spec["user"])
    syscalls.drop_capabilities()
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user forgets it
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if support.landlock:
        _restrict_files(support, root, devices)
    if support.filter:
        syscalls.load_filter(support.filter)


def _protect(path: str) -> None:
    """A mount point can be neither written, nor replaced, nor removed."""
    syscalls.mount(path, path, None, syscalls.MS_BIND)
    flags = syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("none", path, None, flags)


def _take_devices(gpus: int) -> list[str]:
    """Bind the GPU devices into /dev for a job that leased one; which one it may use is its CUDA_VISIBLE_DEVICES."""
    taken = []
    if gpus:
        for name in os.listdir(rootfs.SPARE_DEVICES):
            syscalls.mount(f"{rootfs.SPARE_DEVICES}/{name}", f"/dev/{name}", None, syscalls.MS_BIND)
            taken.append(f"/dev/{name}")
    syscalls.mount("none", rootfs.SPARE_DEVICES, "tmpfs", syscalls.MS_RDONLY, "size=0,mode=000")
    return taken


def _become(user: int) -> None:
    """Its capabilities end with the change; the bounding set must be emptied before."""
    for capability in range(syscalls.LAST_CAP + 1):
        with contextlib.suppress(OSError):
            syscalls.prctl(syscalls.PR_CAPBSET_DROP, capability)
    identity.become(user)


def _restrict_files(support: HostSupport, root: str, devices: list[str]) -> None:
    own = [f"{root}/{name}" for name in ("work", "out", "tmp", "home")]
    simple = [f"/dev/{name}" for name in rootfs.DEVICES]
    if support.spaces:
        landlock.restrict(["/"], [*own, "/tmp", "/dev/shm", *simple, *devices], loopback=True)
    else:
        landlock.restrict([*rootfs.readable(), "/proc", *own], [*own, *simple, *devices], loopback=False)
