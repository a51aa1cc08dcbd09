"""The rules of the packing, in exact arithmetic."""

import math
from fractions import Fraction
from typing import Any

CIRCLES = 26


def circles_of(data: Any) -> list[tuple[Fraction, Fraction, Fraction]] | None:
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


def fits(circles: list[tuple[Fraction, Fraction, Fraction]]) -> bool:
    """Every radius is positive, every circle inside, no two overlap (touching is allowed)."""
    for i, (x, y, r) in enumerate(circles):
        if r <= 0 or x - r < 0 or y - r < 0 or x + r > 1 or y + r > 1:
            return False
        for u, v, s in circles[:i]:
            if (x - u) ** 2 + (y - v) ** 2 < (r + s) ** 2:
                return False
    return True
