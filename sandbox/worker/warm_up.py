"""Makes the process that jobs are forked from: torch imported, and its compiler, nothing left to do at exit.

The compiler costs as much processor time as nearly all the rest of torch, and only a program that makes an optimiser
or compiles needs it: a container is ready without it and imports it once nobody waits (`container`).
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import multiprocessing.util
import os
import resource
import signal
import site
import sys
import sysconfig
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from move37.sandbox.worker import child
from move37.sandbox.worker.docstrings import forget_docstrings
from move37.sandbox.worker.program import libc
from move37.sandbox.worker.wire import Spec

LINUX = sys.platform == "linux"


COMPILER = "torch._dynamo"
PRELOADED = ("numpy", "einops", "safetensors.torch")
WITHOUT_DOCSTRINGS = "sympy"  # torch imports it, and the lab's pinned corpus is made of its sources


def warm_up(root: Path, *, torch: bool = True, compiler: bool = True) -> Spec:
    """Import torch on one thread, and its compiler, if they are wanted; what the greeting says about it."""
    started = time.monotonic()
    # torch fixes the place of its compile cache while it is imported: the folder of a job, which goes with it.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = child.compile_cache(str(root))
    # A backward pass here would start a thread for each GPU, and no fork of this process could make another one.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with frozen_heap():
        version = import_torch() if torch else None
    if compiler:
        import_compiler()
    return {
        "pid": os.getpid(),
        "python": sys.version.split()[0],
        "torch": version,
        "warm_seconds": round(time.monotonic() - started, 3),
    }


@contextlib.contextmanager
def frozen_heap() -> Iterator[None]:
    """Whatever is imported inside belongs to every child from then on."""
    gc.disable()
    yield
    keep_endings_short()
    # Children collect only their own garbage, and copy fewer pages. Ours is 0.2 s to find, and gives back nothing.
    gc.freeze()
    gc.enable()
    gc.collect()  # of nothing: it empties the lists of free objects, which each child would do page by page
    if LINUX:
        with contextlib.suppress(AttributeError):  # musl has no such call
            libc().malloc_trim(0)


def import_torch() -> str | None:
    """Its version; None where there is none."""
    try:
        import torch
    except ImportError:
        return None
    # Before any operation: a child forked from a process that ever ran four threads hangs.
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    torch.nn.Linear(2, 2)(torch.ones(1, 2)).sum().backward()
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            __import__(name)
    return str(torch.__version__)


def compiler_is_due() -> bool:
    """Whether torch is here without its compiler."""
    return "torch" in sys.modules and COMPILER not in sys.modules


def import_compiler() -> None:
    """Half a second that every training would pay; nothing where it is here already, or torch is not."""
    if not compiler_is_due():
        return
    import torch

    with frozen_heap():
        layer = torch.nn.Linear(2, 2)
        optimiser = torch.optim.Adam(layer.parameters())
        layer(torch.ones(1, 2)).sum().backward()
        optimiser.step()  # imports it
        forget_docstrings(WITHOUT_DOCSTRINGS)  # before the heap is frozen, which hides it


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
    """A job must not import this project by accident: what it needs of it travels with it.

    Where the project is installed, its folder is that of all packages, and stays on the path in its own place.
    """
    own = sys.path.pop(0)
    if own not in folders_of_packages():
        sys.path[:] = [path for path in sys.path if path != own]
    sys.path_hooks[:] = [hook for hook in sys.path_hooks if "__editable__" not in getattr(hook, "__module__", "")]
    sys.meta_path[:] = [f for f in sys.meta_path if "__editable__" not in str(getattr(f, "__module__", ""))]
    for name in [name for name in sys.modules if name.split(".")[0] == "move37"]:
        del sys.modules[name]


def folders_of_packages() -> set[str]:
    """Where this interpreter's packages are installed, its user's among them."""
    return {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()} | {
        site.getusersitepackages()
    }
