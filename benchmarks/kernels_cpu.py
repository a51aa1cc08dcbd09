"""The kernels on a CPU: against SDPA, the recurrence, plain PyTorch in chunks, and a whole training step.

Everything compared is timed in turns inside one run. One thread: CPU time of the process; more: wall clock. The figure
is the fastest of its turns, the one least disturbed by neighbours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from move37 import kernels
from move37.benchmarks.kernels_baseline import chunk_form
from move37.benchmarks.kernels_models import GatedDelta, Softmax, training_step
from move37.lab import baselines
from move37.lab.training.contract import load_mixer

Rows = list[dict[str, Any]]


def fastest(calls: Mapping[str, Callable[[], object]], turns: int, clock: Callable[[], float]) -> dict[str, float]:
    """Milliseconds of each call, the best of `turns` taken in rotation after two warm-ups."""
    best = dict.fromkeys(calls, float("inf"))
    for turn in range(-2, turns):
        for name, call in calls.items():
            start = clock()
            call()
            if turn >= 0:
                best[name] = min(best[name], (clock() - start) * 1e3)
    return best


def inputs(batch: int, length: int, heads: int, width: int, device: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """q, k, v, g, beta that want gradients; keys of length one."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(batch, length, heads, width, device=device, dtype=dtype) for _ in range(3))
    found = {"q": q, "k": F.normalize(k, dim=-1), "v": v}
    found["g"] = F.logsigmoid(torch.randn(batch, length, heads, device=device) + 3)
    found["beta"] = torch.rand(batch, length, heads, device=device)
    return {name: x.requires_grad_() for name, x in found.items()}


def both_ways(forward: Callable[[], Tensor]) -> Callable[[], None]:
    """Forward and backward with a fixed output gradient."""
    gradient = torch.randn_like(forward())

    def call() -> None:
        forward().backward(gradient)

    return call


def contestants(given: Mapping[str, Tensor]) -> dict[str, Callable[[], Tensor]]:
    """Gated DeltaNet, scalar GLA and causal softmax attention on the same inputs."""
    q, k, v = (given[n].detach().transpose(1, 2).contiguous().requires_grad_() for n in "qkv")
    without = {n: x for n, x in given.items() if n != "beta"}
    return {
        "gated delta": lambda: kernels.chunk_gated_delta_rule(**given)[0],
        "scalar GLA": lambda: kernels.chunk_simple_gla(**without)[0],
        "SDPA": lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    }


def cpu_lengths(lengths: tuple[int, ...], turns: int) -> Rows:
    """B = 1, H = 4, D = 64, float32: milliseconds forward and forward + backward."""
    rows: Rows = []
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    for length in lengths:
        given = inputs(1, length, 4, 64, "cpu", torch.float32)
        calls = contestants(given)
        forward = fastest(calls, turns, clock)
        backward = fastest({n: both_ways(c) for n, c in calls.items()}, turns, clock)
        rows += [{"name": n, "T": length, "forward_ms": forward[n], "both_ms": backward[n]} for n in calls]
    return rows


def cpu_against_plain(turns: int, length: int = 2048) -> dict[str, dict[str, float]]:
    """Milliseconds of the chunked form and of what one writes in plain PyTorch, by name: forward, both ways.

    `recurrence` is the loop over time in float32 that a decoding step runs, `reference` the one in float64; `chunks by
    rows` and `chunks by solve` are kernels_baseline.py. Gradients of all but ours come from autograd.
    """
    given = inputs(1, length, 4, 64, "cpu", torch.float32)
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter

    def reference() -> Tensor:
        with kernels.implementation("reference"):
            return kernels.chunk_gated_delta_rule(**given)[0]

    calls: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: kernels.chunk_gated_delta_rule(**given)[0],
        "chunks by rows": lambda: chunk_form(**given),
        "chunks by solve": lambda: chunk_form(**given, by_rows=False),
        "recurrence": lambda: kernels.fused_recurrent_gated_delta_rule(**given)[0],
        "reference": reference,
    }
    with torch.no_grad():
        forward = fastest(calls, turns, clock)
    both = fastest({n: both_ways(c) for n, c in calls.items() if n != "reference"}, min(3, turns), clock)
    return {n: {"forward_ms": forward[n], **({"both_ms": both[n]} if n in both else {})} for n in calls}


