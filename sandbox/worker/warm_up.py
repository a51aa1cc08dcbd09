"""Makes the process that jobs are forked from: torch imported, one optimiser step taken, nothing left to do at exit."""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import multiprocessing.util
import os
import resource
import signal
import sys
import time
import weakref
from pathlib import Path

from move37.sandbox.worker import child
from move37.sandbox.worker.docstrings import forget_docstrings
from move37.sandbox.worker.program import libc
from move37.sandbox.worker.wire import Spec

LINUX = sys.platform == "linux"


PRELOADED = ("numpy", "einops", "safetensors.torch")
WITHOUT_DOCSTRINGS = "sympy"  # torch imports it, and the lab's pinned corpus is made of its sources


def warm_up(root: Path, *, everything: bool = True) -> Spec:
    """Import torch and take one optimiser step on one thread, if `everything`; what the greeting says about it."""
    started = time.monotonic()
    # torch fixes the place of its compile cache while it is imported: the folder of a job, which goes with it.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = child.compile_cache(str(root))
    gc.disable()
    version = import_torch() if everything else None
    keep_endings_short()
    # Children collect only their own garbage, and copy fewer pages. Ours is 0.2 s to find, and gives back nothing.
    gc.freeze()
    gc.enable()
    gc.collect()  # of nothing: it empties the lists of free objects, which each child would do page by page
    if LINUX:
        with contextlib.suppress(AttributeError):  # musl has no such call
            libc().malloc_trim(0)
    return {
        "pid": os.getpid(),
        "python": sys.version.split()[0],
        "torch": version,
        "warm_seconds": round(time.monotonic() - started, 3),
    }


def import_torch() -> str | None:
    """Its version; None where there is none."""
    try:
        import torch
    except ImportError:
        return None
    # Before any operation: a child forked from a process that ever ran four threads hangs.
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    layer = torch.nn.Linear(2, 2)
    optimiser = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimiser.step()  # imports torch._dynamo, half a second that every training would pay
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            __import__(name)
    forget_docstrings(WITHOUT_DOCSTRINGS)  # before the heap is frozen, which hides it
    return str(torch.__version__)


def keep_endings_short() -> None:
    """Drop what libraries want done when the zygote ends: it never does, and each child would spend 80 ms on it."""
    atexit._clear()
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    # What a program itself may count on when it ends.
    atexit.register(logging.shutdown)
    atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
    atexit.register(multiprocessing.util._exit_function)  # type: ignore[attr-defined]
    if loading := sys.modules.get("torch.utils.data._utils"):
        atexit.register(loading._set_python_exit_flag)


def hide() -> None:
    """Keep this process out of its children's reach: no /proc/PID/mem, no ptrace, no death by Control-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # PID 1 ignores what it has no handler for; Python has one
    if LINUX:
        libc().prctl(child.PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def forget_ourselves() -> None:
    """A job must not import this project by accident: what it needs of it travels with it."""
    own = sys.path.pop(0)
    sys.path[:] = [path for path in sys.path if path != own]
    sys.path_hooks[:] = [hook for hook in sys.path_hooks if "__editable__" not in getattr(hook, "__module__", "")]
    sys.meta_path[:] = [f for f in sys.meta_path if "__editable__" not in str(getattr(f, "__module__", ""))]
    for name in [name for name in sys.modules if name.split(".")[0] == "move37"]:
        del sys.modules[name]
