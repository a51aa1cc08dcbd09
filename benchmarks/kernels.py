"""How fast the kernels are, against what: `python -m benchmarks.kernels` (`move37 bench kernels` starts it).

    (nothing)    on a CPU: chunked against the naive recurrence and SDPA, and a training step against softmax's;
                 on a CUDA device: against flash-linear-attention (when installed) and SDPA, share of peak
    --imports    import every Triton kernel and stop
    --compile    compile every Triton kernel for sm_90 and stop; needs no card
    --json       one JSON line at the end;  --plot FILE  an HTML page of tokens a second over length

Everything compared is timed in turns inside one run. One thread: CPU time of the process; more: wall clock. The figure
is the fastest of its turns, the one least disturbed by neighbours.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from move37 import kernels
from move37.benchmarks.kernels_models import GatedDelta, Softmax, training_step
from move37.lab import baselines
from move37.lab.training.contract import load_mixer

Rows = list[dict[str, Any]]
H100_BYTES, H100_FLOPS = 3.35e12, 989e12  # a second, data sheet: HBM3, dense bf16


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


def cpu_against_naive(turns: int, length: int = 2048) -> dict[str, float]:
    """Milliseconds of the chunked form and of two loops over time, and how many times faster it is.

    `naive` is the recurrence in float32 (what a decoding step runs), `oracle` kernels.reference in float64. Both ways,
    the loops go through autograd.
    """
    given = inputs(1, length, 4, 64, "cpu", torch.float32)
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter

    def naive() -> Tensor:
        return kernels.fused_recurrent_gated_delta_rule(**given)[0]

    def oracle() -> Tensor:
        with kernels.implementation("reference"):
            return kernels.chunk_gated_delta_rule(**given)[0]

    def chunked() -> Tensor:
        return kernels.chunk_gated_delta_rule(**given)[0]

    with torch.no_grad():
        found = fastest({"naive": naive, "oracle": oracle, "chunked": chunked}, turns, clock)
    both = fastest({"naive": both_ways(naive), "chunked": both_ways(chunked)}, 3, clock)
    found |= {f"both_{name}": ms for name, ms in both.items()}
    found["forward"], found["both"] = found["naive"] / found["chunked"], both["naive"] / both["chunked"]
    found["forward_oracle"] = found["oracle"] / found["chunked"]
    return found


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
    naive = cpu_against_naive(turns)
    print(
        f"chunked over naive at T = 2048: forward {naive['forward']:.1f}x, both {naive['both']:.1f}x (goals 15x, 30x), "
        f"over the float64 reference forward {naive['forward_oracle']:.1f}x"
    )
    print("  ".join(f"{name} {ms:.1f} ms" for name, ms in naive.items() if not name.startswith("forward")))
    steps = cpu_step(2 * turns, compiled=compiled)
    for row in steps:
        print(
            f"training step, H = {row['H']}: {row['name']:30}{row['step_ms']:8.1f} ms  {row['parameters']} parameters"
        )
    return {"lengths": lines, "naive": naive, "steps": steps}


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


def on_gpu(lengths: tuple[int, ...], heads: int, width: int = 128, tokens: int = 32768) -> dict[str, Any]:
    """Tokens a second at a fixed number of tokens, bf16; fla is compared where it is installed."""
    from triton.testing import do_bench

    rows: Rows = []
    for length in lengths:
        batch = max(1, tokens // length)
        given = inputs(batch, length, heads, width, "cuda", torch.bfloat16)
        calls = contestants(given)
        try:
            from fla.ops.gated_delta_rule import chunk_gated_delta_rule as yardstick

            calls["fla gated delta"] = lambda given=given: yardstick(**given)[0]
        except ImportError:
            print("flash-linear-attention is not installed: compared with SDPA alone")
        floor = batch * length * heads * (4 * width * 2 + 8) / H100_BYTES * 1e3
        flops = batch * length * heads * (10 * 64 * width + 64 * 64 + 6 * width * width) / H100_FLOPS * 1e3
        for name, call in calls.items():
            forward, both = do_bench(call, return_mode="median"), do_bench(both_ways(call), return_mode="median")
            rows.append(
                {
                    "name": name,
                    "T": length,
                    "forward_ms": forward,
                    "both_ms": both,
                    "tokens_per_s": batch * length / forward * 1e3,
                    "share_of_bandwidth_floor": floor / forward,
                    "share_of_tensor_flops": flops / forward,
                }
            )
            print(
                f"{length:>6} {name:20}{forward:9.3f} ms forward {both:9.3f} ms both  {floor / forward:5.0%} of floor"
            )
    print(crossover(rows))
    return {"lengths": rows, "small": gpu_small_operators(), "device": torch.cuda.get_device_name()}


def gpu_small_operators(rows: int = 65536, width: int = 2048) -> dict[str, float]:
    """Share of copy bandwidth of the operators that only move memory."""
    from triton.testing import do_bench

    x = torch.randn(8, rows // 8, width, device="cuda", dtype=torch.bfloat16)
    taps = torch.randn(width, 4, device="cuda", dtype=torch.bfloat16)
    copy = do_bench(lambda: x.clone(), return_mode="median")
    return {
        "convolution": copy / do_bench(lambda: kernels.causal_conv1d(x, taps, activation="silu"), return_mode="median"),
        "gated norm": 1.5 * copy / do_bench(lambda: kernels.rms_norm_gated(x, x, taps[:, 0]), return_mode="median"),
        "l2norm": copy / do_bench(lambda: kernels.l2norm(x), return_mode="median"),
    }


def plot(rows: Rows, path: str) -> None:
    """Tokens a second over length, forward + backward, as an HTML page."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name in dict.fromkeys(r["name"] for r in rows):
        own = [r for r in rows if r["name"] == name]
        figure.add_scatter(x=[r["T"] for r in own], y=[r["T"] / r["both_ms"] * 1e3 for r in own], name=name)
    figure.update_xaxes(type="log", title="tokens in a sequence")
    figure.update_yaxes(type="log", title="tokens a second, forward + backward")
    figure.write_html(path, include_plotlyjs=True)


