"""26 circles in a unit square: the sum of their radii, checked in exact arithmetic, so with no tolerance at all.

`run` stands beside the program and could be lied to; `score` sees nothing but numbers, in a process of its own, and has
its rules from `judge/`, which never travels with the program. The best sum published for 26 circles is about 2.635.
"""

import importlib.util
from typing import Any


def run(program_path: str) -> Any:
    """What the program says: a list of [x, y, radius]."""
    spec = importlib.util.spec_from_file_location("program", program_path)
    assert spec is not None and spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program.pack()


def score(data: Any) -> dict[str, float]:
    """The sum of the radii if every rule holds, else 0."""
    from judge import packing  # type: ignore[import-not-found]  # not there when `run` is called

    circles = packing.circles_of(data)
    if circles is None or not packing.fits(circles):
        return {"combined_score": 0.0, "valid": 0.0}
    total = float(sum(r for _, _, r in circles))
    return {"combined_score": total, "valid": 1.0, "smallest_radius": float(min(r for _, _, r in circles))}
