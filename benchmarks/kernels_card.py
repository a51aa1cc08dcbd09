"""The kernels on a card, in one call that fits into eight minutes: `python -m benchmarks.kernels --card [--out FILE]`.

In this order, a JSON line a row, written at once, so that a call that is cut off loses one row: the card's own
bandwidth and matrix products; correctness in bfloat16 at head sizes 64 and 128 against the float64 recurrence (and
decoding against prefill); then, while time is left, speed over length against SDPA and, where it is installed,
flash-linear-attention; packed sequences; decoding with and without a CUDA graph; memory; the small operators.
`--dry-run` takes the same path here: Triton's interpreter on a CPU, tiny shapes, one turn, times that say nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from move37 import kernels

Call = Callable[[], Any]
# Relative root-mean-square error of outputs and of gradients against the float64 recurrence on the same inputs.
LIMITS = {torch.bfloat16: (6e-3, 2e-2), torch.float16: (5e-3, 2e-2)}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What is run."""

    device: str
    dtype: torch.dtype
    widths: tuple[int, ...]  # head sizes of the correctness rows
    checked: int  # tokens there
    lengths: tuple[int, ...]
    tokens: int  # of a batch
    heads: int
    width: int
    documents: int  # of the packed row
    batches: tuple[int, ...]  # sequences that are decoded at once
    channels: int  # of the small operators
    copied: int  # bytes of the bandwidth row
    milliseconds: int  # of each measurement; 0 is one turn


CARD = Sizes(
    device="cuda", dtype=torch.bfloat16, widths=(64, 128), checked=150, lengths=(1024, 4096, 16384, 32768),
    tokens=32768, heads=32, width=128, documents=64, batches=(1, 64), channels=2048, copied=1 << 30, milliseconds=100,
)  # fmt: skip
# The interpreter multiplies bfloat16 operands as if they were integers.
DRY = Sizes(
    device="cpu", dtype=torch.float16, widths=(16,), checked=18, lengths=(16,),
    tokens=16, heads=1, width=16, documents=2, batches=(1,), channels=16, copied=1 << 10, milliseconds=0,
)  # fmt: skip


class CardReport:
    """Rows as JSON lines on standard output and in a file, each flushed; knows when time is up."""

    def __init__(self, out: Path | None, seconds: float) -> None:
        self._file = None if out is None else out.open("a", encoding="utf-8")
        self._end = time.monotonic() + seconds
        self.failed = 0

    def row(self, kind: str, **fields: Any) -> None:
        """One line, at once."""
        line = json.dumps({"row": kind, **fields})
        print(line, flush=True)
        if self._file is not None:
            self._file.write(line + "\n")
            self._file.flush()
        self.failed += fields.get("passed") is False

    def attempt(self, kind: str, name: str, measure: Callable[[], dict[str, Any]]) -> None:
        """A measured row; one that says why where it could not be had: the rows after it still count."""
        if time.monotonic() > self._end:
            self.row(kind, name=name, skipped="out of time")
            return
        try:
            self.row(kind, name=name, **measure())
        except Exception as error:
            self.row(kind, name=name, error=f"{type(error).__name__}: {error}"[:300], passed=False)


def run(sizes: Sizes, report: CardReport) -> None:
    """All rows."""
    torch.manual_seed(0)
    with torch.device(sizes.device), kernels.implementation("triton"):
        bandwidth = device_rows(sizes, report)
        for name, width in ((n, w) for w in sizes.widths for n in OPERATORS):
            report.attempt("correct", name, lambda n=name, w=width: correctness(n, w, sizes))
        report.attempt("correct", "decode", lambda: decoding_is_prefill(sizes))
        for length in sizes.lengths:
            for name, call, floor in speed_calls(length, sizes):
                report.attempt("speed", name, lambda c=call, f=floor, t=length: speed(c, f, t, bandwidth, sizes))
        for name, call in packed_calls(sizes):
            report.attempt("packed", name, lambda c=call: {"documents": sizes.documents, **both_times(c, sizes)})
        for batch in sizes.batches:
            report.attempt("decode", "gated delta", lambda b=batch: decode_time(b, sizes))
        for name, call, _ in speed_calls(sizes.lengths[-1], sizes):
            report.attempt("memory", name, lambda c=call: memory(c, sizes))
        for name, call, passes in small_calls(sizes):
            report.attempt("small", name, lambda c=call, p=passes: small(c, p, bandwidth, sizes))


