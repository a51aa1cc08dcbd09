"""Control groups of machines that mount or enable fewer of them than this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from move37.sandbox.process import cgroups
from move37.sandbox.process.cgroups import WANTED, Cgroup

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")


@pytest.fixture
def first_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root whose cpu and cpuacct are one mount, as most distributions have it; the kernel's own folders."""
    real = cgroups.ROOT / "cpuacct"
    if not os.access(real, os.W_OK) or not (real / "cpuacct.usage").exists():
        pytest.skip("this machine has no writable control groups of version 1")
    for name in (*WANTED, "cpuacct"):
        (tmp_path / name).symlink_to(real if name.startswith("cpu") else cgroups.ROOT / name)
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    return tmp_path


def test_two_controllers_of_one_mount_are_one_group(first_version: Path) -> None:
    group, reason = Cgroup.make(f"{os.getpid()}-test")
    try:
        assert reason == "" and group.counts_memory and group.counts_processes
        before = group.counters.cpu_seconds()
        spin = "import sys, time; sys.stdin.read(1)\nwhile time.process_time() < 0.2: pass"
        with subprocess.Popen([sys.executable, "-c", spin], stdin=subprocess.PIPE) as worker:
            group.admit(worker.pid)
            worker.communicate(b".")
        after = group.counters.cpu_seconds()
        assert before is not None and after is not None and after - before > 0.1
    finally:
        group.remove()
    assert not [path for name in WANTED for path in (first_version / name).glob(f"move37-{os.getpid()}-test")]


@pytest.mark.parametrize("enabled", [("memory",), ("memory", "pids"), WANTED])
def test_processor_time_of_version_2_needs_no_controller(enabled: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    group = Cgroup(dict.fromkeys(enabled, tmp_path), 2)
    assert group.counters.cpu_seconds() == 2.5
    group.remove()
    assert group.counters.cpu_seconds() is None
