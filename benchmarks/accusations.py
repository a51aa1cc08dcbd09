"""How often honest gradients are accused, and false ones found: `python -m benchmarks.accusations [options]`.

Honest mixers are the baselines and random compositions of the search's grammar, trained for a few steps by the lab's
own loop on the corpus, in this process. Then the check of gradients (`lab/inside/verify.py`) draws shifts as in a
training, many for one step: of the gradients as they are, and of the same gradients made false. A JSON line a check of
a layer: plan, kind of shift, disagreement at each distance from one side and from both, how loud the reported effect is
against rounding. The rules of `accusations_rules.py` are then read off those.

    python -m benchmarks.accusations --compositions 60 --draws 10 --false 1 --out accusations.jsonl
    python -m benchmarks.accusations --table --out accusations.jsonl

Not covered: memory between calls and layers that talk (tests/lab/inside/test_verify.py has them); long trainings.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from move37 import kernels
from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES, Genome
from move37.agents.search.operators import OPERATORS, crossover, put, take
from move37.benchmarks.accusations_rules import HONEST, table
from move37.benchmarks.json_lines import Row, read
from move37.lab.inside import loop
from move37.lab.inside.building import Built, build_model
from move37.lab.inside.candidate import Worker
from move37.lab.inside.remote import Forward, Record, Remote
from move37.lab.inside.shifts import Shift, disagreement, disagreement_of_sides, said, scaled
from move37.lab.inside.verify import CLOSER, ON_INPUT, Checks
from move37.lab.inside.wire import Head
from move37.lab.tasks.mixers import LEARNING_RATE
from move37.lab.training import schedule
from move37.lab.training.corpus import Bytes, open_corpus
from move37.lab.training.data import draw_batches
from move37.lab.training.jobs import Network

Gradients = list[Tensor | None]  # of the input, then of each weight

STEPS = (11,)  # that are checked: half of the way to the full rate
FEW = 2  # sequences of a step that is not checked, which is all that a shorter training needs
MOST_MOVES = 8  # from a baseline to a composition
CROSSED = 0.2  # chance of a crossing after a move
NOISE = 0.5  # of a gradient's own size
AGREED = 0.1  # by the first look, below which nothing nearer is measured
SURROUNDED = ("block_before", "block_after", "block_beside", "chained_paths")  # parts that chance has too seldom


def composition(seed: int) -> Genome:
    """A genome as the search could reach it: from a baseline by its moves, a block or a chain among them."""
    rng = random.Random(seed)
    genome = rng.choice(list(BASELINES.values()))
    for _ in range(rng.randint(0, MOST_MOVES)):
        move = rng.choice((put, put, put, take))
        genome = move(rng.choice(OPERATORS), genome, rng) or genome
        if rng.random() < CROSSED:
            genome = crossover(genome, rng.choice(list(BASELINES.values())), rng) or genome
    return put(rng.choice(SURROUNDED), genome, rng) or genome


def mixers(first: int, count: int) -> list[Genome]:
    """`count` compositions from number `first` on, each once; behind those from 0 on, the baselines."""
    genomes = [composition(seed) for seed in range(first, first + count)]
    return list(dict.fromkeys([*genomes, *([] if first else BASELINES.values())]))


class Here(Remote):
    """A candidate's process that is this one: for sources of our own alone."""

    def __init__(self, source: str) -> None:
        self._worker = Worker()
        self.load(source)

    def ask(self, head: Head, tensors: Sequence[torch.Tensor] = ()) -> tuple[Head, list[torch.Tensor]]:
        """At once, with copies both ways: what crosses to another process is never shared."""
        with torch.enable_grad():  # as there: this may be asked from within autograd, which turns it off
            reply, out = self._worker.answer(head, [tensor.detach().clone() for tensor in tensors])
        return reply, [tensor.clone() for tensor in out]

    def end(self) -> int:
        """Nothing to end: an honest mixer remembers nothing, and the same one serves all checks."""
        return 0


def built(genome: Genome) -> tuple[Here, Built]:
    """The network of the CPU scale around mixers of `genome`."""
    sys.modules.setdefault("kernels", kernels)  # as candidates import it
    remote = Here(emit(genome, name="checked"))
    return remote, build_model(remote, Network(kind="bytes").spec, seed=0)


def recorded(network: Built, text: Bytes, steps: Sequence[int]) -> dict[int, list[Record]]:
    """Train on `text`; what a layer had and reported at each of `steps`."""
    stop = max(steps) + 1
    windows = torch.from_numpy(draw_batches(text, seed=0, start=0, stop=stop)).long()
    kept: dict[int, list[Record]] = {}

    def loss_at(step: int) -> torch.Tensor:
        for mixer in network.mixers:
            mixer.seed, mixer.records = step, [] if step in steps else None
        read = windows[step] if step in steps else windows[step, :FEW]
        return cross_entropy(network.model(read[:, :-1]).flatten(0, 1), read[:, 1:].flatten())

    def before_step(step: int) -> None:
        if step in steps:
            kept[step] = [record for mixer in network.mixers for record in mixer.records or ()]

    network.model.train()
    loop.fit(
        network.model, loss_at, first=0, stop=stop, saved={}, ceiling=float("inf"), before_step=before_step,
        rate=lambda step: schedule.learning_rate(step, peak=LEARNING_RATE), on_step=lambda done, loss: False,
    )  # fmt: skip
    return kept


