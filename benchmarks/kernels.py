"""How fast the kernels are, against what: `python -m benchmarks.kernels` (`move37 bench kernels` starts it).

(nothing)      on a CPU: chunked against SDPA, the recurrence, plain PyTorch in chunks; a training step (kernels_cpu.py)
--card         on a CUDA device: correctness first, then speed and memory, in one call (kernels_card.py); the default
               where there is one. --out FILE also writes its rows there, --seconds N is its budget
--dry-run      the same path here, in Triton's interpreter at tiny sizes
--prefill DIR  compile what --card needs for sm_90 into a Triton cache to carry there (TRITON_CACHE_DIR=DIR)
--imports      import every Triton kernel and stop
--compile      compile every Triton kernel for sm_90 and stop; needs no card
--json         one JSON line at the end;  --plot FILE  an HTML page of tokens a second over length (CPU)
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]


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
    from move37 import kernels

    root = Path(kernels.__file__).parent
    names = [
        ".".join(("move37.kernels", *path.relative_to(root).with_suffix("").parts))
        for path in sorted(root.rglob("triton*.py"))
    ]
    for name in names:
        importlib.import_module(name)
    return names


def compile_all(prefill: str | None) -> int:
    """Compile for sm_90, into the folder `prefill` if given. -> the exit status."""
    if prefill is not None:
        os.environ["TRITON_CACHE_DIR"] = prefill  # before Triton is imported
    from move37.benchmarks.kernels_compile import SHARED_BYTES, compile_everything, compile_for_card

    made = compile_everything() if prefill is None else compile_for_card()
    for one in made:
        print(
            f"{one.name:24}{one.warps:3} warps{one.stages:3} stages{one.shared_bytes:8} B shared"
            f"{one.registers:5} registers{one.stack_bytes:6} B spilled"
        )
    too_big = [one.name for one in made if one.shared_bytes > SHARED_BYTES]
    least = {one.name: min(other.stack_bytes for other in made if other.name == one.name) for one in made}
    spilled = [name for name, spill in least.items() if spill]
    if too_big:
        print(f"more shared memory than a block has: {too_big}", file=sys.stderr)
    if spilled:
        print(f"spilled in every configuration: {spilled}", file=sys.stderr)
    return 1 if too_big or spilled else 0


def on_card(*, dry: bool, out: str | None, seconds: float) -> int:
    """The rows of kernels_card.py. -> the exit status: 1 if a row failed."""
    if dry:
        os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported
    from move37.benchmarks.kernels_card import CARD, DRY, CardReport, run

    report = CardReport(None if out is None else Path(out), seconds)
    run(DRY if dry else CARD, report)
    return 1 if report.failed else 0


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__.split("\n")[0])
    parser.add_argument("--imports", action="store_true", help="import every Triton kernel and stop")
    parser.add_argument("--compile", action="store_true", help="compile every Triton kernel for sm_90 and stop")
    parser.add_argument("--prefill", metavar="DIR", help="compile what --card needs into a Triton cache")
    parser.add_argument("--card", action="store_true", help="the figures of a GPU")
    parser.add_argument("--dry-run", action="store_true", help="the path of --card in Triton's interpreter")
    parser.add_argument("--out", metavar="FILE", help="append the rows of --card there")
    parser.add_argument("--seconds", type=float, default=420, help="what --card may take (default 420)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--turns", type=int, default=10, help="times that everything is timed (default 10)")
    parser.add_argument("--lengths", default="", help="comma-separated, e.g. 1024,2048,8192")
    parser.add_argument("--torch-compile", action="store_true", help="also time compiled steps; needs a C++ compiler")
    parser.add_argument("--plot", metavar="FILE", help="write an HTML chart")
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    asked = parser.parse_args()
    if asked.compile or asked.prefill:
        raise SystemExit(compile_all(asked.prefill))
    if asked.imports:
        print("\n".join(import_all()))
        return
    import torch

    if asked.dry_run or asked.card or torch.cuda.is_available():
        raise SystemExit(on_card(dry=asked.dry_run, out=asked.out, seconds=asked.seconds))
    from move37.benchmarks.kernels_cpu import on_cpu

    torch.set_num_threads(asked.threads)
    chosen = tuple(int(t) for t in asked.lengths.split(",") if t)
    print(f"torch {torch.__version__}, {asked.threads} threads, {platform.processor() or platform.machine()}")
    found = on_cpu(asked.turns, chosen or (512, 1024, 2048, 4096, 8192), compiled=asked.torch_compile)
    if asked.plot:
        plot(found["lengths"], asked.plot)
    if asked.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
