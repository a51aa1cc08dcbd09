"""The sandbox beside AutoGen's DockerCommandLineCodeExecutor: the same image, the same run, round by round in turn.

    python -m benchmarks.sandbox [--json] [--rounds N] [--jobs N] [--runtime crun]

With --json stdout carries one line, an object of figures; without it the figures with their goals, then that line. On
stderr each group of figures stands as soon as it is measured (at twenty rounds the whole takes some five minutes).
Every `_s` is seconds of wall clock as the caller sees it, p50 a median over the rounds. The names say what is timed:
hello and torch are blocks in a container that is up already (ours and theirs), adam100 a hundred optimiser steps,
single_use a torch block in a container of its own, claimed from the warm pool (adam: with an optimiser step, for which
such a container imports torch's compiler), stop the kill-and-remove of a container after its job, a median too (theirs:
stop, once, for it takes ten seconds), release the part of it that the caller waits for.
Needs the daemon, our image and AutoGen's docker extra (`pip install -e .[bench]`). Figures are only worth something on
a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

HELLO = "print('hello')"
TORCH = "import torch\nprint(torch.ones(2, 2).sum().item())"
ADAM = """
import torch
model = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
optimiser = torch.optim.Adam(model.parameters())
x = torch.ones(8, 16)
for _ in range(100):
    optimiser.zero_grad(); model(x).square().mean().backward(); optimiser.step()
print('done')
"""
FORK_BOMB = "import os\nprint('up', flush=True)\nwhile True:\n    try: os.fork()\n    except OSError: pass"

# What issue and design ask for: (name, goal, whether more is better).
GOALS: tuple[tuple[str, float, bool], ...] = (
    ("torch_p50_s", 0.015, False),
    ("torch_times_faster", 80.0, True),
    ("adam100_p50_s", 0.060, False),
    ("hello_p50_s", 0.012, False),
    ("hello_times_faster", 1.0, True),
    ("stop_p50_s", 0.060, False),
    ("release_p50_s", 0.060, False),
    ("stop_under_fork_bomb_s", 1.0, False),
    ("single_use_per_s", 2.0, True),
    ("jobs_per_s", 80.0, True),
    ("idle_private_mib", 220.0, False),
    ("leaked_containers", 0, False),
    ("leaked_volumes", 0, False),
    ("leaked_files", 0, False),
    ("leaked_processes", 0, False),
)


def main() -> None:
    """Run everything, print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sandbox", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="nothing but one line of JSON on stdout")
    parser.add_argument("--rounds", type=int, default=20, help="paired rounds of each block")
    parser.add_argument("--jobs", type=int, default=1000, help="jobs before leaks are counted")
    parser.add_argument("--runtime", default="", choices=("", "runc", "crun"), help="empty: the daemon's default")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    figures = asyncio.run(measure(options.rounds, options.jobs, options.runtime))
    if not options.json:
        for name, goal, more in GOALS:
            if (value := figures.get(name)) is not None:
                met = value >= goal if more else value <= goal
                print(
                    f"{name:26} {value:10.4g}   goal {'>=' if more else '<='} {goal:g}   {'met' if met else 'MISSED'}"
                )
    print(json.dumps(figures))


async def measure(rounds: int, jobs: int, runtime: Any = "") -> dict[str, Any]:
    """Every figure, from one sandbox and one AutoGen executor that take turns."""
    import structlog

    from move37.sandbox.docker import DockerSandbox, DockerSettings

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    sandbox = DockerSandbox(DockerSettings(runtime=runtime))
    figures: dict[str, Any] = {}
    try:
        for group in (
            lambda: beside_autogen(sandbox, rounds),
            lambda: alone(sandbox, rounds),
            lambda: rates(sandbox),
            lambda: leaks(sandbox, jobs),
        ):
            found = await group()
            print(json.dumps(found), file=sys.stderr, flush=True)
            figures |= found
    finally:
        await sandbox.close()
    machine = {"cpus": os.cpu_count(), "load_before": figures.pop("load_before"), "load_after": os.getloadavg()[0]}
    return {**machine, "runtime": runtime or "default", "rounds": rounds, **figures}


