"""Take something known away and see whether the search finds it again: `python -m benchmarks.rediscovery [options]`.

For each task (rediscovery_tasks.py) a search begins from families without the answer and without any memory or paper,
and has N experiments. It is rediscovered when a candidate reaches the task's threshold
on held-out inputs; "with the answer" counts those that hold one of the answer's operators, the rest found another way.
Starts are measured before, the same for every arm, and do not count. The training seed is the campaign's. Arms:

    search      the lab's evolution with its record of operators
    no-record   the same without the record
    random      random moves from the same starts
    tpe         Optuna's TPE over the genome's own fields

    python -m benchmarks.rediscovery --tasks overwrite,parity --seeds 5 --experiments 20 --out rediscovery.jsonl

A campaign is one JSON line, written when it ends; with --out, campaigns that stand in the file are not run again,
and the table is made from all of those that fit the options. An interrupted campaign begins anew.
Not covered: a language model as Researcher.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import torch

from move37.agents.arms import SearchSpace
from move37.agents.search.grammar import Genome, operators_in
from move37.benchmarks import json_lines
from move37.benchmarks.rediscovery_search import ARMS, campaign, duel, summary
from move37.benchmarks.rediscovery_tasks import TASKS, KnownTask, Trained, train

QUICK_STEPS, QUICK_EXPERIMENTS = 40, 2
Key = tuple[str, str, int, int, int]  # task, arm, seed, experiments, steps


class KnownAnswerLab:
    """Trainings of one task and seed, each genome once, shared by the arms."""

    def __init__(self, task: KnownTask, seed: int, steps: int) -> None:
        self._task, self._seed, self._steps = task, seed, steps
        self._known: dict[Genome, Trained] = {}
        self.spent = 0.0  # CPU seconds of the trainings that a campaign asked for, those known already too

    def measure(self, genome: Genome) -> float | None:
        """The genome's value on held-out inputs."""
        if genome not in self._known:
            self._known[genome] = train(self._task, genome, seed=self._seed, steps=self._steps)
        self.spent += self._known[genome].cpu_seconds
        return self._known[genome].value


def run(task: KnownTask, arm: str, seed: int, experiments: int, laboratory: KnownAnswerLab) -> dict[str, Any]:
    """One campaign, as its line."""
    space = SearchSpace(starts=dict(task.starts), carried=task.carried, metric=task.metric)
    laboratory.spent = 0.0
    found = campaign(
        ARMS[arm](seed, space), space, laboratory.measure,
        threshold=task.threshold, experiments=experiments, rng=Random(f"{task.name}:{arm}:{seed}"),
    )  # fmt: skip
    operators = operators_in(found.genome) if found.genome else ()
    return {
        "needed": found.needed,
        "by_answer": bool(task.answers & {*operators}),
        "operators": list(operators),
        "best": found.best,
        "values": list(found.values),
        "answers_tried": sum(bool(task.answers & {*operators_in(genome)}) for genome in found.genomes),
        "plans": [genome.to_json() for genome in found.genomes],
        "cpu_seconds": round(laboratory.spent, 1),
    }


def read(path: Path | None) -> dict[Key, dict[str, Any]]:
    """Campaigns of an earlier session; a last line that was cut off is left out."""
    found: dict[Key, dict[str, Any]] = {}
    for row in json_lines.read(path):
        try:
            found[(row["task"], row["arm"], row["seed"], row["experiments"], row["steps"])] = row
        except (KeyError, TypeError):
            continue
    return found


def table(rows: list[dict[str, Any]], experiments: int) -> str:
    """Markdown: rate and experiments needed by task and arm, and the search beside each rival."""
    lines = ["| task | arm | campaigns | found | with the answer | experiments needed, median | the search needed fewer / more / as many |"]  # fmt: skip  # noqa: E501
    lines += ["|---|---|---|---|---|---|---|"]
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        needed = {a: {r["seed"]: r["needed"] for r in own if r["arm"] == a} for a in dict.fromkeys(r["arm"] for r in own)}  # fmt: skip  # noqa: E501
        for arm, by_seed in needed.items():
            sums = summary([*by_seed.values()], experiments)
            answer = sum(r["by_answer"] for r in own if r["arm"] == arm)
            beside = "{} / {} / {}".format(*duel(needed["search"], by_seed)) if arm != "search" and "search" in needed else ""  # fmt: skip  # noqa: E501
            rate, middle = ("{:.2f} [{:.2f}, {:.2f}]".format(*sums.rate), "{:g} [{:g}, {:g}]".format(*sums.needed))
            lines.append(f"| {task} | {arm} | {sums.n} | {rate} | {answer} | {middle} | {beside} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, print the lines and the table."""
    given = _options()
    torch.set_num_threads(1)
    known = read(given.out)
    rows = []
    for task in (t for t in TASKS if t.name in given.tasks):
        steps = QUICK_STEPS if given.quick else task.steps
        for seed in range(given.seeds):
            laboratory = KnownAnswerLab(task, seed, steps)
            for arm in given.arms:
                key = (task.name, arm, seed, given.experiments, steps)
                if (row := known.get(key)) is None:
                    began = time.monotonic()
                    row = dict(zip(("task", "arm", "seed", "experiments", "steps"), key, strict=True))
                    row |= run(task, arm, seed, given.experiments, laboratory)
                    row["wall_seconds"] = round(time.monotonic() - began, 1)
                    print(json.dumps(row), flush=True)
                    if given.out:
                        append_line(row, given.out)
                rows.append(row)
    print(table(rows, given.experiments), file=sys.stderr)


def append_line(row: dict[str, Any], path: Path) -> None:
    """One JSON line more; a line that was cut off stays a line of its own."""
    cut_off = path.exists() and (text := path.read_bytes()) and not text.endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if cut_off else "") + json.dumps(row) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=",".join(t.name for t in TASKS), help="comma between them")
    parser.add_argument("--arms", default="search,random,tpe", help=f"of {', '.join(ARMS)}")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--experiments", type=int, default=20, help="candidates of one campaign")
    parser.add_argument("--out", type=Path, help="JSON lines; campaigns that stand in it are not run again")
    parser.add_argument("--quick", action="store_true", help="does it run: 40 steps, 2 experiments, 1 seed")
    given = parser.parse_args()
    for name, allowed in (("tasks", [t.name for t in TASKS]), ("arms", [*ARMS])):
        chosen = [part for part in getattr(given, name).split(",") if part]
        if not chosen or (wrong := [part for part in chosen if part not in allowed]):
            parser.error(f"--{name}: {', '.join(wrong) if chosen else 'none'} given, there are {', '.join(allowed)}")
        setattr(given, name, chosen)
    if given.seeds < 1 or given.experiments < 1:
        parser.error("at least one seed and one experiment are needed")
    if given.quick:
        given.seeds, given.experiments = 1, QUICK_EXPERIMENTS
    return given


if __name__ == "__main__":
    main()
