"""What `python FILE` does, in an interpreter that is warm already, and how it ends.

Standard library only. Not covered: flags of the interpreter (`python -X ...` and jobs that set PYTHON* variables start
a cold one, and so do jobs with a GPU: torch counts them once, and counted none before this was forked); `__del__` of
objects that only die while the interpreter is torn down.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import ctypes
import gc
import io
import os
import random
import resource
import signal
import sys
import threading
import types
from functools import cache
from importlib.machinery import SourceFileLoader
from itertools import islice
from types import TracebackType

NOT_EXECUTABLE = 126
NOT_FOUND = 127


@cache
def libc() -> ctypes.CDLL:
    """The C library that is loaded already."""
    return ctypes.CDLL(None)


def run(argv: list[str], environment: dict[str, str]) -> int:
    """The exit status of the program; where a signal of its own ends it, this never returns."""
    warm = argv[0] == "python" and len(argv) > 1 and not argv[1].startswith("-")
    cold = any(name.startswith("PYTHON") and name != "PYTHONDONTWRITEBYTECODE" for name in environment)
    if warm and not cold and not environment.get("CUDA_VISIBLE_DEVICES"):
        code = run_file(argv[1], argv[1:], threads_of(environment["OMP_NUM_THREADS"]))
        if code is not None:
            return code
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


def threads_of(said: str) -> int:
    """Of OpenMP's variable, which a job may have set itself: a number, or one for each level ("4,2")."""
    first = said.partition(",")[0].strip()
    return int(first) if first.isascii() and first.isdecimal() else 1


def run_file(path: str, argv: list[str], threads: int) -> int | None:
    """What `python PATH ARGS` does; None for an archive or a compiled file, which only an interpreter's start reads."""
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
    if b"\0" in source:
        return None
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
