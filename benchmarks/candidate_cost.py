"""What one candidate costs at a few steps, by part: `python -m benchmarks.candidate_cost [--only NAME ...] [--json]`.

CPU seconds of the sandbox's jobs, as the kernel counted them, in the process sandbox:
    start      a warm interpreter that does nothing (in each of the three jobs below)
    gates      one job, all gates
    fixed      what a training costs beside its steps: start, questions before the first step, checked steps
    steps      the rest of it, by the difference between a training of `--steps` and one of a fifth
    scoring    a scoring without its prefixes
    prefixes   what the prefixes add
`checks` is the share of gates, fixed part and prefixes in all of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from pathlib import Path

import structlog

from move37.lab.judging.run import run_gates
from move37.lab.records import Candidate
from move37.lab.tasks.mixers import LEARNING_RATE, MixersTask
from move37.lab.tasks.mixers_measuring import BYTES, MARGIN
from move37.lab.training import data
from move37.lab.training.jobs import Tokens
from move37.lab.training.runs import train
from move37.lab.training.score import score
from move37.sandbox import ProcessSandbox
from move37.sandbox.job import Job, OnOutput, Outcome

PATIENCE = 600.0  # seconds of wall time for a job
EMPTY = Job(id="empty", trust="cost", argv=("python", "main.py"), files={"main.py": b""})


class Counting:
    """Counts the CPU seconds of a sandbox's jobs."""

    def __init__(self, sandbox: ProcessSandbox) -> None:
        self._sandbox = sandbox
        self.name, self.release, self.protections, self.close = (
            sandbox.name, sandbox.release, sandbox.protections, sandbox.close,
        )  # fmt: skip
        self.cpu_seconds = 0.0

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """As the sandbox does."""
        outcome = await self._sandbox.run(job, on_output=on_output)
        self.cpu_seconds += outcome.cpu_seconds
        return outcome

    def taken(self) -> float:
        """Since it was last asked."""
        taken, self.cpu_seconds = self.cpu_seconds, 0.0
        return taken


async def cost(task: MixersTask, candidate: Candidate, steps: int, sandbox: Counting) -> dict[str, float]:
    """Of one candidate, by part."""

    def draw(first: int, stop: int) -> tuple[Tokens, Tokens]:
        windows = data.draw_batches(
            task.corpus.train, seed=0, start=first, stop=stop, batch=task.scale.batch, length=task.scale.context
        )
        return windows[..., :-1], windows[..., 1:]

    await sandbox.run(EMPTY)
    start = sandbox.taken()
    await run_gates(candidate, trust="cost", sandbox=sandbox)
    gates, trained = sandbox.taken(), {}
    for stop in (steps // 5, steps):
        run = await train(
            candidate, BYTES, draw, experiment="cost", seed=0, stop=stop, learning_rate=LEARNING_RATE,
            most_parameters=int(MARGIN * task.scale.parameters), wall_seconds=PATIENCE, sandbox=sandbox,
            kept=None,
        )  # fmt: skip
        trained[stop] = sandbox.taken()
    assert run.weights is not None, run.failure
    windows, scored = data.scoring_windows(task.corpus.validation, fresh=False, length=task.scale.context), []
    for prefixes in (False, True):
        await score(
            candidate, BYTES, run.weights, windows[:, :-1], windows[:, 1:], seed=0, experiment="cost", sandbox=sandbox,
            wall_seconds=PATIENCE, check_prefixes=prefixes,
        )  # fmt: skip
        scored.append(sandbox.taken())
    rest = (trained[steps] - trained[steps // 5]) / (steps - steps // 5) * steps
    parts = {
        "gates": gates, "fixed": trained[steps] - rest, "steps": rest, "scoring": scored[0],
        "prefixes": scored[1] - scored[0],
    }  # fmt: skip
    whole = sum(parts.values())
    return {"start": start} | parts | {"all": whole, "checks": 1 - (parts["steps"] + parts["scoring"]) / whole}


async def main() -> None:
    """Medians over the repetitions, a line a baseline."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=["gated_delta_net", "mamba2", "softmax"], help="baselines")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "move37-bench")
    parser.add_argument("--json", action="store_true", help="the last line is JSON")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    task, figures = MixersTask.open(cache=given.cache), {}
    async with ProcessSandbox(1) as sandbox:
        for baseline in task.baselines:
            if baseline.name in given.only:
                runs = [
                    await cost(task, baseline.candidate, given.steps, Counting(sandbox)) for _ in range(given.repeat)
                ]
                figures[baseline.name] = {part: statistics.median(run[part] for run in runs) for part in runs[0]}
                parts = "  ".join(f"{part} {value:.2f}" for part, value in figures[baseline.name].items())
                print(f"{baseline.name:16} {parts}", flush=True)
    if given.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