async def beside_autogen(sandbox: Any, rounds: int) -> dict[str, Any]:
    """Blocks in a container that is up, ours and theirs in turn; then the end of both containers."""
    from autogen_core import CancellationToken
    from autogen_core.code_executor import CodeBlock
    from autogen_ext.code_executors.docker import DockerCommandLineCodeExecutor

    from move37.sandbox.docker.image import tag

    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the image's user is not the owner
        theirs = DockerCommandLineCodeExecutor(image=tag("cpu"), work_dir=folder, timeout=120)
        await theirs.start()

        async def autogen(code: str) -> None:
            block = CodeBlock(code=code, language="python")
            result = await theirs.execute_code_blocks([block], CancellationToken())
            if result.exit_code:
                raise SystemExit(f"AutoGen's block failed: {result.output}")

        await ours(sandbox, TORCH, "pair")
        await sandbox._pool.settled()
        await autogen(TORCH)
        times: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, code in (("hello", HELLO), ("torch", TORCH)):
                times.setdefault(f"{name}_p50_s", []).append(await timed(ours(sandbox, code, "pair")))
                times.setdefault(f"autogen_{name}_p50_s", []).append(await timed(autogen(code)))
        await sandbox.release("pair")
        autogen_stop = await timed(theirs.stop())
    figures = {name: round(statistics.median(found), 5) for name, found in times.items()}
    figures |= {"torch_p95_s": round(sorted(times["torch_p50_s"])[int(0.95 * (rounds - 1))], 5)}
    for name in ("hello", "torch"):
        ratios = [a / b for a, b in zip(times[f"autogen_{name}_p50_s"], times[f"{name}_p50_s"], strict=True)]
        figures[f"{name}_times_faster"] = round(statistics.median(ratios), 1)
    return figures | {"autogen_stop_s": round(autogen_stop, 4), "load_before": load}


async def alone(sandbox: Any, rounds: int) -> dict[str, Any]:
    """What AutoGen has no counterpart of."""
    await sandbox._pool.settled()
    await ours(sandbox, HELLO, "adam")
    adam = [await timed(ours(sandbox, ADAM, "adam")) for _ in range(rounds)]
    stops, single, releases = [], [], []
    for turn in range(min(rounds, 10)):
        await sandbox._pool.settled()
        trust = f"single-{turn}"
        single.append(await timed(ours(sandbox, TORCH, trust)))
        releases.append(await timed(sandbox.release(trust)))
        stops.append(releases[-1] + await timed(sandbox._removed()))
    await sandbox._pool.settled()
    figures = {
        "adam100_p50_s": round(statistics.median(adam), 5),
        "single_use_p50_s": round(statistics.median(single), 5),
        "stop_p50_s": round(statistics.median(stops), 5),
        "release_p50_s": round(statistics.median(releases), 5),
        "stop_best_s": round(min(stops), 5),
        "stop_under_fork_bomb_s": round(await stop_under_fork_bomb(sandbox), 4),
        "idle_private_mib": await idle_private_mib(sandbox),
    }
    await sandbox.release("adam")
    return figures


async def gone(sandbox: Any, trust: str) -> None:
    """Until the container has been killed and removed; `release` alone no longer waits for the daemon."""
    await sandbox.release(trust)
    await sandbox._removed()


async def stop_under_fork_bomb(sandbox: Any) -> float:
    """Seconds to remove a container whose candidate forks as fast as it may."""
    heard = asyncio.Event()
    job = a_job(FORK_BOMB, "bomb")
    running = asyncio.create_task(sandbox.run(job, on_output=lambda *_: heard.set()))
    await heard.wait()
    await asyncio.sleep(1.0)
    seconds = await timed(gone(sandbox, "bomb"))
    await asyncio.gather(running, return_exceptions=True)
    return seconds


async def idle_private_mib(sandbox: Any) -> float | None:
    """Anonymous memory of an idle container, all processes, as its cgroup counts it; None with nobody idle.

    Not the zygote's private pages: it shares nearly all of them with the child that it has forked ahead.
    """
    found = []
    for container in [one for idle in sandbox._pool._idle.values() for one in idle]:
        usage = await asyncio.to_thread(sandbox._engine.api.stats, container.name, stream=False)
        counted = usage["memory_stats"].get("stats", {})
        found.append(counted.get("total_rss", counted.get("anon", 0)) / 2**20)
    return round(statistics.median(found), 1) if found else None


