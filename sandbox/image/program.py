"""The inside of a job: a forked child of the zygote becomes the program that it was asked to run.

Read in this order: `take_seat` (wait for the job, put up the limits, become it), `rehearse` (what can be done before
the job is there), `set_limits`, `run_file` (what `python FILE` does, in an interpreter that is warm already), `leave`
(what an interpreter does when it ends).
Like `worker.py` this file needs the standard library only, and travels into the image beside it.

Not covered: flags of the interpreter (`python -X ...` and jobs that set PYTHON* variables start a cold one);
`__del__` of objects that only die while the interpreter is torn down.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import gc
import io
import json
import os
import random
import resource
import signal
import socket
import struct
import sys
import threading
import types
from collections.abc import Callable
from functools import cache
from importlib.machinery import SourceFileLoader
from itertools import islice
from types import TracebackType
from typing import Any, NoReturn

Spec = dict[str, Any]

PR_SET_DUMPABLE = 4
CANNOT_START = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def take_seat(
    control: int, stdout: int, stderr: int, enter: Callable[[], object], confine: Callable[[Spec], None]
) -> NoReturn:
    """In a forked child: wait for a job on `control`, then become it. Never returns."""
    status = CANNOT_START
    try:
        enter()
        reset_signals()
        channel = own_descriptors(control, stdout, stderr)
        rehearse()
        spec = receive_spec(channel)
        if spec is None:
            os._exit(0)
        try:
            settle(spec, confine)
        except Exception as error:
            channel.sendall(f"{type(error).__name__}: {error}".encode()[:2000])
            os._exit(CANNOT_START)
        channel.close()
        status = run(spec["argv"], spec["env"])
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
    copied while nobody waits.
    """
    open_streams()
    fresh_randomness()
    exec(compile("pass", "rehearsal", "exec", dont_inherit=True), fresh_main(os.path.abspath("rehearsal")).__dict__)
    become(json.loads(json.dumps(environment_of("/", 1))))
    flush()
    gc.collect()
    gc.freeze()  # what a job leaves to collect is its own


@cache
def libc() -> ctypes.CDLL:
    """The C library that is loaded already."""
    return ctypes.CDLL(None)


def receive_spec(channel: socket.socket) -> Spec | None:
    """The job, or None when the zygote went away without one."""
    data = b""
    while len(data) < 4 or len(data) < 4 + struct.unpack(">I", data[:4])[0]:
        part = channel.recv(1 << 20)
        if not part:
            return None
        data += part
    spec: Spec = json.loads(data[4:])
    return spec


def settle(spec: Spec, confine: Callable[[Spec], None]) -> None:
    """Folders, environment, limits and, last, what the backend confines a job with."""
    root, limits = spec["root"], spec["limits"]
    environment = environment_of(root, int(limits["threads"])) | spec["env"]
    spec["env"] = environment
    become(environment)
    os.umask(0o022)
    set_limits(limits)
    confine(spec)
    if sys.platform == "linux":
        # The zygote hides its own memory from its children; a program may look at itself.
        libc().prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    os.chdir(f"{root}/work")


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
        "CUDA_VISIBLE_DEVICES": "",  # a job that leased some names them itself
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TORCHINDUCTOR_CACHE_DIR": compile_cache(root),
    }


def compile_cache(root: str) -> str:
    """Where torch keeps what it compiled: with the job, so that nobody can leave something in it for the next."""
    return f"{root}/tmp/torchinductor"


def set_limits(limits: Spec) -> None:
    """Resource limits that hold everywhere; `data_bytes` and `processes` only where no cgroup counts for all."""
    for name, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, int(limits["file_bytes"])),
        (resource.RLIMIT_NOFILE, 1024),
        (resource.RLIMIT_MEMLOCK, 64 * 1024),
    ):
        resource.setrlimit(name, (value, value))
    if hasattr(resource, "RLIMIT_MSGQUEUE"):
        # gVisor has no message queues, and refuses to limit them.
        with contextlib.suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_MSGQUEUE, (0, 0))
    if extra := int(limits.get("data_bytes", 0)):
        total = extra + own_data()
        resource.setrlimit(resource.RLIMIT_DATA, (total, total))
    if processes := int(limits.get("processes", 0)):
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    # Where memory ends, the kernel takes a job before anything else on the machine.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as stream:
        stream.write("1000")


def own_data() -> int:
    """Bytes that RLIMIT_DATA counts for the warm interpreter itself."""
    with contextlib.suppress(OSError), open("/proc/self/status") as stream:
        for line in stream:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0


