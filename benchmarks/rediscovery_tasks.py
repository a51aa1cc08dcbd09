"""Tasks whose answer is known, cut down so that a core trains one candidate in seconds; and how one is trained.

    overwrite   16 writes onto 4 keys, then 16 queries for the latest value: a memory that only adds cannot take the old
                value away; a delta rule can. Softmax over a window that holds the whole sequence can too.
    parity      running parity, trained on 16 bits and tested on 40: needs a state that can flip, beta up to 2.
    text        next byte of the lab's corpus: needs neighbours to be joined, by a short convolution.
    s3          product of each prefix of a word in the group S3, trained and tested on 8 elements: one erase-and-write
                step a token follows swaps, two with beta up to 2 make every permutation (arXiv 2502.10297). Begins
                without short convolutions: with one, two steps did not solve words of 16 in 500 steps. Words of 8 are
                learnt in 100 to 180 steps by two (.003 to .008 wrong, six of six); one leaves .45 after 300, or more.

Each task names where a search begins (families without the answer), the answer's operators, and those that may not
come along as another operator's usual setting (the delta rule is usually put in with beta to 2). Candidates are trained
in this process: their files are written by our own emitter.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from move37 import kernels
from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES, Genome
from move37.benchmarks.state_tracking import GROUP
from move37.lab.inside.loop import fit
from move37.lab.inside.network import ByteModel, MakeMixer
from move37.lab.probes.overwrite import OVERWRITE_RECALL
from move37.lab.records import BITS_PER_BYTE
from move37.lab.training.contract import load_mixer
from move37.lab.training.corpus import open_corpus
from move37.lab.training.schedule import learning_rate

Batch = tuple[NDArray[np.int64], NDArray[np.int64]]  # inputs and targets, [count, length]; -1 where none is due
IGNORE = -1
TRAINED, LENGTH = 16, 40  # bits of parity: in training, in the test
RATE, WIDTH, HEADS = 1e-2, 32, 2
TESTED = 256  # sequences
TEXT_TESTED, TEXT_LENGTH = 256, 64
S3_LENGTH = 8  # elements of a word


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTask:
    """A task with its answer."""

    name: str
    vocabulary: int
    steps: int
    batch: int
    threshold: float  # a value this low is a rediscovery
    answers: frozenset[str]  # one of them in the solving genome: it was found this way and no other
    carried: frozenset[str] = frozenset()
    starts: tuple[tuple[str, Genome], ...]
    draw: Callable[[np.random.Generator, int, bool], Batch]  # (rng, count, test or training)
    in_bits: bool = False  # value: bits per byte; otherwise share of wrong answers
    enough: float = 0.01  # training loss in nats that ends a training
    mlp: int = 0

    @property
    def metric(self) -> str:
        """Name of what the value is."""
        return BITS_PER_BYTE.name if self.in_bits else "share_of_wrong_answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What one candidate came to."""

    value: float | None  # on held-out inputs; None: diverged
    steps: int
    cpu_seconds: float


def _overwrite(rng: np.random.Generator, count: int, test: bool) -> Batch:
    inputs, answers = OVERWRITE_RECALL.make(rng, count)
    targets = answers.astype(np.int64)
    return inputs.astype(np.int64), np.where(targets == 255, IGNORE, targets)


def _parity(rng: np.random.Generator, count: int, test: bool) -> Batch:
    bits = rng.integers(0, 2, size=(count, LENGTH if test else TRAINED))
    return bits, np.bitwise_xor.accumulate(bits, axis=1)


@cache
def _products() -> NDArray[np.int64]:
    """Of two elements of S3, as in benchmarks.state_tracking: the second applied first."""
    return np.array([[GROUP.index(tuple(a[i] for i in b)) for b in GROUP] for a in GROUP])


def _s3(rng: np.random.Generator, count: int, test: bool) -> Batch:
    words = rng.integers(0, len(GROUP), size=(count, S3_LENGTH))
    products = words.copy()
    for t in range(1, S3_LENGTH):
        products[:, t] = _products()[products[:, t - 1], words[:, t]]
    return words, products


