"""Quantities as people type them ("10m", "50k", "2.00") and as people read them. Pure."""

from __future__ import annotations

import math
import re
from fractions import Fraction

YEAR = 366 * 86_400.0
# What may be asked of one campaign: more is a slip of the hand.
MOST = {"candidates": 100_000, "seconds": YEAR, "tokens": 10**12, "cost": 1e6}
LONGEST = 40  # characters of a count
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SCALES = {"": 1, "k": 1_000, "m": 1_000_000}
_NUMBER = re.compile(r"\d+(\.\d+)?")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
# A comma or an underscore stands before three digits alone: 1,5m is one and a half million to half of the world.
_COUNT = re.compile(r"((?:\d{1,3}(?:,\d{3})+|\d{1,3}(?:_\d{3})+|\d+)(?:\.\d+)?)([km]?)")


def seconds(text: str) -> float:
    """Seconds of "90", "90s", "10m", "1h30m". Raises `ValueError` that shows the form."""
    plain = text.strip().lower()
    return float(plain) if _NUMBER.fullmatch(plain) else duration(plain)


def duration(text: str) -> float:
    """The same where a bare number would leave the unit open. Raises `ValueError` that shows the form."""
    plain = text.strip().lower()
    if _NUMBER.fullmatch(plain):
        raise ValueError(f"say the unit: {plain}s, {plain}m or {plain}h")
    parts = _PART.findall(plain)
    if not parts or "".join(n + u for n, u in parts) != plain:
        raise ValueError("write a duration such as 90s, 10m or 1h30m")
    return math.fsum(float(n) * _UNITS[u] for n, u in parts)


def count(text: str) -> int:
    """The number that "12", "50k", "1.5m" or "1,500,000" means. Raises `ValueError` that shows the form."""
    found = _COUNT.fullmatch(text.strip().lower()) if len(text) <= LONGEST else None
    number = Fraction(re.sub("[,_]", "", found[1])) * _SCALES[found[2]] if found else Fraction(1, 2)
    if number.denominator != 1:
        raise ValueError("write a whole number such as 12, 50k, 1.5m or 1,500,000")
    return int(number)


def dollars(text: str) -> float:
    """US dollars of "2", "2.00" or "$2". Raises `ValueError` that shows the form."""
    plain = text.strip().removeprefix("$")
    if not re.fullmatch(r"\d+(\.\d+)?", plain):
        raise ValueError("write US dollars such as 2 or 2.50")
    return float(plain)


def spell_seconds(value: float) -> str:
    """12 s, 3 min 05 s, 2 h 10 min."""
    whole = max(0, round(value))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def spell_moment(at: str) -> str:
    """2026-11-30 02:03 UTC, of a time as the archive writes it."""
    return f"{at[:16].replace('T', ' ')} UTC" if at else ""


def spell_clock(at: str) -> str:
    """02:03:44 UTC, of a time as the archive writes it."""
    return f"{at[11:19]} UTC" if at else ""


def typed_seconds(value: float) -> str:
    """1h30m, 90.5s: as `duration` reads it again, to the millisecond."""
    whole = value.is_integer() and value >= 60
    parts = ((int(value) // 3600, "h"), (int(value) % 3600 // 60, "m"), (int(value) % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) if whole else f"{round(value, 3)}s"


def spell_count(value: int) -> str:
    """950, 12.3k, 4.1M."""
    if value < 1_000:
        return str(value)
    if value < 1_000_000:
        return f"{value / 1_000:.1f}k"
    return f"{value / 1_000_000:.1f}M"
