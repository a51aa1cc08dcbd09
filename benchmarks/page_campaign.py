"""What twenty viewers take from a campaign that really runs: wall and CPU seconds of the same campaign, in pairs.

    python -m benchmarks.page_campaign --viewers 20 --pairs 4

The search works on a program task in the process sandbox, one worker, one seed, so that every campaign does the same
work; the page is served beside each. In a pair one campaign has viewers from first to last, the other has
none; which one comes first alternates. A line of JSON a campaign, then the ratios. CPU seconds are the
campaign's own process and what it waited for; jobs that the sandbox's supervisor ends are not among them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.page_viewers import cpu_seconds, viewer

PORT = 8098
PROGRAM = "# EVOLVE-BLOCK-START\nx = 1.0\ny = 2.0\n# EVOLVE-BLOCK-END\n"
EVALUATOR = """import importlib.util


def evaluate(program_path):
    spec = importlib.util.spec_from_file_location("program", program_path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    work = 0.0
    for i in range(8_000_000):
        work += (i % 7) * module.x
    return {"combined_score": 10.0 - (module.x - 3.0) ** 2 - (module.y - 1.0) ** 2 + 0.0 * work}
"""


async def campaign(folder: Path, viewers: int, budget: int) -> dict[str, float]:
    """One campaign in a home of its own, watched by so many from its beginning to its end."""
    home, task = folder / "home", folder / "task"
    task.mkdir(parents=True)
    (task / "initial_program.py").write_text(PROGRAM)
    (task / "evaluator.py").write_text(EVALUATOR)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MOVE37_")}
    command = [sys.executable, "-m", "move37", "--home", str(home)]
    quiet: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    page = subprocess.Popen([*command, "serve", "--no-open", "--port", str(PORT)], **quiet)
    address = f"http://127.0.0.1:{PORT}"
    try:
        await _answers(address)
        options = ["--task", f"program:{task}", "--sandbox", "process", "--workers", "1", "--budget", str(budget)]
        began = time.monotonic()
        running = subprocess.Popen([*command, "run", *options], stdin=subprocess.DEVNULL, **quiet)
        ended = asyncio.create_task(asyncio.to_thread(os.wait4, running.pid, 0))
        await _campaign_is_there(address, ended)
        before = cpu_seconds(page.pid)
        clients = [await viewer(f"{address}", "now" if i % 2 else "board") for i in range(viewers)]
        _, status, usage = await ended
        wall = time.monotonic() - began
        for client in clients:
            await client.disconnect()
        if status:
            raise SystemExit(f"the campaign ended with status {os.waitstatus_to_exitcode(status)}")
        return {
            "viewers": viewers,
            "wall_seconds": round(wall, 2),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
            "page_cpu_seconds": round(cpu_seconds(page.pid) - before, 2),
        }
    finally:
        page.terminate()
        page.wait()


async def _answers(address: str) -> None:
    for _ in range(240):
        try:
            await asyncio.to_thread(lambda: urlopen(address).read())
            return
        except OSError:
            await asyncio.sleep(0.5)
    raise SystemExit("the page did not come up")


async def _campaign_is_there(address: str, ended: asyncio.Task[Any]) -> None:
    while not ended.done():
        place = await asyncio.to_thread(lambda: urlopen(address).url)
        if "/c/1/" in place:
            return
        await asyncio.sleep(0.2)


def main() -> None:
    """Pairs of campaigns, then what twenty viewers change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--budget", type=int, default=4)
    given = parser.parse_args()
    ratios: dict[str, list[float]] = {"wall_seconds": [], "cpu_seconds": []}
    for pair in range(given.pairs):
        order = (0, given.viewers) if pair % 2 == 0 else (given.viewers, 0)
        found = {}
        for viewers in order:
            with tempfile.TemporaryDirectory() as folder:
                found[viewers] = asyncio.run(campaign(Path(folder), viewers, given.budget))
            print(json.dumps(found[viewers]), flush=True)
        for name, values in ratios.items():
            values.append(found[given.viewers][name] / found[0][name])
    print(json.dumps({name: [round(v, 3) for v in values] for name, values in ratios.items()}))
    print(json.dumps({f"median_{name}_ratio": round(statistics.median(v), 3) for name, v in ratios.items()}))


if __name__ == "__main__":
    main()
