"""The job bundle: those of our files that are copied into a job.

A job's working directory holds them read-only, so `import move37.lab.inside.network` and `import move37.kernels` work
there in every backend, whatever is installed; `kernels` is the contract's short name for the latter. They import torch,
einops and each other only. They travel compiled as well, or every job would compile them: an interpreter of another
version overlooks that.
"""

from __future__ import annotations

import importlib.util
import marshal
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

_ROOT = Path(__file__).resolve().parent.parent
_FILES = (
    "lab/__init__.py",
    "lab/records.py",
    "lab/scale.py",
    "lab/training/__init__.py",
    "lab/training/carried.py",
    "lab/training/contract.py",
    "lab/training/schedule.py",
    "lab/training/sizes.py",
    "sandbox/worker/docstrings.py",
)
_PACKAGE = {
    "move37/__init__.py": b"",
    "move37/sandbox/__init__.py": b"",
    "move37/sandbox/worker/__init__.py": b"",
    "kernels.py": b"import sys\n\nfrom move37 import kernels\n\nsys.modules[__name__] = kernels\n",
}
_UNCHECKED = 1  # the flag of a compiled file that is not compared with its source
_FOLDERS = ("lab/inside", "lab/gates", "kernels")  # with everything below them


@cache
def inside() -> Mapping[str, bytes]:
    """Relative path -> content of every file of the bundle; read once a process."""
    paths = [_ROOT / name for name in _FILES]
    for folder in _FOLDERS:
        paths += sorted((_ROOT / folder).rglob("*.py"))
    files = {f"move37/{path.relative_to(_ROOT).as_posix()}": path.read_bytes() for path in paths}
    files |= {_compiled_name(name): _compiled(name, source) for name, source in files.items()}
    return MappingProxyType(_PACKAGE | files)


def _compiled_name(name: str) -> str:
    return Path(importlib.util.cache_from_source(name)).as_posix()


def _compiled(name: str, source: bytes) -> bytes:
    """As PEP 552 has it: it counts whatever the source's time is, which a copy does not keep."""
    head = importlib.util.MAGIC_NUMBER + _UNCHECKED.to_bytes(4, "little") + importlib.util.source_hash(source)
    return head + marshal.dumps(compile(source, name, "exec", dont_inherit=True))


def main_file(module: str) -> Mapping[str, bytes]:
    """A `main.py` that runs `main()` of one of those modules; ("python", "main.py") starts it warm."""
    return {"main.py": f"from {module} import main\n\nmain()\n".encode()}
