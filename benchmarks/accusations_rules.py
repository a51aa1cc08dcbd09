"""Who is accused by which rule, from what `benchmarks.accusations` measured. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

from move37.benchmarks.json_lines import Row
from move37.lab.inside.shifts import HEARD
from move37.lab.inside.verify import CLOSER, EXPECTED

HONEST = "honest"


def _one_side(tolerance: float) -> Callable[[Row], bool]:
    return lambda row: bool(min(row["one_side"]) > tolerance)


def _both_sides(tolerance: float) -> Callable[[Row], bool]:
    """As the lab does it: nearer looks count where rounding leaves something to be heard."""

    def accuses(row: Row) -> bool:
        heard = [
            off
            for off, by in zip(row["both_sides"], CLOSER, strict=False)
            if by == 1.0 or row["loudness"] * by >= HEARD
        ]
        return bool(row["one_side"][0] > tolerance and min(heard, default=0.0) > tolerance)

    return accuses


RULES: Mapping[str, Callable[[Row], bool]] = {
    **{f"one side, {t}": _one_side(t) for t in (0.2, 0.3)},
    **{f"both sides, {t}": _both_sides(t) for t in (0.15, 0.2)},
}


def table(rows: Sequence[Row]) -> str:
    """Markdown: how large honest disagreement is, and how many checks accuse by each rule."""
    honest = [row for row in rows if row["gradients"] == HONEST]
    lines = [f"{len(honest)} honest checks of a layer, {len({row['plan'] for row in honest})} mixers", ""]
    lines += ["| honest, first look | checks | half | 9 of 10 | 99 of 100 | largest |", "|" + "---|" * 6]
    for name in ("all", *sorted({row["kind"] for row in honest})):
        offs = sorted(row["one_side"][0] for row in honest if name in ("all", row["kind"]))
        if offs:
            cells = " | ".join(f"{quantile(offs, share):.4f}" for share in (0.5, 0.9, 0.99, 1.0))
            lines.append(f"| {name} | {len(offs)} | {cells} |")
    lines += ["", "| accused, of all checks | checks | " + " | ".join(RULES) + " |", "|" + "---|" * (len(RULES) + 2)]
    for how in dict.fromkeys((HONEST, *(row["gradients"] for row in rows))):
        of = [row for row in rows if row["gradients"] == how]
        shares = [sum(map(rule, of)) / max(1, len(of)) for rule in RULES.values()]
        lines.append(f"| {how} | {len(of)} | " + " | ".join(f"{share:.4f}" for share in shares) + " |")
    trainings = [accused_trainings(honest, rule) for rule in RULES.values()]
    lines.append("| an honest training | | " + " | ".join(f"{share:.4f}" for share in trainings) + " |")
    return "\n".join(lines)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The least member that `share` of them do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def accused_trainings(rows: Sequence[Row], rule: Callable[[Row], bool]) -> float:
    """Chance that a training of as many checks as there are on average is refused, a mean over mixers."""
    layers = 1 + max((row["layer"] for row in rows), default=0)
    by_plan: dict[str, list[bool]] = {}
    for row in rows:
        by_plan.setdefault(row["plan"], []).append(rule(row))
    chances = [1 - (1 - statistics.fmean(accused)) ** (EXPECTED * layers) for accused in by_plan.values()]
    return statistics.fmean(chances) if chances else 0.0
