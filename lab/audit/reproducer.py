"""The smallest reproducer of a failure: the fewest tokens on which it shows, as lines to put below the judged file.

Read `reproducers`. Where a failure depends on a length, a job in the sandbox looks for the shortest one
(`lab/inside/smallest.py`); what fails at no short length, or has no length, gets the gate's own sizes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import count

from move37.lab.job_bundle import inside, main_file
from move37.lab.records import GateResult
from move37.lab.training.contract import FILE_NAME
from move37.sandbox.job import MIB, Job, Limits, Outcome
from move37.sandbox.sandbox import Sandbox

SECONDS = 10.0  # CPU seconds for one request to a candidate's process
JOB_SECONDS = 40.0  # wall clock
MEMORY_BYTES = 2048 * MIB
WINDOW = 128  # tokens, where no shorter input shows it
BY_LENGTH = ("causality", "truncation", "batch", "finite")

_LAYER = "torch.manual_seed(0)\nlayer = Mixer(64, 4).eval()\n"
_MOVED = "for p in layer.parameters():\n    p.data += 0.05 * torch.randn_like(p)  # where it starts with zeros\n"
_LINES: Mapping[str, str] = {
    "causality": f"{_LAYER}{_MOVED}x = torch.randn(1, TIME, 64)\nother = x.clone()\n"
    "other[:, -1] = 4 * torch.randn(64)\n"
    "print((layer(other) - layer(x))[:, :-1].abs().max())  # 0: the last input reaches no earlier output\n",
    "truncation": f"{_LAYER}{_MOVED}x = torch.randn(1, TIME, 64)\n"
    "print((layer(x)[:, :-1] - layer(x[:, :-1])).abs().max())  # 0: earlier outputs do without the last input\n",
    "batch": f"{_LAYER}{_MOVED}x, other = torch.randn(1, TIME, 64), 4 * torch.randn(1, TIME, 64)\n"
    "print((layer(torch.cat((x, other)))[:1] - layer(x)).abs().max())  # 0: a row stands alone\n",
    "finite": f"{_LAYER}x = torch.randn(1, TIME, 64)\n"
    "print(layer(x).isfinite().all(), layer(x[:, :1].expand_as(x)).isfinite().all())  # True True\n",
    "purity": f"{_LAYER}{_MOVED}x = torch.randn(1, 8, 64)\nprint((layer(x) - layer(x)).abs().max())  # 0\n",
    "determinism": f"{_LAYER}weights, x = layer.state_dict(), torch.randn(1, 8, 64)\ntorch.manual_seed(1)\n"
    "other = Mixer(64, 4).eval()\nother.load_state_dict(weights)\n"
    "print((layer(x) - other(x)).abs().max())  # 0: weights say all\n",
    "dead_parameters": f"{_LAYER}{_MOVED}layer(torch.randn(2, 64, 64)).pow(3).sum().backward()\n"
    "print([n for n, p in layer.named_parameters() if p.grad is None or not p.grad.any()])  # []\n",
    "parameters": f"{_LAYER}print(sum(p.numel() for p in layer.parameters()))  # at most LIMIT\n",
    "dtype": "for dtype in (torch.float32, torch.float64, torch.bfloat16):\n"
    "    print(dtype, Mixer(64, 4).to(dtype)(torch.randn(1, 8, 64, dtype=dtype)).dtype)  # twice the same\n",
    "complexity": f"import time\n\n{_LAYER}for length in (1024, 2048, 4096):\n    begun = time.process_time()\n"
    "    layer(torch.randn(1, length, 64))\n"
    "    print(length, time.process_time() - begun)  # twice as much each time\n",
    "shape": "for batch, length, width, heads in ((2, 64, 64, 4), (3, 1, 64, 4), (1, 63, 64, 4), (1, 131, 64, 4), "
    "(2, 33, 128, 4)):\n    x = torch.randn(batch, length, width)\n"
    "    print(x.shape, Mixer(width, heads)(x).shape)  # twice the same\n",
}
_serial = count(1)


async def reproducers(source: str, gates: Sequence[GateResult], *, trust: str, sandbox: Sandbox) -> dict[str, str]:
    """Failing gate -> lines that show its failure below `source`. Raises `SandboxError`."""
    shut = [g for g in gates if g.passed is False and g.name in _LINES]
    limits = {g.name: g.limit or 0.0 for g in shut if g.name in BY_LENGTH}
    times = await _shortest(source, limits, trust, sandbox) if limits else {}
    return {g.name: _text(g, times.get(g.name, WINDOW)) for g in shut}


def _text(gate: GateResult, time: int) -> str:
    limit = f"{gate.limit:g}" if gate.limit is not None else ""
    return _LINES[gate.name].replace("TIME", str(time)).replace("LIMIT", limit)


async def _shortest(source: str, limits: Mapping[str, float], trust: str, sandbox: Sandbox) -> dict[str, int]:
    order = {"gates": dict(limits), "seconds": SECONDS}
    job = Job(
        id=f"{trust}-smallest-{next(_serial)}",
        trust=trust,
        argv=("python", "main.py"),
        files={
            **inside(),
            **main_file("move37.lab.inside.smallest"),
            FILE_NAME: source.encode(),
            "order.json": json.dumps(order).encode(),
        },
        limits=Limits(wall_seconds=JOB_SECONDS, memory_bytes=MEMORY_BYTES, threads=1),
    )
    return _read(await sandbox.run(job), limits)


def _read(outcome: Outcome, limits: Mapping[str, float]) -> dict[str, int]:
    """The lengths that the job found; a line that is none is skipped, as is what it had no time for."""
    found: dict[str, int] = {}
    for line in outcome.stdout.splitlines():
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict) and answer.get("gate") in limits and isinstance(answer.get("time"), int):
            found[answer["gate"]] = answer["time"]
    return found
