"""26 circles in a unit square: the sum of their radii, checked in exact arithmetic, so with no tolerance at all.

`run` stands beside the program and could be lied to; `score` sees nothing but numbers, in a process of its own.
The best sum that is published for 26 circles is about 2.635.
"""

import importlib.util
import math
from fractions import Fraction
from typing import Any

CIRCLES = 26


def run(program_path: str) -> Any:
    """What the program says: a list of [x, y, radius]."""
    spec = importlib.util.spec_from_file_location("program", program_path)
    assert spec is not None and spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program.pack()


def score(data: Any) -> dict[str, float]:
    """The sum of the radii if every rule holds, else 0."""
    circles = _circles(data)
    if circles is None or not _fits(circles):
        return {"combined_score": 0.0, "valid": 0.0}
    total = float(sum(r for _, _, r in circles))
    return {"combined_score": total, "valid": 1.0, "smallest_radius": float(min(r for _, _, r in circles))}


def _circles(data: Any) -> list[tuple[Fraction, Fraction, Fraction]] | None:
    """Floats as the exact fractions that they are; None unless there are 26 finite triples."""
    if not isinstance(data, list) or len(data) != CIRCLES:
        return None
    circles = []
    for triple in data:
        if not isinstance(triple, list) or len(triple) != 3 or not all(type(v) in (int, float) for v in triple):
            return None
        if not all(math.isfinite(v) for v in triple):
            return None
        x, y, r = (Fraction(v) for v in triple)
        circles.append((x, y, r))
    return circles


def _fits(circles: list[tuple[Fraction, Fraction, Fraction]]) -> bool:
    """Every radius is positive, every circle inside, no two overlap (touching is allowed)."""
    for i, (x, y, r) in enumerate(circles):
        if r <= 0 or x - r < 0 or y - r < 0 or x + r > 1 or y + r > 1:
            return False
        for u, v, s in circles[:i]:
            if (x - u) ** 2 + (y - v) ** 2 < (r + s) ** 2:
                return False
    return True
