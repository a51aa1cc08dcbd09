"""The job bundle: those of our files that are copied into a job.

A job's working directory holds them read-only, so `import move37.lab.inside.network` and `import move37.kernels` work
there in every backend, whatever is installed; `kernels` is the contract's short name for the latter. They import torch,
einops and each other only.
"""

from __future__ import annotations

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
    "lab/training/contract.py",
    "lab/training/schedule.py",
    "lab/training/sizes.py",
)
_PACKAGE = {
    "move37/__init__.py": b"",
    "kernels.py": b"import sys\n\nfrom move37 import kernels\n\nsys.modules[__name__] = kernels\n",
}
_FOLDERS = ("lab/inside", "lab/gates", "kernels")  # with everything below them


@cache
def inside() -> Mapping[str, bytes]:
    """Relative path -> content of every file of the bundle; read once a process."""
    paths = [_ROOT / name for name in _FILES]
    for folder in _FOLDERS:
        paths += sorted((_ROOT / folder).rglob("*.py"))
    files = {f"move37/{path.relative_to(_ROOT).as_posix()}": path.read_bytes() for path in paths}
    return MappingProxyType(_PACKAGE | files)


def main_file(module: str) -> Mapping[str, bytes]:
    """A `main.py` that runs `main()` of one of those modules; ("python", "main.py") starts it warm."""
    return {"main.py": f"from {module} import main\n\nmain()\n".encode()}
