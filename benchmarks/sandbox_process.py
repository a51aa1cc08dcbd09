"""The process backend in figures: `python -m benchmarks.sandbox_process [--json]`.

A job's wall time as the caller sees it, its processor time as the kernel counted it, jobs a second with one and two
zygotes, and the private memory of an idle zygote. Not covered: Docker (`move37.benchmarks.sandbox`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import time
from pathlib import Path
from uuid import uuid4

import structlog

from move37.sandbox.job import Job
from move37.sandbox.process.backend import ProcessSandbox

HELLO = b"print('hello')"
TORCH = b"import torch; print((torch.ones(3) @ torch.ones(3)).item())"
ADAM = b"""import torch
m = torch.nn.Linear(8, 8); o = torch.optim.Adam(m.parameters())
for _ in range(100):
    o.zero_grad(); m(torch.ones(4, 8)).square().sum().backward(); o.step()
"""


def job(source: bytes) -> Job:
    return Job(id=uuid4().hex[:8], trust="bench", argv=("python", "main.py"), files={"main.py": source})


async def latency(sandbox: ProcessSandbox, source: bytes, count: int = 40) -> tuple[float, float]:
    """Median seconds of wall and of processor time, with a pause in which the next seat is made ready."""
    walls, cpus = [], []
    for _ in range(count):
        await asyncio.sleep(0.06)
        started = time.perf_counter()
        outcome = await sandbox.run(job(source))
        walls.append(time.perf_counter() - started)
        cpus.append(outcome.cpu_seconds)
    return statistics.median(walls), statistics.median(cpus)


async def rate(sandbox: ProcessSandbox, source: bytes, count: int = 100) -> float:
    started = time.perf_counter()
    await asyncio.gather(*(sandbox.run(job(source)) for _ in range(count)))
    return count / (time.perf_counter() - started)


def idle_mib(sandbox: ProcessSandbox) -> float:
    """Private memory that no file backs, of the largest process below the first launcher: its zygote."""
    sizes = []
    waiting = [zygote.pid for zygote in sandbox._all][:1]
    while waiting:
        pid = waiting.pop()
        waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        sizes.append(sum(int(line.split()[1]) for line in rollup if line.startswith("Private_Dirty:")) / 1024)
    return max(sizes)


async def measure() -> dict[str, float]:
    found: dict[str, float] = {}
    async with ProcessSandbox(1) as one:
        started = time.perf_counter()
        await one.warm(1)
        found["start_s"] = time.perf_counter() - started
        for _ in range(20):  # until the heap stands in huge pages
            await one.run(job(HELLO))
        for name, source in (("hello", HELLO), ("torch", TORCH), ("adam100", ADAM)):
            found[f"{name}_p50_s"], found[f"{name}_cpu_p50_s"] = await latency(one, source)
        found["jobs_a_second"] = await rate(one, HELLO)
        found["idle_private_mib"] = idle_mib(one)
    async with ProcessSandbox(2) as two:
        await two.warm(2)
        await rate(two, HELLO, 40)
        found["jobs_a_second_two"] = await rate(two, HELLO)
    return {name: round(value, 4) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    found = asyncio.run(measure())
    if parser.parse_args().json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
