"""A forked child of the zygote, from its fork to the moment when it becomes its program (`program.py`).

Read in this order: `become_job` (wait for the job, put up the limits, become it), `rehearse` (what can be done before
the job is there), `settle`, `set_limits`. Standard library only.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from move37.sandbox.worker import program
from move37.sandbox.worker.program import libc

Spec = dict[str, Any]
PR_SET_DUMPABLE = 4
CANNOT_START = 125
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def become_job(
    control: int, stdout: int, stderr: int, enter: Callable[[], object], confine: Callable[[Spec], None]
) -> NoReturn:
    """In a forked child: wait for a job on `control`, then become it. Never returns."""
    status = CANNOT_START
    try:
        enter()
        reset_signals()
        channel = own_descriptors(control, stdout, stderr)
        rehearse()
        spec, stdin = receive_spec(channel)
        if spec is None:
            os._exit(0)
        if stdin is not None:
            os.dup2(stdin, 0)
            os.close(stdin)
        try:
            settle(spec, confine)
        except Exception as error:
            channel.sendall(f"{type(error).__name__}: {error}".encode()[:2000])
            os._exit(CANNOT_START)
        channel.close()
        status = program.run(spec["argv"], spec["env"])
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def reset_signals() -> None:
    """Undo what the zygote set for itself."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.setsid()


def own_descriptors(control: int, stdout: int, stderr: int) -> socket.socket:
    """Descriptors 0 to 2 for the program, 3 for our control, and nothing else of the zygote's."""
    null = os.open(os.devnull, os.O_RDONLY)
    kept = [os.dup(null), os.dup(stdout), os.dup(stderr), os.dup(control)]
    high = [os.dup2(old, 200 + at) for at, old in enumerate(kept)]
    os.closerange(0, 200)
    for target, old in enumerate(high):
        os.dup2(old, target, inheritable=target < 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    return socket.socket(fileno=3)


def rehearse() -> None:
    """Whatever no job can change, before there is one; and once through what each job goes through.

    A child copies every page that it is the first to write to, 3 us each: the two thousand that all jobs write to are
    copied before a job waits for them.
    """
    program.open_streams()
    program.fresh_randomness()
    exec(
        compile("pass", "rehearsal", "exec", dont_inherit=True),
        program.fresh_main(os.path.abspath("rehearsal")).__dict__,
    )
    become(json.loads(json.dumps(environment_of("/", 1))))
    program.flush()
    gc.collect()
    gc.freeze()  # what a job leaves to collect is its own


def receive_spec(channel: socket.socket) -> tuple[Spec | None, int | None]:
    """The job and its standard input, or None when the zygote went away without one."""
    data, descriptors, _, _ = socket.recv_fds(channel, 1 << 20, 1)
    while len(data) < 4 or len(data) < 4 + struct.unpack(">I", data[:4])[0]:
        part = channel.recv(1 << 20)
        if not part:
            return None, None
        data += part
    spec: Spec = json.loads(data[4:])
    return spec, descriptors[0] if descriptors else None


def settle(spec: Spec, confine: Callable[[Spec], None]) -> None:
    """Folders, environment, limits and, last, what the backend confines a job with."""
    root, limits = spec["root"], spec["limits"]
    environment = environment_of(root, int(limits["threads"])) | spec["env"]
    spec["env"] = environment
    become(environment)
    os.umask(0o022)
    set_limits(limits)
    show()
    # Where memory ends, the kernel takes a job before anything else on the machine.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as stream:
        stream.write("1000")
    confine(spec)
    show()
    os.chdir(f"{root}/work")


def show() -> None:
    """The zygote hides its memory from its children, and a change of user hides again; a program may see itself."""
    if sys.platform == "linux":
        libc().prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def become(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def environment_of(root: str, threads: int) -> dict[str, str]:
    """The whole environment of a job; nothing of the host's is in it."""
    count = str(threads)
    return {
        "PATH": os.path.dirname(sys.executable) + ":" + PATH,
        "HOME": f"{root}/home",
        "TMPDIR": f"{root}/tmp",
        "MOVE37_OUT": f"{root}/out",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "USER": "nobody",
        "LOGNAME": "nobody",
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MPLBACKEND": "Agg",  # there is no screen
        "MPLCONFIGDIR": f"{root}/tmp/matplotlib",
        "CUDA_VISIBLE_DEVICES": "",  # a job that leased some names them itself
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TORCHINDUCTOR_CACHE_DIR": compile_cache(root),
    }


def compile_cache(root: str) -> str:
    """Where torch keeps what it compiled: with the job, so that no job can leave something in it for the next."""
    return f"{root}/tmp/torchinductor"


def set_limits(limits: Spec) -> None:
    """Resource limits that hold everywhere; `data_bytes` and `processes` only where no cgroup counts for all."""
    for name, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, int(limits["file_bytes"])),
        (resource.RLIMIT_NOFILE, 1024),
        (resource.RLIMIT_MEMLOCK, 64 * 1024),
    ):
        limit(name, value)
    # Timers and queued signals are counted for a user, over all of its jobs.
    if hasattr(resource, "RLIMIT_SIGPENDING"):
        with contextlib.suppress(ValueError):
            limit(resource.RLIMIT_SIGPENDING, 1024)
    if hasattr(resource, "RLIMIT_MSGQUEUE"):
        # gVisor has no message queues, and refuses to limit them.
        with contextlib.suppress(ValueError):
            limit(resource.RLIMIT_MSGQUEUE, 0)
    if extra := int(limits.get("data_bytes", 0)):
        limit(resource.RLIMIT_DATA, extra + own_data())
    if processes := int(limits.get("processes", 0)):
        limit(resource.RLIMIT_NPROC, processes)


def limit(name: int, wanted: int) -> None:
    """`wanted`, or the hard limit that this process was started with where that is lower: nobody may raise it."""
    hard = resource.getrlimit(name)[1]
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(name, (value, value))


def own_data() -> int:
    """Bytes that RLIMIT_DATA counts for the warm interpreter itself."""
    with contextlib.suppress(OSError), open("/proc/self/status") as stream:
        for line in stream:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0