def cpu_losses(turns: int, words: int = 128256, rows: int = 512, width: int = 128) -> dict[str, float]:
    """Milliseconds, both ways, of the fused loss and of logits and cross-entropy in plain PyTorch."""
    x = torch.randn(rows, width, requires_grad=True)
    weight = (torch.randn(words, width) * width**-0.5).requires_grad_()
    target = torch.randint(0, words, (rows,))
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    calls = {
        "ours": lambda: kernels.fused_linear_cross_entropy_loss(x, target, weight),
        "plain": lambda: F.cross_entropy(x @ weight.t(), target),
    }
    return fastest({n: both_ways(c) for n, c in calls.items()}, min(3, turns), clock)


def cpu_step(turns: int, *, compiled: bool) -> Rows:
    """One training step, B = 16, T = 128, L = 2, d = 64, for two and four heads; the lab's are its two baselines."""
    rows: Rows = []
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    for heads in (2, 4):
        made = {
            "softmax": training_step(lambda h=heads: Softmax(64, h, conv=False)),
            "softmax with convolution": training_step(lambda h=heads: Softmax(64, h, conv=True)),
            "gated delta": training_step(lambda h=heads: GatedDelta(64, h)),
        }
        for name in ("softmax", "gated_delta_net"):
            made[f"the lab's {name}"] = training_step(partial(load_mixer(baselines.source(name)), 64, heads))
        if compiled:
            made["softmax, torch.compile"] = training_step(lambda h=heads: Softmax(64, h, conv=False), compiled=True)
            made["gated delta, torch.compile"] = training_step(lambda h=heads: GatedDelta(64, h), compiled=True)
        best = fastest({name: step for name, (step, _) in made.items()}, turns, clock)
        rows += [{"name": n, "H": heads, "step_ms": ms, "parameters": made[n][1]} for n, ms in best.items()]
    return rows


def on_cpu(turns: int, lengths: tuple[int, ...], *, compiled: bool) -> dict[str, Any]:
    """All CPU figures, printed as they come."""
    lines = cpu_lengths(lengths, turns)
    print(f"{'T':>6} {'':24}{'forward ms':>12}{'both ms':>12}")
    for row in lines:
        print(f"{row['T']:>6} {row['name']:24}{row['forward_ms']:>12.2f}{row['both_ms']:>12.2f}")
    print(crossover(lines))
    plain = cpu_against_plain(turns)
    ours = plain["ours"]
    for name, row in plain.items():
        times = "  ".join(f"{n[:-3]} {ms:8.1f} ms {ms / ours[n]:6.1f}x" for n, ms in row.items())
        print(f"gated delta, T = 2048: {name:18}{times}")
    losses = cpu_losses(turns)
    print(f"cross-entropy, 512 x 128256: ours {losses['ours']:.0f} ms, plain {losses['plain']:.0f} ms")
    steps = cpu_step(2 * turns, compiled=compiled)
    for row in steps:
        print(
            f"training step, H = {row['H']}: {row['name']:30}{row['step_ms']:8.1f} ms  {row['parameters']} parameters"
        )
    return {"lengths": lines, "plain": plain, "losses": losses, "steps": steps}


def crossover(rows: Rows) -> str:
    """The shortest length from which Gated DeltaNet is faster than SDPA, forward + backward, at every longer one."""
    by = {(r["name"], r["T"]): r["both_ms"] for r in rows}
    lengths = sorted({r["T"] for r in rows})
    won = [t for t in lengths if all(by["gated delta", u] < by["SDPA", u] for u in lengths if u >= t)]
    return (
        f"gated delta is faster than SDPA, forward + backward, from T = {won[0]}"
        if won
        else "SDPA is faster throughout"
    )
