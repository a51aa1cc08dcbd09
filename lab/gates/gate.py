"""What a gate is: a measurement by the job's trusted process, and a judgement outside the sandbox.

Read in this order: `RawMeasurement` (from the sandbox), `GateEvidence` (other inputs of `judge`), `Gate`, then the
three kinds of answer: `passed`, `failed`, `unjudged`. Everything here is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.inside.bench import Bench
    from move37.lab.judging.checked import Fingerprint

ROUNDOFF_FLOOR = 1e-4  # differences below this, relative to the outputs' rms, always pass
ROUNDOFF_CEILING = 2e-2  # and above this always fail, however much a candidate amplifies rounding
SHORT_LIMIT = 0.2  # tolerance for a candidate that computes in bfloat16 internally, which the gate `dtype` rejects
AMPLIFICATION = 20.0  # how much more than its own rounding a candidate may differ


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMeasurement:
    """One gate's measurement, as the sandbox reported it."""

    value: float | None = None  # the gate's number; None when there was nothing to measure
    detail: str = ""  # where and what, for the message
    see: str = ""  # the gate that says why there is no value
    numbers: Mapping[str, float] = field(default_factory=dict)  # what else the judge needs
    outputs: Sequence[float] = ()  # numbers to be compared outside
    crash: str = ""  # the candidate's exception in one line
    traceback: str = ""  # its frames in the candidate's file

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RawMeasurement:
        """From a report line. Raises `ValueError`, `TypeError` or `KeyError` when it is none."""
        value = data.get("value")
        return cls(
            value=None if value is None else float(value),
            detail=str(data.get("detail", ""))[:2000],
            see=str(data.get("see", "")),
            numbers={str(name): float(number) for name, number in dict(data.get("numbers", {})).items()},
            outputs=tuple(float(number) for number in data.get("outputs", ())),
            crash=str(data.get("crash", ""))[:2000],
            traceback=str(data.get("traceback", ""))[:8000],
        )


WINDOW = 128  # tokens of a row, where a mixer is trained and scored at the default scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a mixer is asked for a whole batch."""

    mode: str
    train: bool
    rows: int


SCORED, TRAINED = Form(mode="inference", train=False, rows=32), Form(mode="grad", train=True, rows=16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """CPU seconds of the candidate's processes, as the system counted them."""

    long: float  # a few long sequences
    short: float  # as many tokens in short ones
    start: float  # a process that does hardly anything

    @classmethod
    def of(cls, raw: RawMeasurement) -> Timing | None:
        """From a measurement's numbers; None where it holds none."""
        parts = {name: raw.numbers[name] for name in ("long", "short", "start") if name in raw.numbers}
        return cls(**parts) if len(parts) == 3 else None

    @property
    def ratio(self) -> float:
        """What a token costs in a long sequence, against one in a short sequence."""
        return max(0.0, self.long - self.start) / max(self.short - self.start, 0.1 * self.short, 0.01)

    @property
    def excess(self) -> float:
        """CPU seconds that the long sequences took more."""
        return self.long - self.short


@dataclass(frozen=True, slots=True, kw_only=True)
class GateEvidence:
    """Inputs of `judge` beside the gate's own measurement."""

    results: Mapping[str, GateResult] = field(default_factory=dict)  # gates judged before this one
    baseline_parameters: int = 0  # of the largest baseline mixer; 0: unknown
    exempt_quadratic: bool = False  # the softmax baseline
    tree: str = ""  # hash of the candidate's normalised syntax tree
    known: tuple[Fingerprint, ...] = ()  # of the archive

    def failed(self, name: str) -> bool:
        """Whether the gate `name` was judged before, and failed."""
        return name in self.results and self.results[name].passed is False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate. `after` names gates whose failure explains this one's: they are judged first."""

    name: str
    measure: Callable[[Bench], RawMeasurement]  # inside the sandbox
    judge: Callable[[RawMeasurement, GateEvidence], GateResult]  # outside
    after: tuple[str, ...] = ()


NOT_FINITE = RawMeasurement(detail="outputs are not finite; see finite", see="finite")  # a gate had nothing to compare


def passed(name: str, value: float | None, limit: float | None, message: str) -> GateResult:
    """The result of a gate that passed."""
    return GateResult(name=name, passed=True, value=value, limit=limit, message=message)


def failed(name: str, value: float | None, limit: float | None, message: str, traceback: str = "") -> GateResult:
    """The result of a gate that refuses."""
    return GateResult(name=name, passed=False, value=value, limit=limit, message=message, traceback=traceback)


def unjudged(name: str, message: str, limit: float | None = None) -> GateResult:
    """The result of a gate that could not run."""
    return GateResult(name=name, passed=None, value=None, limit=limit, message=message)


def rounding_limit(raw: RawMeasurement) -> float:
    """How far two computations of the same thing may differ, given how this candidate amplifies rounding."""
    own = raw.numbers.get("roundoff", 0.0)
    if raw.numbers.get("short"):
        return SHORT_LIMIT
    return min(ROUNDOFF_CEILING, max(ROUNDOFF_FLOOR, AMPLIFICATION * own))
