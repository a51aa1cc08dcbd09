"""In a container the host's /proc is covered in part, and the kernel gives a user namespace none of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from move37.sandbox.process import host_support
from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import ZygoteSettings
from move37.sandbox.worker import syscalls
from tests.sandbox.attacks.backends import ORDINARY
from tests.sandbox.jobs import program

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root can cover /proc and become somebody else"
)
COVERING = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0 and libc.mount(b"none", b"/", None, 16384 | (1 << 18), None) == 0
assert libc.mount(b"/dev/null", b"/proc/version", None, 4096, None) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


async def test_a_user_whose_proc_is_covered_has_the_weaker_sandbox_and_the_reason() -> None:
    prefix = (sys.executable, "-c", COVERING, *ORDINARY)
    async with ProcessSandbox(1, settings=ZygoteSettings(prefix=prefix, warm=False)) as sandbox:
        assert (await sandbox.run(program("print(1)"))).stdout == b"1\n"
        (zygote,) = sandbox._all
    report = zygote.greeting.report
    assert not report["spaces"] and "not permitted" in report["reasons"]["namespaces"], report


@pytest.mark.parametrize("kind", ["proc", "tmpfs", "unshare"])
def test_whatever_is_refused_in_the_trial_is_the_reason(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = syscalls.mount

    def refuse(*arguments: object) -> None:
        if kind in ("unshare", arguments[2] if len(arguments) > 2 else ""):
            raise PermissionError(1, f"no {kind} today")
        mount(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(syscalls, "unshare" if kind == "unshare" else "mount", refuse)
    assert host_support.try_spaces("root") == f"no {kind} today"


REASON = """
import os
from pathlib import Path
from move37.sandbox.process import namespaces
def refuse(root):
    raise OSError(12, "no memory for it")
namespaces.set_up = refuse
isolation = namespaces.NamespaceIsolation.__new__(namespaces.NamespaceIsolation)
isolation.own_pids, isolation.root = os.open("/proc/self/ns/pid", os.O_RDONLY), Path("/tmp")
try:
    isolation._make_namespaces()
except OSError as error:
    print(error)
"""


def test_what_a_jobs_namespaces_lack_is_said() -> None:
    done = subprocess.run([sys.executable, "-c", REASON], capture_output=True, text=True, check=True)
    assert done.stdout == "namespaces of a job could not be made (no memory for it)\n", done