def run(argv: list[str], environment: dict[str, str]) -> int:
    """The exit status of the program; where a signal of its own ends it, this never returns."""
    warm = argv[0] == "python" and len(argv) > 1 and not argv[1].startswith("-")
    if warm and not any(name.startswith("PYTHON") and name != "PYTHONDONTWRITEBYTECODE" for name in environment):
        return run_file(argv[1], argv[1:], int(environment["OMP_NUM_THREADS"]))
    name = sys.executable if argv[0] == "python" else argv[0]
    try:
        # Python ignores these two, and an exec would hand that down.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execvpe(name, argv, environment)
    except FileNotFoundError:
        os.write(2, f"{argv[0]}: not found in the sandbox\n".encode())
        return NOT_FOUND
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        return NOT_EXECUTABLE


def run_file(path: str, argv: list[str], threads: int) -> int:
    """What `python PATH ARGS` does."""
    if threads > 1 and (torch := sys.modules.get("torch")):
        torch.set_num_threads(threads)
    full = os.path.abspath(path)
    sys.argv[:] = argv
    sys.path.insert(0, os.path.dirname(full))
    sys.dont_write_bytecode = True
    try:
        with open(full, "rb") as stream:
            source = stream.read()
    except OSError as error:
        os.write(2, f"python: can't open file {full!r}: [Errno {error.errno}] {error.strerror}\n".encode())
        return 2
    known = len(sys.modules)
    module = fresh_main(full)
    code = 0
    try:
        exec(compile(source, full, "exec", dont_inherit=True), module.__dict__)
    except SystemExit as error:
        code = exit_code(error)
    except BaseException as error:
        code = uncaught(error)
    return leave(code, module, known)


def fresh_main(full: str) -> types.ModuleType:
    module = types.ModuleType("__main__")
    vars(module).update(
        __file__=full,
        __builtins__=builtins,
        __loader__=SourceFileLoader("__main__", full),
        __cached__=None,
        __annotations__={},
    )
    sys.modules["__main__"] = module
    return module


def open_streams() -> None:
    """Text streams over descriptors 0 to 2, a line at a time, so that output is live."""

    def text(descriptor: int, mode: str, errors: str) -> io.TextIOWrapper:
        raw = open(descriptor, mode + "b", closefd=False)  # noqa: SIM115
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors=errors, line_buffering=mode == "w")
        stream.mode = mode  # type: ignore[misc]
        return stream

    for name, descriptor, mode, errors in (
        ("stdin", 0, "r", "surrogateescape"),
        ("stdout", 1, "w", "surrogateescape"),
        ("stderr", 2, "w", "backslashreplace"),
    ):
        stream = text(descriptor, mode, errors)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def fresh_randomness() -> None:
    """Two children of one zygote must not draw the same numbers."""
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if torch := sys.modules.get("torch"):
        # manual_seed() would visit every kind of accelerator: 8 ms.
        torch.default_generator.manual_seed(int.from_bytes(os.urandom(7), "little"))
    if tempfile := sys.modules.get("tempfile"):
        vars(tempfile).update(tempdir=None, _name_sequence=None)


def exit_code(error: SystemExit) -> int:
    """What the interpreter makes of `sys.exit(...)`."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF if -(2**63) <= error.code < 2**63 else 0xFF
    with contextlib.suppress(Exception):
        sys.stderr.write(f"{error.code}\n")
    return 1


def uncaught(error: BaseException) -> int:
    """Print the traceback without our own frames, as the interpreter would."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    error = error.with_traceback(trace)
    try:
        sys.excepthook(type(error), error, trace)
    except BaseException:
        sys.__excepthook__(type(error), error, trace)
    if isinstance(error, KeyboardInterrupt):
        flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    if out_of_memory(error):
        # A limit without a cgroup shows as MemoryError; the job ends as a cgroup would end it.
        flush()
        os.kill(os.getpid(), signal.SIGKILL)
    return 1


def out_of_memory(error: BaseException) -> bool:
    if resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY:
        return False
    words = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | OSError)
        and ("not enough memory" in words or "Cannot allocate memory" in words)
    )


def flush() -> bool:
    """Whether standard output took everything; C's own buffers included."""
    good = True
    for stream in (sys.stdout, sys.stderr, sys.__stdout__):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except Exception:
            good = good and stream is sys.stderr
    with contextlib.suppress(OSError, AttributeError):
        libc().fflush(None)
    return good


def leave(code: int, module: types.ModuleType, known: int) -> int:
    """End as an interpreter ends: threads, atexit, then the program's own objects (files close and flush)."""
    import atexit

    try:
        threading._shutdown()  # type: ignore[attr-defined]
    except BaseException as error:
        uncaught(error)
    atexit._run_exitfuncs()
    if not flush() and code == 0:
        code = 120
    # The newest stand last. To look at all two thousand names would copy as many pages from the zygote: 5 ms.
    for name in list(islice(reversed(sys.modules), max(0, len(sys.modules) - known))):
        del sys.modules[name]
    module.__dict__.clear()
    gc.collect()
    flush()
    return code
