"""Pack 26 circles into the unit square: one in the middle, two rings around it, each as large as its place allows."""

import math

# EVOLVE-BLOCK-START


def centres() -> list[tuple[float, float]]:
    """Where the 26 circles sit."""
    inner, outer = 0.26, 0.44
    points = [(0.5, 0.5)]
    for i in range(9):
        angle = 2.0 * math.pi * i / 9.0
        points.append((0.5 + inner * math.cos(angle), 0.5 + inner * math.sin(angle)))
    for i in range(16):
        angle = 2.0 * math.pi * i / 16.0 + 0.1
        points.append((0.5 + outer * math.cos(angle), 0.5 + outer * math.sin(angle)))
    return points


def radii(points: list[tuple[float, float]]) -> list[float]:
    """Grow all circles together until each touches a neighbour or the border."""
    sizes = []
    for i, (x, y) in enumerate(points):
        room = min(x, y, 1.0 - x, 1.0 - y)
        for j, (u, v) in enumerate(points):
            if i != j:
                room = min(room, math.hypot(x - u, y - v) / 2.0)
        sizes.append(room * 0.999999999)
    return sizes


# EVOLVE-BLOCK-END


def pack() -> list[list[float]]:
    """The packing: [x, y, radius] of each circle."""
    points = centres()
    return [[x, y, r] for (x, y), r in zip(points, radii(points), strict=True)]
