"""How a candidate is confined: `Shape` and `Limits` -> the Docker engine's request bodies. Pure.

`create_body` is everything a container is made with, `resources` what can still be changed when it is running. A warm
container is started before anybody knows its job, so what cannot be changed later (devices, disk, runtime) is its
`Shape`, and a job only gets a container of its own shape.

Not covered here: what the worker does to each job inside (rlimits of the child, the sweep between jobs), which is
`sandbox/worker/`; the wall-clock limit, which is `container`; gVisor's own kernel, which ignores the seccomp profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from move37.sandbox.docker.seccomp import PROFILE_FILE
from move37.sandbox.job import MIB, Limits

SUPERVISOR_STARTS_AS = "0:0"  # and becomes uid 65534 before it does anything; its jobs are other users still
SUPERVISOR_RIGHTS = ("CHOWN", "KILL", "SETGID", "SETUID")
OWNER_LABEL = "move37.owner"
ROLE_LABEL = "move37.sandbox"
NAME_PREFIX = "move37-worker-"

# Our zygote's own share of the container's memory (measured: 216 MiB private after the Adam step) and of its processes.
ZYGOTE_BYTES = 256 * MIB
ZYGOTE_PIDS = 8
SHM_BYTES = 1024 * 1024 * MIB  # of the machine's; what lies there counts as memory, whose limit comes first
OOM_SCORE = 300  # the machine's own processes outlive a container
OPEN_FILES = 1024
GVISOR = "runsc"
CPU_PERIOD_US = 100_000
MAX_INODES = 65536  # files and folders that a job may make

# Docker's list, and what else a program has no business reading: the host's hardware, interrupts (a side channel to
# other tenants' keystrokes), the power meter and the kernel's tables.
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/bus",
    "/proc/config.gz",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/modules",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/slabinfo",
    "/proc/softirqs",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/class/dmi",
    "/sys/devices/virtual/dmi",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
    "/sys/kernel",
)
READONLY_PATHS = ("/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a container is born with and keeps."""

    image: str  # id or name
    runtime: str = ""  # empty: the daemon's default
    devices: tuple[str, ...] = ()  # UUIDs of leased GPUs or MIG slices, in the order the job sees them
    disk_bytes: int = 512 * MIB  # of the one writable file system, /tmp
    frozen: tuple[int, ...] = ()  # memory, processes, threads, where the runtime cannot change them later


def create_body(shape: Shape, limits: Limits, *, owner: str) -> dict[str, Any]:
    """The body of POST /containers/create for one container; every protection of the Docker backend stands here."""
    return {
        "Image": shape.image,
        "User": SUPERVISOR_STARTS_AS,
        "Env": _environment(shape),
        "Labels": {ROLE_LABEL: "container", OWNER_LABEL: owner},
        "Hostname": "sandbox",
        # The channel: attached stdin. It closes when we die, PID 1 then ends, and AutoRemove leaves nothing behind.
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "OpenStdin": True,
        "StdinOnce": True,
        "Tty": False,
        "HostConfig": {
            **resources(limits),
            **({"Runtime": shape.runtime} if shape.runtime else {}),
            # Not NetworkDisabled besides, which would save 70 ms of a start on Docker < 28: it leaves /etc/hosts empty,
            # and localhost without an address.
            "NetworkMode": "none",
            "IpcMode": "private",
            "ShmSize": SHM_BYTES,
            "ReadonlyRootfs": True,
            "Tmpfs": {"/tmp": _tmpfs_options(shape.disk_bytes)},
            "CapDrop": ["ALL"],
            "CapAdd": list(SUPERVISOR_RIGHTS),
            "OomScoreAdj": OOM_SCORE,
            "Privileged": False,
            "SecurityOpt": ["no-new-privileges:true", f"seccomp={_seccomp()}"],
            "MaskedPaths": list(MASKED_PATHS),
            "ReadonlyPaths": list(READONLY_PATHS),
            "Ulimits": [
                _ulimit("core", 0),
                _ulimit("nofile", OPEN_FILES),
                _ulimit("fsize", shape.disk_bytes),
                _ulimit("memlock", 64 * 1024),
                _ulimit("msgqueue", 0),
            ],
            "DeviceRequests": _device_requests(shape.devices),
            "LogConfig": {"Type": "none", "Config": {}},
            "AutoRemove": True,
            "Init": False,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        },
    }


def resources(limits: Limits) -> dict[str, Any]:
    """The limits that a running container can still be given; memory without swap, processor time as a quota."""
    memory = limits.memory_bytes + ZYGOTE_BYTES
    return {
        "Memory": memory,
        "MemorySwap": memory,
        "CpuPeriod": CPU_PERIOD_US,
        "CpuQuota": max(1, limits.threads) * CPU_PERIOD_US,
        "PidsLimit": limits.pids + ZYGOTE_PIDS,
    }


def shape_for(limits: Limits, *, image: str, runtime: str = "", devices: tuple[str, ...] = ()) -> Shape:
    """The shape that a job with these limits needs."""
    return Shape(
        image=image,
        runtime=runtime,
        devices=devices,
        disk_bytes=limits.disk_bytes,
        frozen=(limits.memory_bytes, limits.pids, limits.threads) if runtime == GVISOR else (),
    )


def _environment(shape: Shape) -> list[str]:
    environment = {"HOME": "/tmp", "TMPDIR": "/tmp"}
    if not shape.devices:
        # A daemon whose default runtime is NVIDIA's would hand every container every GPU.
        environment["NVIDIA_VISIBLE_DEVICES"] = "void"
    return [f"{name}={value}" for name, value in sorted(environment.items())]


def _device_requests(devices: tuple[str, ...]) -> list[Mapping[str, Any]]:
    if not devices:
        return []
    return [{"Driver": "nvidia", "DeviceIDs": list(devices), "Capabilities": [["gpu", "compute", "utility"]]}]


def _tmpfs_options(size_bytes: int) -> str:
    # exec: Triton loads what it has compiled, and shell blocks run their own files. noexec would not stop an attacker:
    # a program can execute a memfd.
    # The number of files has a limit of its own: empty ones take no room, but the kernel's memory.
    return f"rw,exec,nosuid,nodev,size={size_bytes},nr_inodes={MAX_INODES},mode=1777,uid=65534,gid=65534"


def _ulimit(name: str, value: int) -> dict[str, Any]:
    return {"Name": name, "Soft": value, "Hard": value}


@cache
def _seccomp() -> str:
    return PROFILE_FILE.read_text()
