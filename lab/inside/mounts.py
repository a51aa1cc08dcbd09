"""Where else a folder can be reached: the same part of a file system may be mounted at several places.

Mounts that a later one hides count too: rather a path too many is denied than one too few.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")


def everywhere(paths: set[Path]) -> set[Path]:
    """These paths and every other one at which a mount shows them, or a part of them. `OSError`: no table of mounts."""
    mounts = list(_mounts())
    found = set(paths)
    for path in paths:
        for device, root, point in mounts:
            if not path.is_relative_to(point):
                continue
            stands = root / path.relative_to(point)  # within its file system
            for other, other_root, other_point in mounts:
                if other == device and stands.is_relative_to(other_root):
                    found.add(other_point / stands.relative_to(other_root))
                elif other == device and other_root.is_relative_to(stands):
                    found.add(other_point)
    return found


def _mounts() -> Iterable[tuple[str, Path, Path]]:
    """Device, the folder of it that is mounted, and where."""
    for line in _TABLE.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields = [re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field) for field in line.split()[:5]]
        yield fields[2], Path(fields[3]), Path(fields[4])
