"""Gate `purity`: `forward` is a function of its input and the weights, without side effects.

The same call twice, with other calls in between, with gradients and in inference mode; the state_dict, the input,
torch's global settings and, in eval mode, its random state stay as they were. In training mode the same call twice
under the same seed: dropout may draw, a step counter may not count; and forward and backward passes leave weights and
buffers alone, or the mixer would train itself. Outputs are compared here; settings, threads and the input are reported
by the candidate's process (`lab/inside/leftovers.py`). Side effects that begin after `TRAINING_CALLS` calls are found
by the training, which asks fresh processes (`lab/inside/verify.py`). Caches that change no output are allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import (
    NOT_FINITE,
    SCORED,
    TRAINED,
    WINDOW,
    Gate,
    GateEvidence,
    RawMeasurement,
    failed,
    passed,
    rounding_limit,
    unjudged,
)
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from torch import Tensor

    from move37.lab.inside.bench import Bench
    from move37.lab.inside.built_mixer import BuiltMixer

NAME = "purity"
TRAINING_CALLS = 32


def measure(bench: Bench) -> RawMeasurement:
    """The largest relative difference between equal calls; infinite is reported as 1 with what was left behind."""
    try:
        found = [*_repeated(bench), *_as_it_is_used(bench), *_same_everywhere(bench)]
    except NotFiniteError:
        return NOT_FINITE
    # Other gates skip mixers that draw; one that draws in their calls only must not pass by that.
    if bench.random:
        found.insert(0, (1.0, "a call in eval mode, or the file while it is loaded, draws random numbers"))
    found += [*_left_behind(bench), *_trained(bench)]
    worst = max((value for value, _ in found), default=0.0)
    return RawMeasurement(
        value=min(worst, 1e9),
        detail="; ".join(detail for value, detail in found if value > 0),
        numbers={} if bench.random else bench.rounding,
    )


class NotFiniteError(Exception):
    """There is nothing to compare."""


def _number(y: Tensor) -> Tensor:
    """`y`, if it is a number everywhere. Raises `NotFiniteError`."""
    if not y.isfinite().all():
        raise NotFiniteError
    return y


def _repeated(bench: Bench) -> list[tuple[float, str]]:
    """Calls on one module that should agree."""
    x, short = bench.inputs(2, 97).to(bench.dtype), bench.inputs(1, 33).to(bench.dtype)
    module = bench.build()
    first = _number(module(x, draw=1))
    found = [(bench.difference(module(x, draw=2), first), "the same call twice gives two outputs")]
    fresh = bench.build(process="second")(short)
    found.append((bench.difference(module(short), fresh), "an earlier call changes the output for another input"))
    found.append((bench.difference(module(x, draw=1), first), "calls in between change the output"))
    for mode, words in (("inference", "in inference mode"), ("grad", "with gradients")):
        found.append(
            (bench.difference(module(x, draw=1, mode=mode), first), f"{words} the same call gives another output")
        )
    module = bench.build()
    first = _number(module(x, draw=3, train=True))
    found.append((bench.difference(module(x, draw=3, train=True), first), "in training mode, the same call counts"))
    apart = bench.build(process="second")(x, draw=3, train=True, mode="grad")
    found.append((bench.difference(apart, first), "in training mode, another process gives another output"))
    return found


def _as_it_is_used(bench: Bench) -> list[tuple[float, str]]:
    """The same of a batch as a scoring or a training has it, and what other windows left behind there."""
    form = bench.draw.choice((SCORED, TRAINED))
    module = bench.build()
    x, other = (bench.tokens(form.rows, WINDOW).to(bench.dtype) for _ in range(2))
    first, _, again = (_number(module(rows, draw=1, mode=form.mode, train=form.train)) for rows in (x, other, x))
    return [(bench.difference(again, first), f"{form.rows} other windows in between change the output")]


def _same_everywhere(bench: Bench) -> list[tuple[float, str]]:
    """The last layer of a network against a first layer of the same draws and weights."""
    x = bench.inputs(2, 97).to(bench.dtype)
    last = bench.build(number=bench.layers - 1)
    y = _number(last(x, draw=1))
    return [
        (bench.difference(bench.as_first(last)(x, draw=1), y), "the last mixer of a network is another than the first")
    ]


def _left_behind(bench: Bench) -> list[tuple[float, str]]:
    """What a call in eval mode changes outside its output, running threads included."""
    module = bench.build()
    before = _sent(module)
    x = bench.inputs(2, 97).to(bench.dtype)
    module(x)
    found = []
    if changed := _changed(before, module.state()):
        found.append((1.0, f"a call in eval mode changes {', '.join(changed[:4])} of the state_dict"))
    for length in (97, 8):
        reply, _ = module.ask("leftovers", bench.inputs(2 if length > 8 else 1, length).to(bench.dtype))
        found += [(1.0, str(words)) for words in reply.get("found", [])]
    return found


def _trained(bench: Bench) -> list[tuple[float, str]]:
    """What forward and backward in training mode change in the state_dict, without an optimiser."""
    module = bench.build()
    module(bench.inputs(2, 3).to(bench.dtype))
    before = module.state()
    for number in range(TRAINING_CALLS):
        y = module(bench.inputs(2, 3 + number % 5).to(bench.dtype), draw=number, train=True, mode="grad")
        module.backward(y * 2 / y.numel())
    changed = _changed(before, module.state())
    return [(1.0, f"training mode changes {', '.join(changed[:4])} without the optimiser")] if changed else []


def _sent(module: BuiltMixer) -> dict[str, Tensor]:
    there = module.layer.values
    return {n: v.to(now.dtype) for n, v, now in zip(module.names, module.values, there, strict=True)}


def _changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> list[str]:
    import torch

    names = sorted(before.keys() | after.keys())
    return [n for n in names if n not in before or n not in after or not torch.equal(before[n], after[n])]


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """Equal calls may differ by rounding alone."""
    limit = rounding_limit(raw)
    if raw.value is None:
        return unjudged(NAME, raw.detail, limit)
    if raw.value > limit:
        message = f"forward is not a function of its input: {raw.detail}; keep no state and draw nothing in eval()"
        return failed(NAME, raw.value, limit, message)
    return passed(NAME, raw.value, limit, "equal calls give equal outputs and leave nothing behind")


GATE = Gate(name=NAME, measure=measure, judge=judge)