async def rates(sandbox: Any, seconds: float = 8.0) -> dict[str, Any]:
    """Jobs a second: of one candidate one after another, of two side by side, and in containers used once."""
    await ours(sandbox, TORCH, "rate")
    for _ in range(40):  # the worker gets faster over its first jobs
        await ours(sandbox, TORCH, "rate")
    one = await rate(seconds, 1, lambda _: ours(sandbox, TORCH, "rate"))
    await ours(sandbox, TORCH, "rate-1")
    for _ in range(40):
        await ours(sandbox, TORCH, "rate-1")
    two = await rate(seconds, 2, lambda worker: ours(sandbox, TORCH, ("rate", "rate-1")[worker]))
    await asyncio.gather(sandbox.release("rate"), sandbox.release("rate-1"))

    async def single_use(_: int, code: str = TORCH) -> None:
        trust = uuid4().hex
        await ours(sandbox, code, trust)
        await sandbox.release(trust)

    # The warm pool is emptied before the clock starts: what is sustained is the rate of its refill.
    for _ in range(8):
        await single_use(0)
    used_once = await rate(2 * seconds, 2, single_use)
    with_step = await rate(2 * seconds, 2, lambda worker: single_use(worker, ADAM))
    return {
        "jobs_per_s": one,
        "jobs_per_s_two_candidates": two,
        "single_use_per_s": used_once,
        "single_use_adam_per_s": with_step,
    }


async def rate(seconds: float, workers: int, act: Callable[[int], Awaitable[Any]]) -> float:
    """How often `act` ends in a second, with so many callers at once."""
    began, done = time.perf_counter(), 0

    async def work(worker: int) -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            await act(worker)
            done += 1

    await asyncio.gather(*(work(worker) for worker in range(workers)))
    return round(done / (time.perf_counter() - began), 2)


async def leaks(sandbox: Any, jobs: int) -> dict[str, Any]:
    """What so many jobs of ten candidates leave on the host, and inside a container."""
    code = "import os, tempfile; tempfile.mkstemp(); open('/dev/shm/x', 'w').write('x'); os.fork() or os._exit(0)"
    await sandbox._pool.settled()
    before = await traces(sandbox)
    for candidate in range(10):
        for _ in range(jobs // 10):
            await ours(sandbox, code, f"leak-{candidate}")
        await gone(sandbox, f"leak-{candidate}")
    count = "len(os.listdir('/dev/shm')) + len(os.listdir('/tmp')) - 1"
    count += ", len([p for p in os.listdir('/proc') if p.isdigit()])"
    inside = f"import os; print({count})"
    for _ in range(3):
        await ours(sandbox, code, "after")
    files, processes = (int(word) for word in (await ours(sandbox, inside, "after")).split())
    await gone(sandbox, "after")
    await sandbox._pool.settled()
    after = await traces(sandbox)
    return {
        "leak_jobs": jobs,
        "leaked_containers": after["containers"] - before["containers"],
        "leaked_volumes": after["volumes"] - before["volumes"],
        "leaked_files": max(0, after["files"] - before["files"]) + files,
        # PID 1, the job that looks, and at most one child forked ahead.
        "leaked_processes": max(0, processes - 3) + max(0, after["processes"] - before["processes"]),
    }


async def traces(sandbox: Any) -> dict[str, int]:
    """What of ours can be seen on the host now; the idle pool is part of it, before and after."""
    from move37.sandbox.docker.confinement import OWNER_LABEL

    api = sandbox._engine.api
    mine = await asyncio.to_thread(api.containers, all=True, filters={"label": f"{OWNER_LABEL}={sandbox._owner}"})
    volumes = await asyncio.to_thread(api.volumes)
    running = [one["Id"] for one in mine if one["State"] == "running"]
    changed = sum([len(await asyncio.to_thread(api.diff, one) or ()) for one in running])
    tops = [await asyncio.to_thread(api.top, one) for one in running]
    return {
        "containers": len(mine),
        "volumes": len(volumes.get("Volumes") or ()),
        "files": changed,
        "processes": sum(len(top["Processes"]) for top in tops),
    }


def a_job(code: str, trust: str) -> Any:
    from move37.sandbox.job import Job, Limits

    files = {"main.py": code.encode()}
    return Job(id=uuid4().hex, trust=trust, argv=("python", "main.py"), files=files, limits=Limits(wall_seconds=120))


async def ours(sandbox: Any, code: str, trust: str) -> str:
    """One job of ours; ends the benchmark when it fails."""
    outcome = await sandbox.run(a_job(code, trust))
    if outcome.exit_code:
        raise SystemExit(f"our job failed: {outcome.message} {outcome.stderr.decode(errors='replace')}")
    return str(outcome.stdout.decode())


async def timed(act: Awaitable[Any]) -> float:
    """Seconds until `act` ends."""
    began = time.perf_counter()
    await act
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
