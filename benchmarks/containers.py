"""What a container that serves one job costs: `python -m benchmarks.containers [--rounds N] [IMAGE [IMAGE]]`.

Images take turns, round by round, so that two of them can be compared on a machine that does other things: name the one
of an older commit (`docker tag move37-sandbox:cpu before:cpu`, then build) and the one of this. A line of JSON for each
image and program, medians of the rounds:
    ready_cpu_s         processor seconds of the container itself until its worker has said that it is ready
    job_cpu_s           the same, for the job
    daemon_cpu_s        of the daemon, its shims and runtimes, for start and removal; null unless it has a control group
                        of its own (`mkdir /sys/fs/cgroup/cpuacct/dockerd`, its processes' numbers into cgroup.procs)
    ready_s, removed_s  wall clock: from nothing to ready, and from the kill until it is gone
With two images also the ratios of all processor time, first to second, one a round. Needs root, the daemon, version 1
of the control groups.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from move37.benchmarks.sandbox import TORCH, a_job
from move37.sandbox.docker.confinement import shape_for
from move37.sandbox.docker.container import WorkerContainer
from move37.sandbox.docker.engine import Engine
from move37.sandbox.docker.image import tag
from move37.sandbox.job import Limits

GROUPS = Path("/sys/fs/cgroup/cpuacct")
STEP = """
import torch
model = torch.nn.Linear(8, 8)
optimiser = torch.optim.Adam(model.parameters())
model(torch.ones(4, 8)).sum().backward()
optimiser.step()
"""
PROGRAMS = {"torch": TORCH, "one Adam step": STEP}
SETTLE_SECONDS = 0.3  # what the daemon does after it has answered


class ContainerCost(NamedTuple):
    """Of one container."""

    ready_cpu_s: float
    job_cpu_s: float
    daemon_cpu_s: float | None
    ready_s: float
    removed_s: float

    @property
    def cpu_s(self) -> float:
        return self.ready_cpu_s + self.job_cpu_s + (self.daemon_cpu_s or 0.0)


def main() -> None:
    """Measure, and print as it goes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.containers", description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="*", default=[tag("cpu")])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(measure(options.images, options.rounds))


async def measure(images: list[str], rounds: int) -> None:
    """A line for each program and image."""
    engine = await Engine.connect()
    for program, code in PROGRAMS.items():
        found: dict[str, list[ContainerCost]] = {image: [] for image in images}
        for _ in range(rounds):
            for image in images:
                found[image].append(await cost(engine, image, code))
        for image, costs in found.items():
            print(json.dumps({"program": program, "image": image, "rounds": rounds, **medians(costs)}), flush=True)
        if len(images) == 2:
            ratios = [round(a.cpu_s / b.cpu_s, 2) for a, b in zip(*found.values(), strict=True)]
            print(json.dumps({"program": program, "cpu_ratios": ratios}), flush=True)
    engine.close()


def medians(costs: list[ContainerCost]) -> dict[str, Any]:
    """Of each figure; null where one is missing."""
    columns = zip(ContainerCost._fields, zip(*costs, strict=True), strict=True)
    return {name: None if None in column else round(statistics.median(column), 3) for name, column in columns}


async def cost(engine: Engine, image: str, code: str) -> ContainerCost:
    """One container, from nothing until it is gone."""
    group = daemon_group()
    daemon = seconds(group) if group else 0.0
    began = time.perf_counter()
    container = await WorkerContainer.start(
        engine, shape_for(Limits(), image=image), Limits(), owner="benchmark", seconds=120
    )
    ready_s = time.perf_counter() - began
    record = await engine.inspect(container.name)
    assert record is not None
    own = GROUPS / "docker" / record["Id"]
    ready = seconds(own)
    outcome = await container.run(a_job(code, "benchmark"), None)
    if outcome.exit_code:
        raise SystemExit(f"the job failed: {outcome.message} {outcome.stderr.decode(errors='replace')}")
    done = seconds(own)
    began = time.perf_counter()
    await container.remove()
    removed_s = time.perf_counter() - began
    await asyncio.sleep(SETTLE_SECONDS)
    return ContainerCost(ready, done - ready, seconds(group) - daemon if group else None, ready_s, removed_s)


def seconds(group: Path) -> float:
    """Processor time of a control group so far."""
    return int((group / "cpuacct.usage").read_text()) / 1e9


def daemon_group() -> Path | None:
    """The daemon's, unless it shares one with everything else."""
    for path in Path("/proc").glob("[0-9]*/comm"):
        if path.read_text().strip() == "dockerd":
            lines = (path.parent / "cgroup").read_text().splitlines()
            name = next((line.split(":")[2] for line in lines if line.split(":")[1] == "cpuacct"), "/")
            return GROUPS / name.strip("/") if name != "/" else None
    return None


if __name__ == "__main__":
    main()
