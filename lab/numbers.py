"""How numbers are written: as many digits as their spread makes worth reading, the same within one group. Pure.

No number of a task's metric is written with a fixed number of decimals, as a score of 1.661e-06 would read 0.000. Read
`DigitScale.of`, then `scale_of`, which knows the noise of metrics whose noise was measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from move37.lab.records import Effect
from move37.lab.statistics.noise import NOISE

STEPS = 50  # parts of the spread that are told apart
MANY = 8  # numbers from which on the quartiles say what the spread is
ROUNDING = 1e-12  # of a number: what lies nearer together differs by rounding alone
SIDES = 3  # more places at most, to see on which side of zero a bound lies
ALONE = 4  # significant digits of a number without a group
NONE = "–"


@dataclass(frozen=True, slots=True)
class DigitScale:
    """The way to write the numbers of one group."""

    places: int = 3  # behind the point; of the mantissa where `power` is set
    power: int = 0  # of ten, taken out of numbers that would otherwise be rows of zeros

    @classmethod
    def of(cls, values: Iterable[float | None]) -> DigitScale:
        """A fiftieth of the spread of `values` can be read; four digits of the number where there is no spread."""
        found = sorted(v for v in values if v is not None and math.isfinite(v))
        largest = max((abs(v) for v in found), default=0.0)
        if not largest:
            return cls()
        spread = _spread(found)
        top = math.floor(math.log10(largest))
        places = math.ceil(-math.log10(spread / STEPS)) if spread else ALONE - 1 - top
        if top < -3 or top > 8:
            return cls(places=min(15, max(1, places + top)), power=top)
        return cls(places=min(15, max(0, places)))

    def text(self, value: float | None) -> str:
        """A value: 2.515, 1.661e-06, or a dash for none."""
        return self._write(value, "")

    def signed(self, value: float | None) -> str:
        """A difference: +0.012."""
        return self._write(value, "+")

    def bounds(self, low: float | None, high: float | None, *, signed: bool = False) -> str:
        """An interval, [2.501, 2.529], or nothing; of a difference as fine as it takes to see on which side a bound is.

        >>> DigitScale(places=3).bounds(-0.00049, 0.0635, signed=True)
        '[-0.0005, +0.0635]'
        """
        if low is None or high is None:
            return ""
        finer = self
        while signed and finer.places < self.places + SIDES and any(finer._hides_side(b) for b in (low, high)):
            finer = replace(finer, places=finer.places + 1)
        write = finer.signed if signed else finer.text
        return f"[{write(low)}, {write(high)}]"

    def _hides_side(self, bound: float) -> bool:
        return bound != 0.0 and self.signed(bound)[:1] not in ("+", "-", NONE)

    def _write(self, value: float | None, sign: str) -> str:
        if value is None or not math.isfinite(value):
            return NONE
        if self.power:
            written = f"{value / 10.0**self.power:{sign}.{self.places}f}"
            return f"{_without_sign_of_zero(written)}e{self.power:+03d}"
        commas = "," if abs(value) >= 10_000 else ""
        return _without_sign_of_zero(f"{value:{sign}{commas}.{self.places}f}")


def signed(value: float, form: str = ".3f") -> str:
    """A difference by itself, in a form of Python's; what is rounded to zero has no side, and so no sign.

    >>> signed(0.0123), signed(-0.0004), signed(-0.126, ".0%")
    ('+0.012', '0.000', '-13%')
    """
    return _without_sign_of_zero(f"{value:+{form}}")


def _without_sign_of_zero(written: str) -> str:
    return written if written.strip("+-0.,%") else written.lstrip("+-")


def scale_of(metric: str, values: Iterable[float | None]) -> DigitScale:
    """How sentences write a metric: by what its runs scatter by where that was measured, else as `values` need it.

    For a single difference pass (0.0, difference), so that its digits distinguish it from zero.

    >>> scale_of("bits_per_byte", (0.0, 0.0335)).signed(0.0335), scale_of("score", (0.0, 1.661e-06)).signed(1.661e-06)
    ('+0.034', '+1.66e-06')
    """
    known = NOISE.get(metric)
    if known is not None:
        return DigitScale.of((-1.96 * known.run.sd, 1.96 * known.run.sd))
    return DigitScale.of(values)


def effect_scale(effect: Effect) -> DigitScale:
    """As fine as its standard error, where it has one."""
    half = 1.96 * (effect.standard_error or 0.0)
    return DigitScale.of((-half, half) if half else (0.0, effect.value))


def effect_text(effect: Effect) -> str:
    """
    >>> effect_text(Effect(rival="b", value=0.0691, standard_error=0.02, steps=100, text="screen", seeds=1))
    '+0.069 +- 0.020'
    """
    scale, error = effect_scale(effect), effect.standard_error
    return scale.signed(effect.value) + ("" if error is None else f" +- {scale.text(error)}")


def effect_range(effect: Effect) -> str:
    """The effect with its 95 % interval, where the noise is known.

    >>> effect_range(Effect(rival="b", value=0.0691, standard_error=0.02, steps=100, text="screen", seeds=1))
    '+0.069 [+0.030, +0.108]'
    """
    scale = effect_scale(effect)
    return f"{scale.signed(effect.value)} {scale.bounds(*(effect.interval() or (None, None)), signed=True)}".rstrip()


def _spread(ordered: list[float]) -> float:
    """Of many between the quartiles, so that one bad value does not blur the rest; else between the ends."""
    quarter = len(ordered) // 4 if len(ordered) >= MANY else 0
    inner = ordered[-1 - quarter] - ordered[quarter]
    spread = inner or ordered[-1] - ordered[0]
    return spread if spread > ROUNDING * max(abs(ordered[0]), abs(ordered[-1])) else 0.0


def number(value: float | None, digits: int = ALONE) -> str:
    """A number by itself: four significant digits, whole thousands with commas, or a dash."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value + 0.0:.{digits}g}"
