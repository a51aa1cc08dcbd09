"""The limits of a job, under those that its user was given."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SOURCE = """
import json, resource, sys
name, hard = getattr(resource, sys.argv[1]), int(sys.argv[2])
resource.setrlimit(name, (hard, hard))
from move37.sandbox.worker import child, syscalls
if sys.platform == "linux":
    syscalls.drop_capabilities()
child.set_limits({"file_bytes": 1 << 30, "data_bytes": 1 << 40, "processes": 100_000})
print(json.dumps(resource.getrlimit(name)))
"""
# Hard limits below what a job is given, and in the middle of it.
LOWER = {
    "RLIMIT_CORE": 0,
    "RLIMIT_FSIZE": 1 << 20,
    "RLIMIT_NOFILE": 256,
    "RLIMIT_MEMLOCK": 1024,
    "RLIMIT_SIGPENDING": 100,
    "RLIMIT_MSGQUEUE": 0,
    "RLIMIT_DATA": 1 << 33,
    "RLIMIT_NPROC": 5000,
}


@pytest.mark.skipif(sys.platform != "linux", reason="some of these limits are Linux's")
@pytest.mark.parametrize("name", LOWER)
def test_a_lower_hard_limit_is_kept_and_no_error(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", SOURCE, name, str(LOWER[name])], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [LOWER[name]] * 2
