"""Rungs 1 and 2 of the mixers task on the baselines: what they reach, and what they cost.

    python -m benchmarks.lm                                    the quick preset's baselines: one seed, all its rungs
    python -m benchmarks.lm --only gated_delta_net --rates 3e-3 1e-2 --seeds 5 --no-probes

Runs in the process sandbox exactly as a campaign does (train in one job, answer in another, score outside), one job
at a time. `train s` and `cpu s` are measured outside the candidate's process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

import structlog

from move37.lab.records import Measurement
from move37.lab.tasks.mixers import LEARNING_RATE, MixersTask
from move37.lab.tasks.mixers_schedule import ALL_PROBES_RUNG, PROBE_RUNG
from move37.lab.tasks.task import Baseline, Rung
from move37.sandbox import ProcessSandbox, Sandbox


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], help="baselines to run; all seven without it")
    parser.add_argument("--rates", nargs="+", type=float, default=[LEARNING_RATE], help="peak learning rates")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", nargs="+", type=int, default=[100, 200, 500], help="where to stop and score")
    parser.add_argument("--no-probes", action="store_true")
    parser.add_argument("--all-probes", action="store_true", help="those of the full preset")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "move37-bench")
    parser.add_argument("--json", type=Path, help="write every measurement there, one JSON object a line")
    return parser.parse_args()


async def measured(
    task: MixersTask, baseline: Baseline, rungs: list[Rung], rates: list[float], seeds: int, sandbox: Sandbox
) -> list[Measurement]:
    """Every rung at every rate and seed; probes at the first rate only, since they have rates of their own."""
    found: list[Measurement] = []
    with tempfile.TemporaryDirectory() as folder:
        for rate in rates:
            for seed in range(seeds):
                for rung in rungs if rate == rates[0] else [r for r in rungs if r.number == 2]:
                    got = await task.measure(
                        baseline.candidate, experiment=f"bench-{baseline.name}", rung=rung, seed=seed,
                        learning_rate=rate, fresh=False, sandbox=sandbox, workdir=Path(folder),
                    )  # fmt: skip
                    if got.failure:
                        print(f"{baseline.name}: {got.failure}")
                    found += got.measurements
    return found


def table(rows: dict[str, list[Measurement]]) -> str:
    """Markdown: one line a baseline, one column a metric, rate and step count; mean and, from two seeds on, sd."""
    columns = list(dict.fromkeys((m.metric, m.learning_rate, m.steps) for ms in rows.values() for m in ms))
    heads = [f"{metric} @{steps}, {rate:g}" for metric, rate, steps in columns]
    lines = ["| baseline | " + " | ".join(heads) + " | train s | scoring s | cpu s |"]
    lines.append("|" + "---|" * (len(columns) + 4))
    for name, ms in rows.items():
        by_column: dict[tuple[str, float, int], list[float]] = defaultdict(list)
        for m in ms:
            by_column[m.metric, m.learning_rate, m.steps].append(m.value)
        cells = [_cell(by_column[c]) for c in columns]
        sums = [f"{sum(values):.1f}" for values in ([m.train_seconds for m in ms], [m.eval_seconds for m in ms])]
        lines.append(f"| {name} | " + " | ".join([*cells, *sums, f"{sum(m.cpu_seconds for m in ms):.1f}"]) + " |")
    return "\n".join(lines)


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    sd = f" (sd {statistics.stdev(values):.3f})" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{sd}"


async def main() -> None:
    """Run and print the table."""
    wanted = options()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    task = MixersTask.open(cache=wanted.cache)
    rungs = [Rung(number=2, name=f"lm@{steps}", steps=steps) for steps in wanted.steps]
    if not wanted.no_probes:
        rungs.append(ALL_PROBES_RUNG if wanted.all_probes else PROBE_RUNG)
    rows: dict[str, list[Measurement]] = {}
    async with ProcessSandbox(1) as sandbox:
        for baseline in task.baselines:
            if wanted.only and baseline.name not in wanted.only:
                continue
            found = await measured(task, baseline, rungs, wanted.rates, wanted.seeds, sandbox)
            rows[baseline.name] = found
            for m in found:
                print(
                    f"{baseline.name:16} {m.metric:16} @{m.steps:<4} {m.learning_rate:g} seed {m.seed}  {m.value:.4f}",
                    flush=True,
                )
    print(table(rows))
    if wanted.json:
        lines = [{"baseline": name, **{f: getattr(m, f) for f in m.__slots__}} for name, ms in rows.items() for m in ms]
        wanted.json.write_text("\n".join(map(json.dumps, lines)) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
