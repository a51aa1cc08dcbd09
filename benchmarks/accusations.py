"""How often honest gradients are accused, and false ones found: `python -m benchmarks.accusations [options]`.

Honest mixers are the baselines and random compositions of the search's grammar, trained by the lab's own loop on the
corpus, in this process. At some steps of each training the check of gradients (`lab/inside/verify.py`) is asked many
times, with other draws each time: of the gradients as they are, and of the same gradients made false.
A JSON line a check: plan, step, layer, kind of shift, disagreement at the first look, and whether it accused.

    python -m benchmarks.accusations --compositions 60 --records folder --out accusations.jsonl
    python -m benchmarks.accusations --table accusations.jsonl

`--records` keeps what a training left to be checked, so that another rule is tried on the same numbers without training
again. Not covered: memory between calls and layers that talk (tests have them), cards, other scales.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import torch
from torch.nn.functional import cross_entropy

from move37 import kernels
from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES, Genome
from move37.agents.search.operators import OPERATORS, crossover, put, take
from move37.lab.inside import loop
from move37.lab.inside.candidate import Worker
from move37.lab.inside.remote import Built, Record, Remote, build_model
from move37.lab.inside.wire import Head
from move37.lab.tasks.mixers import LEARNING_RATE
from move37.lab.training import schedule
from move37.lab.training.corpus import Bytes
from move37.lab.training.data import draw_batches
from move37.lab.training.jobs import Network

STEPS = (2, 15, 45)  # that are checked
FEW = 4  # sequences of a step that is not checked, which is all that a shorter training needs
MOST_MOVES = 8  # from a baseline to a composition
CROSSED = 0.2  # chance of a crossing after a move
SURROUNDED = ("block_before", "block_after", "block_beside", "chained_paths")  # parts that chance has too seldom


def composition(seed: int) -> Genome:
    """A genome as the search could reach it: from a baseline by its moves, a block or a chain among them."""
    rng = Random(seed)
    genome = rng.choice(list(BASELINES.values()))
    for _ in range(rng.randint(0, MOST_MOVES)):
        move = rng.choice((put, put, put, take))
        genome = move(rng.choice(OPERATORS), genome, rng) or genome
        if rng.random() < CROSSED:
            genome = crossover(genome, rng.choice(list(BASELINES.values())), rng) or genome
    return put(rng.choice(SURROUNDED), genome, rng) or genome


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


def stored(path: Path, network: Built, text: Bytes, steps: Sequence[int]) -> dict[int, list[Record]]:
    """`recorded`, or what an earlier sitting left at `path`."""
    if path.exists():
        found: Mapping[int, list[Record]] = torch.load(path, weights_only=False)
        return dict(found)
    kept = recorded(network, text, steps)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(kept, path)
    return kept