def milliseconds(call: Call, sizes: Sizes) -> float:
    """The median time of a call."""
    if not sizes.milliseconds:
        start = time.perf_counter()
        call()
        return (time.perf_counter() - start) * 1e3
    from triton.testing import do_bench

    return float(do_bench(call, warmup=25, rep=sizes.milliseconds, return_mode="median"))


def device_rows(sizes: Sizes, report: CardReport) -> float:
    """The card, and what it really moves and multiplies. -> bytes a second."""
    import triton

    name = torch.cuda.get_device_name() if sizes.device == "cuda" else "interpreter on a CPU"
    x = torch.empty(sizes.copied // 2, dtype=torch.bfloat16)
    bandwidth = 4 * x.numel() / milliseconds(x.clone, sizes) * 1e3
    side = 8192 if sizes.device == "cuda" else 32
    a = torch.randn(side, side).to(sizes.dtype)
    flops = 2 * side**3 / milliseconds(lambda: a @ a, sizes) * 1e3
    report.row(
        "device", name=name, torch=torch.__version__, triton=triton.__version__,
        bytes_per_s=bandwidth, flops_per_s=flops, dry_run=sizes.device == "cpu",
    )  # fmt: skip
    return bandwidth


def heads(batch: int, length: int, count: int, width: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """q, k, v of the dtype, g, beta and a vector g in float32; keys of length one."""
    q, k, v = (torch.randn(batch, length, count, width) for _ in range(3))
    return {
        "q": q.to(dtype),
        "k": F.normalize(k, dim=-1).to(dtype),
        "v": v.to(dtype),
        "g": F.logsigmoid(torch.randn(batch, length, count) + 3),
        "beta": torch.rand(batch, length, count),
        "gk": F.logsigmoid(torch.randn(batch, length, count, width) + 3),
    }


# What each takes from `heads`: (public function, its arguments by the names above)
OPERATORS: dict[str, tuple[str, dict[str, str]]] = {
    "gated delta": ("chunk_gated_delta_rule", {"g": "g", "beta": "beta"}),
    "delta": ("chunk_delta_rule", {"beta": "beta"}),
    "scalar decay": ("chunk_simple_gla", {"g": "g"}),
    "vector decay": ("chunk_gla", {"g": "gk"}),
    "kda": ("chunk_kda", {"g": "gk", "beta": "beta"}),
}


def arguments(name: str, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The operator's own arguments, as leaves."""
    names = {"q": "q", "k": "k", "v": "v", **OPERATORS[name][1]}
    return {to: given[source].clone().requires_grad_() for to, source in names.items()}


def correctness(name: str, width: int, sizes: Sizes) -> dict[str, Any]:
    """Outputs and gradients of the kernel against the float64 recurrence on the same rounded inputs."""
    given = heads(1, sizes.checked, 2 if sizes.device == "cuda" else 1, width, sizes.dtype)
    call = getattr(kernels, OPERATORS[name][0])
    own = arguments(name, given)
    gradient = torch.randn_like(own["v"])
    o, _ = call(**own)
    o.backward(gradient)
    exact = {n: x.detach().double().requires_grad_() for n, x in own.items()}
    with kernels.implementation("reference"):
        wanted, _ = call(**exact)
    wanted.backward(gradient.double())
    output = relative(o, wanted)
    worst = max((relative(x.grad, exact[n].grad), n) for n, x in own.items())
    limits = LIMITS[sizes.dtype]
    return {
        "D": width, "dtype": str(sizes.dtype), "output_error": output, "gradient_error": worst[0], "of": worst[1],
        "passed": output <= limits[0] and worst[0] <= limits[1],
    }  # fmt: skip


def relative(found: Tensor | None, wanted: Tensor | None) -> float:
    """|found - wanted| / |wanted|."""
    assert found is not None and wanted is not None
    error = (found.detach().double() - wanted.detach().double()).square().mean().sqrt()
    return float(error / wanted.detach().double().square().mean().sqrt().clamp(min=1e-6))


def decoding_is_prefill(sizes: Sizes) -> dict[str, Any]:
    """A token at a time, the state handed on, against one call."""
    given = heads(2, 6, 1, sizes.widths[0], sizes.dtype)
    own = {n: given[n] for n in ("q", "k", "v", "g", "beta")}
    wanted, _ = kernels.chunk_gated_delta_rule(**own)
    state, outputs = None, []
    for t in range(6):
        row = {n: x[:, t : t + 1] for n, x in own.items()}
        o, state = kernels.fused_recurrent_gated_delta_rule(**row, initial_state=state, output_final_state=True)
        outputs.append(o)
    error = relative(torch.cat(outputs, 1), wanted)
    return {"output_error": error, "passed": error <= 2 * LIMITS[sizes.dtype][0]}


def speed_calls(length: int, sizes: Sizes) -> Iterator[tuple[str, Callable[[], Tensor], int]]:
    """(name, forward, bytes that inputs and output alone have) at a fixed number of tokens."""
    batch = max(1, sizes.tokens // length)
    given = heads(batch, length, sizes.heads, sizes.width, sizes.dtype)
    floor = 4 * given["v"].numel() * given["v"].element_size()
    for name, (function, _) in OPERATORS.items():
        own, call = arguments(name, given), getattr(kernels, function)
        yield name, lambda call=call, own=own: call(**own)[0], floor
    q, k, v = (given[n].transpose(1, 2).contiguous().requires_grad_() for n in "qkv")
    yield "SDPA", lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True), floor
    try:
        from fla.ops.gated_delta_rule import chunk_gated_delta_rule as other_delta
        from fla.ops.gla import chunk_gla as other_gla
        from fla.ops.simple_gla import chunk_simple_gla as other_simple
    except ImportError:
        return
    others = {"gated delta": other_delta, "scalar decay": other_simple, "vector decay": other_gla}
    for name, call in others.items():
        own = arguments(name, given)
        yield f"fla {name}", lambda call=call, own=own: call(**own)[0], floor


def both_times(forward: Callable[[], Tensor], sizes: Sizes) -> dict[str, float]:
    """Milliseconds forward without gradients, and forward and backward with fresh ones."""
    with torch.no_grad():
        alone = milliseconds(forward, sizes)
    gradient = torch.randn_like(forward())
    leaves: list[Tensor] = []

    def both() -> None:
        for leaf in leaves:
            leaf.grad = None
        o = forward()
        o.backward(gradient)

    o = forward()
    leaves += _leaves(o)
    return {"forward_ms": alone, "both_ms": milliseconds(both, sizes)}


def _leaves(o: Tensor) -> list[Tensor]:
    """The leaves that a result depends on."""
    found, seen, left = [], set(), [o.grad_fn]
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        left += [following for following, _ in node.next_functions]
    return found


def speed(call: Callable[[], Tensor], floor: int, length: int, bandwidth: float, sizes: Sizes) -> dict[str, float]:
    """Times, tokens a second, and how much of the forward time the inputs and outputs alone would take."""
    times = both_times(call, sizes)
    tokens = max(1, sizes.tokens // length) * length
    return {
        "T": length, **times, "tokens_per_s": tokens / times["both_ms"] * 1e3,
        "share_of_bandwidth": floor / bandwidth * 1e3 / times["forward_ms"],
    }  # fmt: skip


def packed_calls(sizes: Sizes) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """Documents of very different lengths in one row, and the same row as one sequence."""
    given = heads(1, sizes.tokens, sizes.heads, sizes.width, sizes.dtype)
    short = max(1, sizes.tokens // (4 * sizes.documents))
    edges = [short * n for n in range(sizes.documents)] + [sizes.tokens]
    bounds = torch.tensor(edges, dtype=torch.int32)
    x = torch.randn(1, sizes.tokens, sizes.channels).to(sizes.dtype).requires_grad_()
    taps = torch.randn(sizes.channels, 4).to(sizes.dtype).requires_grad_()
    for name in ("gated delta", "vector decay", "kda"):
        own, call = arguments(name, given), getattr(kernels, OPERATORS[name][0])
        yield name, lambda call=call, own=own: call(**own, cu_seqlens=bounds)[0]
    yield "convolution", lambda: kernels.causal_conv1d(x, taps, activation="silu", cu_seqlens=bounds)[0]


def decode_time(batch: int, sizes: Sizes) -> dict[str, float]:
    """Milliseconds a token and layer, launched from Python and from a CUDA graph, and the state's bytes over them."""
    given = heads(batch, 1, sizes.heads, sizes.width, sizes.dtype)
    own = {n: given[n] for n in ("q", "k", "v", "g", "beta")}
    state = torch.zeros(batch, sizes.heads, sizes.width, sizes.width)

    def step() -> Tensor:
        o, following = kernels.fused_recurrent_gated_delta_rule(**own, initial_state=state, output_final_state=True)
        assert following is not None
        state.copy_(following)
        return o

    found = {"batch": batch, "ms": milliseconds(step, sizes), "state_bytes": state.numel() * 4}
    if sizes.device != "cuda":
        return found
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return found | {"graph_ms": milliseconds(graph.replay, sizes)}


def memory(call: Callable[[], Tensor], sizes: Sizes) -> dict[str, float]:
    """Bytes that wait for the backward pass, and the peak of both passes over what was there."""
    held: dict[int, int] = {}

    def note(x: Tensor) -> Tensor:
        held[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    cuda = sizes.device == "cuda"
    before = torch.cuda.memory_allocated() if cuda else 0
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        o = call()
    o.backward(torch.ones_like(o))
    peak = torch.cuda.max_memory_allocated() - before if cuda else 0
    return {"T": sizes.lengths[-1], "kept_bytes": sum(held.values()), "peak_bytes": peak}


def small_calls(sizes: Sizes) -> Iterator[tuple[str, Callable[[], Tensor], int]]:
    """(name, forward, how often the operator has to go over memory of x's size, forward)."""
    x = torch.randn(8, max(8, sizes.tokens // 8), sizes.channels).to(sizes.dtype).requires_grad_()
    taps = torch.randn(sizes.channels, 4).to(sizes.dtype).requires_grad_()
    norm = torch.ones(sizes.channels, dtype=sizes.dtype, requires_grad=True)
    words = 32768 if sizes.device == "cuda" else 24
    weight = torch.randn(words, sizes.channels).to(sizes.dtype).requires_grad_()
    target = torch.zeros(x.shape[:2], dtype=torch.int64)
    yield "convolution", lambda: kernels.causal_conv1d(x, taps, activation="silu")[0], 2
    yield "gated norm", lambda: kernels.rms_norm_gated(x, x, norm), 2
    yield "l2norm", lambda: kernels.l2norm(x), 2
    yield "cross-entropy", lambda: kernels.fused_linear_cross_entropy_loss(x, target, weight), 1


def small(call: Callable[[], Tensor], passes: int, bandwidth: float, sizes: Sizes) -> dict[str, float]:
    """Times, and the share of the card's bandwidth that the forward pass reaches."""
    times = both_times(call, sizes)
    moved = passes * 8 * max(8, sizes.tokens // 8) * sizes.channels * 2
    return {**times, "share_of_bandwidth": moved / bandwidth * 1e3 / times["forward_ms"]}