def import_all() -> list[str]:
    """Import every Triton module; raises what they raise."""
    root = Path(kernels.__file__).parent
    names = [
        ".".join(("move37.kernels", *path.relative_to(root).with_suffix("").parts))
        for path in sorted(root.rglob("triton*.py"))
    ]
    for name in names:
        importlib.import_module(name)
    return names


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__.split("\n")[0])
    parser.add_argument("--imports", action="store_true", help="import every Triton kernel and stop")
    parser.add_argument("--compile", action="store_true", help="compile every Triton kernel for sm_90 and stop")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--turns", type=int, default=10, help="times that everything is timed (default 10)")
    parser.add_argument("--lengths", default="", help="comma-separated, e.g. 1024,2048,8192")
    parser.add_argument("--heads", type=int, default=32, help="heads on a GPU (default 32)")
    parser.add_argument("--torch-compile", action="store_true", help="also time compiled steps; needs a C++ compiler")
    parser.add_argument("--plot", metavar="FILE", help="write an HTML chart")
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    asked = parser.parse_args()
    if asked.imports:
        print("\n".join(import_all()))
        return
    if asked.compile:
        from move37.benchmarks.kernels_compile import SHARED_BYTES, compile_everything

        made = compile_everything()
        for one in made:
            print(f"{one.name:24}{one.warps:3} warps{one.stages:3} stages{one.shared_bytes:8} B shared")
        too_big = [one.name for one in made if one.shared_bytes > SHARED_BYTES]
        raise SystemExit(f"more shared memory than a block has: {too_big}" if too_big else 0)
    torch.set_num_threads(asked.threads)
    chosen = tuple(int(t) for t in asked.lengths.split(",") if t)
    if torch.cuda.is_available():
        found = on_gpu(chosen or (1024, 2048, 4096, 8192, 16384, 32768), asked.heads)
    else:
        print(f"torch {torch.__version__}, {asked.threads} threads, {platform.processor() or platform.machine()}")
        found = on_cpu(asked.turns, chosen or (512, 1024, 2048, 4096, 8192), compiled=asked.torch_compile)
    if asked.plot:
        plot(found["lengths"], asked.plot)
    if asked.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