# Checks --------------------------------------------------------------------------------------------------------


def _scaled(by: float) -> Callable[[Gradients, random.Random], Gradients]:
    return lambda gradients, draw: [None if g is None else by * g for g in gradients]


def _noisy(gradients: Gradients, draw: random.Random) -> Gradients:
    generator = torch.Generator().manual_seed(draw.getrandbits(62))
    noise = (None if g is None else torch.randn(g.shape, generator=generator) for g in gradients)
    return [
        g if g is None or n is None else g + NOISE * g.square().mean().sqrt() * n
        for g, n in zip(gradients, noise, strict=True)
    ]


def _orthogonal(gradients: Gradients, draw: random.Random) -> Gradients:
    """Of the weights that are matrices, at their own size."""

    def turned(g: Tensor | None) -> Tensor | None:
        if g is None or g.dim() != 2:
            return g
        u, _, v = torch.linalg.svd(g, full_matrices=False)
        return u @ v * g.norm() / min(g.shape) ** 0.5

    return [gradients[0], *map(turned, gradients[1:])]


def _one_zero(gradients: Gradients, draw: random.Random) -> Gradients:
    zero = draw.choice([i for i, g in enumerate(gradients) if i and g is not None])
    return [g if i != zero or g is None else 0 * g for i, g in enumerate(gradients)]


FALSE: Mapping[str, Callable[[Gradients, random.Random], Gradients]] = {
    **{f"times {by}": _scaled(by) for by in (0.7, 0.9, 1.1, 1.5)},
    "noise added": _noisy,
    "orthogonal": _orthogonal,
    "zero for one weight": _one_zero,
}


def made_false(record: Record, how: str, draw: random.Random) -> Record:
    """The same step with other gradients reported."""
    assert record.of_x is not None
    of_x, *of_values = FALSE[how]([record.of_x, *record.of_values], draw)
    return dataclasses.replace(record, of_x=of_x, of_values=of_values)


def kind(shift: Shift) -> str:
    """Which of the check's shifts it is: of the input, of all weights or of one, and whether of quiet numbers only."""
    moved = [by for by in (shift.x, *shift.values) if by is not None]
    name = "input" if shift.x is not None else "one weight" if len(moved) == 1 else "all weights"
    return f"{name}, quiet" if len(moved) == 1 and bool((moved[0] == 0).any()) else name


def looks(remote: Remote, record: Record, shift: Shift) -> tuple[list[float], list[float], float]:
    """Disagreement from one side and from both, at each distance, and the reported effect's spread over rounding.

    Where the first look agrees well, it is the only one.
    """

    def outputs(by: float) -> Tensor:
        near = scaled(shift, by)
        values = [v if d is None else v + d for v, d in zip(record.values, near.values, strict=True)]
        x = record.x if near.x is None else record.x + near.x
        return remote.forward(0, x, Forward(train=True, mode="grad", seed=record.seed), values)

    first = outputs(1.0)
    one, both = [disagreement(record, shift, first)], []
    reported = said(record, shift)
    loudness = reported.spread / (reported.rounding or 1e-30)
    if one[0] <= AGREED:
        return one, [], loudness
    still = outputs(0.0)
    for closer in CLOSER:
        ahead, behind = first if closer == 1.0 else outputs(closer), outputs(-closer)
        near = scaled(shift, closer)
        one += [disagreement(record, near, ahead)] if closer != 1.0 else []
        both.append(disagreement_of_sides(record, near, ahead, behind, still))
    return one, both, loudness


def checked(genome: Genome, text: Bytes, draws: int, false: int, seed: int) -> Iterator[Row]:
    """Rows of one mixer: `draws` checks of a layer's honest gradients at each step, `false` of each false kind."""
    remote, network = built(genome)
    draw = random.Random(seed)
    plan = genome.to_json()
    checks = Checks(fresh=lambda: remote, shifts=True, draw=draw)
    for step, records in recorded(network, text, STEPS).items():
        for layer, record in enumerate(records):
            for how in (*draws * (HONEST,), *false * tuple(FALSE)):
                given = record if how == HONEST else made_false(record, how, draw)
                shift = checks.shift(given, on_input=draw.random() < ON_INPUT)
                one, both, loudness = looks(remote, given, shift)
                yield {
                    "plan": plan, "step": step, "layer": layer, "gradients": how, "kind": kind(shift),
                    "one_side": one, "both_sides": both, "loudness": loudness,
                }  # fmt: skip


def main() -> None:
    """Check what --out does not hold yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compositions", type=int, default=60)
    parser.add_argument("--first", type=int, default=0, help="the number of the first; with 0 the baselines follow")
    parser.add_argument("--draws", type=int, default=10, help="checks of each layer's honest gradients")
    parser.add_argument("--false", type=int, default=1, help="checks of each kind of false gradients, a layer")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines; mixers that stand in it are left out")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "move37")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if not given.table:
        text, done = open_corpus(given.cache).train, {row["plan"] for row in read(given.out)}
        for genome in (g for g in mixers(given.first, given.compositions) if g.to_json() not in done):
            seed = int(hashlib.sha256(genome.to_json().encode()).hexdigest()[:12], 16)
            rows = list(checked(genome, text, given.draws, given.false, seed))
            with given.out.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
    print(table(read(given.out)))


if __name__ == "__main__":
    main()
