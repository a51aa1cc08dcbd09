"""What the parts of the grammar are worth on text: `python -m benchmarks.grammar [options]`.

Each part is put into each base (a family of the lab's baselines) by the search's own move, trained and scored by the
lab on the seeds and steps of the screen, beside the base itself. A part's gain is the base's bits per byte less its own
on the same seed; a part that does not apply to a base, or exceeds the parameter limit there, is left out.

    python -m benchmarks.grammar --bases ssd,gated_delta --steps 100 500 --seeds 1 --out grammar.jsonl
    python -m benchmarks.grammar --parts input_shift+narrow_gate,block_before --seeds 3 --steps 500 --out grammar.jsonl
    python -m benchmarks.grammar --plans plans.txt --seeds 3 --steps 500 --out grammar.jsonl

Parts joined by + go in one after the other. `--plans` measures whole plans, one a line, beside the bases. A line of
JSON a value; what stands in --out is not run again. Trainings are the process sandbox's, one at a time.
Not covered: gates (a test has them), other widths, more steps.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import structlog

from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES, Genome, from_json
from move37.agents.search.operators import OPERATORS, put, take
from move37.benchmarks.json_lines import Row, read
from move37.lab.records import BITS_PER_BYTE, Candidate
from move37.lab.tasks.mixers import LEARNING_RATE, MixersTask
from move37.lab.tasks.task import Rung
from move37.sandbox import ProcessSandbox


def variants(bases: Sequence[str], parts: Sequence[str], plans: Sequence[str]) -> Iterator[tuple[str, str, Genome]]:
    """(base, part, genome) of everything that is measured; the part is empty for the base itself."""
    for base in bases:
        yield base, "", BASELINES[base]
        for part in parts:
            if (genome := changed(BASELINES[base], part)) is not None:
                yield base, part, genome
    for plan in plans:
        if (found := from_json(plan)) is None:
            raise ValueError(f"no plan of the grammar: {plan[:100]}")
        yield found.family, plan, found


def changed(genome: Genome, part: str) -> Genome | None:
    """`genome` with the parts of `part` in it (-name takes out); None where one of them does not apply."""
    found: Genome | None = genome
    for name in part.split("+"):
        move = take if name.startswith("-") else put
        found = move(name.removeprefix("-"), found, Random(0)) if found is not None else None
    return found


async def measure(rows: list[Row], given: argparse.Namespace) -> None:
    """Run what is missing in `rows`, and write each value as it comes."""
    task = MixersTask.open(cache=given.cache)
    plans = given.plans.read_text(encoding="utf-8").splitlines() if given.plans else []
    done = {(r["base"], r["part"], r["seed"], r["steps"]) for r in rows}
    with tempfile.TemporaryDirectory() as folder:
        async with ProcessSandbox(1) as sandbox:
            for seed in range(given.first_seed, given.first_seed + given.seeds):
                for base, part, genome in variants(given.bases, given.parts, plans):
                    key = f"bench-{hashlib.sha256(genome.to_json().encode()).hexdigest()[:12]}"
                    candidate = Candidate(source=emit(genome, name="measured"), author="bench", family=genome.family)
                    for steps in sorted(given.steps):
                        if (base, part, seed, steps) in done:
                            continue
                        got = await task.measure(
                            candidate, experiment=key, rung=Rung(number=2, name=f"lm@{steps}", steps=steps),
                            seed=seed, learning_rate=LEARNING_RATE, fresh=given.fresh, sandbox=sandbox,
                            workdir=Path(folder) / key,
                        )  # fmt: skip
                        sound = [m for m in got.measurements if m.metric == BITS_PER_BYTE.name and not m.diverged]
                        row: Row = {
                            "base": base, "part": part, "seed": seed, "steps": steps, "failure": got.failure,
                            "value": sound[0].value if sound else None, "plan": genome.to_json(),
                            "cpu_seconds": round(sum(m.cpu_seconds for m in got.measurements), 1),
                        }  # fmt: skip
                        rows.append(row)
                        line = json.dumps(row)
                        print(line, flush=True)
                        if given.out:
                            with given.out.open("a", encoding="utf-8") as file:
                                file.write(line + "\n")


def table(rows: Sequence[Row]) -> str:
    """Markdown: a part's gain over its base by base and steps, mean over the seeds that both have, and in how many."""
    columns = sorted({(r["base"], r["steps"]) for r in rows}, key=lambda c: (c[0], c[1]))
    lines = ["| part | " + " | ".join(f"{base} @{steps}" for base, steps in columns) + " |"]
    lines.append("|" + "---|" * (len(columns) + 1))
    for part in dict.fromkeys(r["part"] for r in rows):
        cells = []
        for base, steps in columns:
            own, plain = (
                {r["seed"]: r["value"] for r in rows if (r["base"], r["steps"], r["part"]) == (base, steps, p)}
                for p in (part, "")
            )
            pairs = [(plain[s], v) for s, v in own.items() if v is not None and plain.get(s) is not None]
            if not part:
                cells.append(_cell([v for v in own.values() if v is not None], "{:.3f}"))
            else:
                cells.append(_cell([before - now for before, now in pairs], "{:+.3f}"))
        lines.append(f"| {part or 'the base, bits a byte'} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: Sequence[float], form: str) -> str:
    if not values:
        return ""
    return form.format(statistics.fmean(values)) + (f" ({len(values)})" if len(values) > 1 else "")


def main() -> None:
    """Measure, then print the table."""
    given = _options()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    rows = read(given.out)
    asyncio.run(measure(rows, given))
    print(table(rows), file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", default="ssd,gated_delta", help=f"of {', '.join(BASELINES)}")
    parser.add_argument("--parts", default=",".join(OPERATORS), help="of the grammar's operators, joined by +")
    parser.add_argument("--plans", type=Path, help="file of plans, one a line")
    parser.add_argument("--steps", nargs="+", type=int, default=[100])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="score on the deciding text instead of the screening one")
    parser.add_argument("--out", type=Path, help="JSON lines; what stands in it is not run again")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "move37")
    given = parser.parse_args()
    given.bases, given.parts = ([p for p in text.split(",") if p] for text in (given.bases, given.parts))
    if wrong := [b for b in given.bases if b not in BASELINES]:
        parser.error(f"--bases: {', '.join(wrong)}")
    if wrong := [n for part in given.parts for n in part.split("+") if n.removeprefix("-") not in OPERATORS]:
        parser.error(f"--parts: {', '.join(wrong)}")
    if given.seeds < 1 or min(given.steps) < 1:
        parser.error("at least one seed and one step are needed")
    return given


if __name__ == "__main__":
    main()
