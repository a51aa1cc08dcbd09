"""What has to be seen on a card, in one call of under eight minutes: `python -m benchmarks.card [--out FILE]`.

In this order, a JSON line a row, written at once: the interpreter's cases of every kernel, compiled on the device
(`tests/kernels/interpreted.py`); a mixer with our kernels through a short `paper` training and scoring in the sandbox,
beside its baseline, with bytes a second and MFU; the kernels' own benchmark (`benchmarks/kernels_card.py`) in what time
is left. Each part is a process with an end of its own: one that hangs or fails costs itself alone.
`--dry-run` takes the same path on a CPU: the interpreter, a network scaled down, numbers that say nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from move37.lab import baselines
from move37.lab.records import Candidate
from move37.lab.scale import PAPER, Scale
from move37.lab.tasks.mixers import MixersTask
from move37.lab.tasks.task import Rung
from move37.sandbox import ProcessSandbox
from move37.sandbox.gpus import list_gpus

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 460.0
SHARES = {"cases": 0.3, "paper": 0.4}  # of the time, at most; the kernels' benchmark has the rest
CANDIDATE, BASELINE = "gated_delta_net", "softmax"
STEPS = 20  # of 15,259: enough for throughput, not for a verdict
SMALL = Scale(name="paper, scaled down", width=32, layers=2, heads=2, context=64, batch=4, steps=6, micro_batch=2)

Row = Callable[[str, dict[str, Any]], None]


def main() -> None:
    """The command line; exit status 1 where a part failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.card", description=__doc__.split("\n")[0])
    parser.add_argument("--dry-run", action="store_true", help="the same path without a card")
    parser.add_argument("--out", type=Path, help="append the rows there")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="what all of it may take (default 460)")
    asked = parser.parse_args()
    cards = list_gpus()
    if not cards and not asked.dry_run:
        raise SystemExit("NVIDIA's driver shows no GPU here: --dry-run takes the same path without one")
    failed = []

    def row(kind: str, fields: dict[str, Any]) -> None:
        line = json.dumps({"row": kind, **fields})
        print(line, flush=True)
        if asked.out is not None:
            with asked.out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        if fields.get("passed") is False:
            failed.append(kind)

    end = time.monotonic() + asked.seconds
    row("machine", {"cards": [card.name for card in cards], "dry": asked.dry_run})
    cases(row, dry=asked.dry_run, seconds=SHARES["cases"] * asked.seconds)
    device = "cpu" if asked.dry_run else f"cuda {cards[0].name}"
    asyncio.run(paper(row, device=device, dry=asked.dry_run, seconds=SHARES["paper"] * asked.seconds))
    kernel_rows(row, dry=asked.dry_run, seconds=end - time.monotonic(), out=asked.out)
    raise SystemExit(1 if failed else 0)


def cases(row: Row, *, dry: bool, seconds: float) -> None:
    """Values and gradients of every kernel against the float64 recurrence."""
    picked = ["-k", "gated_delta_with_all_its_parts"] if dry else []
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "slow or not slow", *picked]
    done = _process([*arguments, "tests/kernels/interpreted.py"], dry=dry, seconds=seconds)
    row("cases", done)


def kernel_rows(row: Row, *, dry: bool, seconds: float, out: Path | None) -> None:
    """Their own rows, as they come; here how it ended."""
    kept = ["--out", str(out)] if out is not None else []
    wanted = ["--dry-run"] if dry else ["--card", "--seconds", str(max(10.0, seconds - 20.0))]
    row("kernels", _process(["-m", "move37.benchmarks.kernels", *wanted, *kept], dry=dry, seconds=max(30.0, seconds)))


async def paper(row: Row, *, device: str, dry: bool, seconds: float) -> None:
    """A short training of a mixer and of a baseline at the paper's scale, through the sandbox as in a campaign."""
    scale = SMALL if dry else replace(PAPER, name="paper, shortened", steps=STEPS)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        task = MixersTask.open(cache=Path(folder), scale=scale, device=device)
        sandbox = ProcessSandbox()
        try:
            for name in (CANDIDATE, BASELINE):
                left = seconds - (time.monotonic() - began)
                try:
                    found = await asyncio.wait_for(_trained(task, sandbox, name, Path(folder) / name), max(1.0, left))
                    row("paper", found)
                except Exception as error:  # the rows after it still count
                    row("paper", {"name": name, "error": f"{type(error).__name__}: {error}"[:500], "passed": False})
        finally:
            await sandbox.close()


async def _trained(task: MixersTask, sandbox: ProcessSandbox, name: str, workdir: Path) -> dict[str, Any]:
    workdir.mkdir()
    steps = task.scale.steps
    candidate = Candidate(source=baselines.source(name), author="benchmark", family=baselines.FAMILIES[name])
    measured = await task.measure(
        candidate, experiment=name.replace("_", "-"), rung=Rung(number=2, name=f"lm@{steps}", steps=steps), seed=0,
        learning_rate=task.learning_rate, fresh=False, sandbox=sandbox, workdir=workdir,
    )  # fmt: skip
    if measured.failure:
        return {"name": name, "failure": measured.failure, "passed": False}
    (m,) = measured.measurements
    return {
        "name": name, "scale": m.scale, "steps": m.steps, "device": m.device, "bits_per_byte": m.value,
        "bytes_per_second": m.tokens_per_second, "flops_per_byte": m.flops_per_token, "mfu": m.utilisation,
        "train_seconds": m.train_seconds, "score_seconds": m.eval_seconds, "self_reported": m.self_reported,
        "passed": not m.diverged,
    }  # fmt: skip


def _process(arguments: list[str], *, dry: bool, seconds: float) -> dict[str, Any]:
    environment = {**os.environ, **({"TRITON_INTERPRET": "1"} if dry else {})}
    began = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
            timeout=seconds,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"passed": False, "error": f"did not end within {seconds:.0f} s"}
    found = {"passed": done.returncode == 0, "seconds": round(time.monotonic() - began, 1)}
    return found if found["passed"] else {**found, "error": (done.stdout + done.stderr)[-1500:]}


if __name__ == "__main__":
    main()
