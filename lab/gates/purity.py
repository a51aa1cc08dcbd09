"""Gate `purity`: `forward` is a function of its input and the weights, and leaves nothing behind.

The same call twice, with other calls in between; the state_dict, the input, torch's global settings and, in eval
mode, its random state stay as they were. In training mode the same call twice under the same seed: dropout may
draw, a step counter may not count; and a run of forward and backward passes leaves weights and buffers alone, or the
mixer trains itself. Who begins later than `TRAINING_CALLS` is caught by the training loop (`lab/training/loop.py`).
Caches are allowed as long as nobody can tell.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from move37.lab.gates.gate import Evidence, Gate, Reading, failed, passed, rounding_limit, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from torch import Tensor, nn

    from move37.lab.gates.bench import Bench

NAME = "purity"
TRAINING_CALLS = 32


def measure(bench: Bench) -> Reading:
    """The largest relative difference between equal calls; infinite is reported as 1 with what was left behind."""
    found = [*_repeated(bench), *_left_behind(bench), *_trained(bench)]
    worst = max((value for value, _ in found), default=0.0)
    return Reading(
        value=min(worst, 1e9),
        detail="; ".join(detail for value, detail in found if value > 0),
        numbers={} if bench.random else bench.rounding,
    )


def _repeated(bench: Bench) -> list[tuple[float, str]]:
    """Calls on one module that should agree."""
    from move37.lab.gates.bench import call, difference

    x, short = bench.inputs(2, 97).to(bench.dtype), bench.inputs(1, 33).to(bench.dtype)
    mixer = bench.build()
    first = call(mixer, x, draw=1)
    if not first.isfinite().all():
        return []  # for `finite` to say
    found = [(difference(call(mixer, x, draw=2), first), "the same call twice gives two outputs")]
    fresh = call(bench.build(), short)
    found.append((difference(call(mixer, short), fresh), "an earlier call changes the output for another input"))
    found.append((difference(call(mixer, x), first), "calls in between change the output"))
    mixer = bench.build().train()
    first = call(mixer, x, draw=3)
    found.append((difference(call(mixer, x, draw=3), first), "in training mode, the same call counts"))
    return found


def _left_behind(bench: Bench) -> list[tuple[float, str]]:
    """What a call in eval mode changes outside its output, and who goes on working after it."""
    import torch

    from move37.lab.gates.bench import global_settings, guarded

    found = []
    with guarded():
        settings = global_settings()
        mixer = bench.build()
        x = bench.inputs(2, 97).to(bench.dtype)
        before, kept = _state(mixer), x.clone()
        noise = torch.get_rng_state()
        with torch.no_grad():
            mixer(x)
        if not torch.equal(x, kept):
            found.append((1.0, "forward changes its input in place"))
        if changed := _changed(before, _state(mixer)):
            found.append((1.0, f"a call in eval mode changes {', '.join(changed[:4])} of the state_dict"))
        if not torch.equal(noise, torch.get_rng_state()):
            found.append((1.0, "a call in eval mode draws or seeds random numbers"))
        now = global_settings()
        if switched := [name for name, value in settings.items() if now[name] != value and name != "grad mode"]:
            found.append((1.0, f"a call changes torch's {', '.join(switched)}"))
    found += _import_leaves(bench)
    threads, children = _company()
    bench.run(bench.inputs(1, 8))
    more_threads, more_children = _company()
    if more_threads > threads:
        found.append((1.0, "a thread is left running"))
    if more_children > children:
        found.append((1.0, "a process is left running"))
    return found


def _company() -> tuple[int, int]:
    """Threads of Python in this process, and its children (where the system tells: Linux)."""
    lists = Path("/proc/self/task").glob("*/children")
    return len(sys._current_frames()), sum(len(children.read_text().split()) for children in lists)


def _trained(bench: Bench) -> list[tuple[float, str]]:
    """What forward and backward in training mode change of the state_dict; no optimiser is near."""
    import torch

    from move37.lab.gates.bench import checked, guarded

    with guarded():
        mixer = bench.build().train()
        before = _state(mixer)
        for number in range(TRAINING_CALLS):
            torch.manual_seed(number)
            y = checked(mixer(bench.inputs(2, 3 + number % 5).to(bench.dtype)))
            if y.requires_grad:
                y.float().square().mean().backward()  # type: ignore[no-untyped-call]
        changed = _changed(before, _state(mixer))
    return [(1.0, f"training mode changes {', '.join(changed[:4])} without the optimiser")] if changed else []


def _import_leaves(bench: Bench) -> list[tuple[float, str]]:
    """What executing the file and building the mixer change."""
    from move37.lab.gates.bench import global_settings, guarded
    from move37.lab.training.contract import load_mixer
    from move37.lab.training.sizes import D_MODEL, N_HEADS

    with guarded():
        settings = global_settings()
        load_mixer(bench.source)(D_MODEL, N_HEADS)
        now = global_settings()
    switched = [name for name, value in settings.items() if now[name] != value]
    return [(1.0, f"importing or building changes torch's {', '.join(switched)}")] if switched else []


def _state(mixer: nn.Module) -> dict[str, Tensor]:
    import torch

    return {name: value.clone() for name, value in mixer.state_dict().items() if isinstance(value, torch.Tensor)}


def _changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> list[str]:
    import torch

    names = sorted(before.keys() | after.keys())
    return [n for n in names if n not in before or n not in after or not torch.equal(before[n], after[n])]


def judge(reading: Reading, evidence: Evidence) -> GateResult:
    """Equal calls may differ by rounding alone."""
    limit = rounding_limit(reading)
    if reading.value is None:
        return unjudged(NAME, reading.detail, limit)
    if reading.value > limit:
        message = f"forward is not a function of its input: {reading.detail}; keep no state and draw nothing in eval()"
        return failed(NAME, reading.value, limit, message)
    return passed(NAME, reading.value, limit, "equal calls give equal outputs and leave nothing behind")


GATE = Gate(name=NAME, measure=measure, judge=judge)