@cache
def _text() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    corpus = open_corpus(cache=Path.home() / ".cache" / "move37")
    return corpus.train, corpus.validation


def _bytes(rng: np.random.Generator, count: int, test: bool) -> Batch:
    text = _text()[test]
    places = rng.integers(0, len(text) - TEXT_LENGTH - 1, size=count)
    windows = np.stack([text[p : p + TEXT_LENGTH + 1] for p in places]).astype(np.int64)
    return windows[:, :-1], windows[:, 1:]


def _bare(*families: str) -> tuple[tuple[str, Genome], ...]:
    return tuple((f, replace(BASELINES[f], conv=False)) for f in families)


_ERASING = frozenset({"delta_rule", "gated_delta_rule"})
TASKS = (
    KnownTask(
        name="overwrite", vocabulary=20, steps=200, batch=32, threshold=0.02, draw=_overwrite,
        answers=_ERASING, enough=0.02,
        starts=tuple((f, BASELINES[f]) for f in ("linear", "retention", "ssd")),
    ),
    KnownTask(
        name="parity", vocabulary=2, steps=240, batch=64, threshold=0.15, draw=_parity,
        answers=frozenset({"beta_two"}), carried=frozenset({"beta_two"}),
        starts=tuple((f, BASELINES[f]) for f in ("linear", "ssd", "gla", "gated_delta")),
    ),
    KnownTask(
        name="s3", vocabulary=6, steps=300, batch=64, threshold=0.2, draw=_s3,
        answers=frozenset({"several_reflections"}),
        carried=frozenset({"beta_two"}), enough=0.05,
        starts=_bare("ssd", "delta", "gated_delta"),
    ),
    KnownTask(
        name="text", vocabulary=256, steps=200, batch=16, threshold=3.3, draw=_bytes, in_bits=True,
        answers=frozenset({"short_conv"}), enough=0.0, mlp=64,
        starts=_bare("linear", "ssd", "gla", "gated_delta"),
    ),
)  # fmt: skip


def train(task: KnownTask, genome: Genome, *, seed: int, steps: int | None = None) -> Trained:
    """One layer around the genome's mixer, trained by the lab's loop and scored on inputs that no training drew."""
    began = time.process_time()
    sys.modules.setdefault("kernels", kernels)  # as candidates import it
    torch.manual_seed(seed)
    mixer: MakeMixer = load_mixer(emit(genome, name=task.name))
    shape = {"d_model": WIDTH, "n_heads": HEADS, "n_layers": 1, "mlp_width": task.mlp}
    model = ByteModel(mixer, vocab=task.vocabulary, **shape)
    rng, total = np.random.default_rng((seed, 1)), steps or task.steps

    def loss_at(step: int) -> Tensor:
        return _loss(model, *task.draw(rng, task.batch, False))

    fitted, _ = fit(
        model, loss_at, first=0, stop=total, rate=lambda step: learning_rate(step, peak=RATE, total=total),
        saved={}, ceiling=float("inf"), on_step=lambda step, loss: loss < task.enough,
    )  # fmt: skip
    value = None if fitted.diverged else _held_out(task, model, seed)
    return Trained(value=value, steps=fitted.step, cpu_seconds=time.process_time() - began)


def _loss(model: ByteModel, inputs: NDArray[np.int64], targets: NDArray[np.int64]) -> Tensor:
    logits = model(torch.from_numpy(inputs))
    return F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).flatten(), ignore_index=IGNORE)


def _held_out(task: KnownTask, model: ByteModel, seed: int) -> float | None:
    inputs, targets = task.draw(np.random.default_rng((seed, 2)), TESTED, True)
    with torch.no_grad():
        if task.in_bits:
            value = float(_loss(model, inputs, targets)) / float(np.log(2))
        else:
            best = model(torch.from_numpy(inputs)).argmax(-1).numpy()
            due = targets != IGNORE
            value = float(np.mean(best[due] != targets[due]))
    return value if np.isfinite(value) else None
