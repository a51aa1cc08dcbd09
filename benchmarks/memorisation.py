"""Memorisation of MAD (arXiv 2403.17844): facts that stand in no prompt, learned from 256 examples in 400 steps.

A fixed map of keys onto values; an example is 16 times (a key, then the mark at which its value is due). So nothing in
the sequence helps: the map has to go into the weights, and 400 steps is all the time there is. Published is one number
an architecture, averaged over vocabularies of 256 to 8,192 words, without seeds; papers contradict each other.

As published: width 128, mixer-SwiGLU twice, 256 examples in batches of 128 for 200 epochs, AdamW with a cosine by epoch
to 1e-6, 1,280 test examples, accuracy averaged over the values (macro). Different here: seeds, which draw the map, the
examples and the weights; no weight decay; the rate is the better of two on the first seed and vocabulary; a training
ends when a whole epoch's loss is under .005 nats. The last SwiGLU and the head are computed where an answer is due.

A key that no training example shows cannot be known: the ceiling is the share of test keys that were seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from move37.benchmarks.sequence_models import GLA, Attention, Backbone, DeltaNet, MakeMixer
from move37.benchmarks.studies import Row, SeedSummary, StudyRuns, chosen, judged
from move37.lab import baselines
from move37.lab.training.contract import load_mixer

VOCABULARIES = (256, 512, 1024, 2048, 4096, 8192)  # of the published average
WIDTH, HEADS, LAYERS, PAIRS = 128, 4, 2, 16
EXAMPLES, BATCH, EPOCHS, TESTED = 256, 128, 200, 1280
RATES, LEAST_RATE = (1e-3, 5e-4), 1e-6
ENOUGH = 0.005  # nats, over a whole epoch


def _baseline(name: str) -> Callable[[], MakeMixer]:
    return lambda: load_mixer(baselines.source(name))


ARMS: dict[str, Callable[[], MakeMixer]] = {
    "gated_delta_net": _baseline("gated_delta_net"),
    "delta_net": lambda: partial(DeltaNet, top=1.0),
    "softmax": lambda: Attention,
    "gla": lambda: GLA,
    "mamba2": _baseline("mamba2"),
}
PUBLISHED = {  # percent, by where it stands
    "gated_delta_net": {"MesaNet": 81.7, "Atlas": 81.7, "FEM": 80.2, "lin-attn-bench": 55.2},
    "delta_net": {"2406.06484": 52.8, "MesaNet": 40.8, "lin-attn-bench": 39.4},
    "softmax": {"2406.06484": 85.2, "MesaNet": 84.7, "Atlas": 83.8, "FEM": 85.7, "lin-attn-bench": 78.8},
    "gla": {"2406.06484": 63.3, "MesaNet": 82.5, "lin-attn-bench": 77.1},
    "mamba2": {"MesaNet": 42.0},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One map with its examples: keys and values [count, 16] each."""

    train_keys: NDArray[np.int64]
    train_values: NDArray[np.int64]
    test_keys: NDArray[np.int64]
    test_values: NDArray[np.int64]

    @property
    def ceiling(self) -> float:
        """Share of test keys that training shows, each value weighing the same."""
        return macro(np.where(np.isin(self.test_keys, self.train_keys), self.test_values, -1), self.test_values)


def draw(vocabulary: int, seed: int) -> Facts:
    """The first half of the words but one are keys; the last word is the mark."""
    rng = np.random.default_rng((seed, vocabulary))
    keys = (vocabulary - 1) // 2
    values = rng.permutation(np.arange(keys, vocabulary - 1))[:keys]
    train, test = (rng.integers(0, keys, size=(count, PAIRS)) for count in (EXAMPLES, TESTED))
    return Facts(train_keys=train, train_values=values[train], test_keys=test, test_values=values[test])


def macro(guessed: NDArray[np.int64], right: NDArray[np.int64]) -> float:
    """Accuracy of each value, averaged over the values that were due or guessed; a guess of -1 is none."""
    due = np.bincount(right.ravel())
    hit = np.bincount(right[guessed == right], minlength=len(due))
    wrongly = set(np.unique(guessed[guessed >= 0])) - set(np.flatnonzero(due))
    return float((hit[due > 0] / due[due > 0]).sum() / ((due > 0).sum() + len(wrongly)))


def run(arm: str, *, vocabulary: int, rate: float, seed: int, epochs: int = EPOCHS) -> Row:
    """One training: macro accuracy on test examples, the ceiling, and the steps it took."""
    torch.manual_seed(seed)
    facts = draw(vocabulary, seed)
    model = Backbone(ARMS[arm](), vocabulary=vocabulary, answers=vocabulary, width=WIDTH, heads=HEADS, layers=LAYERS)
    optimiser = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.0)
    shuffle = np.random.default_rng((seed, 1))
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = LEAST_RATE + (rate - LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
        losses = []
        for part in np.split(shuffle.permutation(EXAMPLES), EXAMPLES // BATCH):
            logits = _logits(model, facts.train_keys[part], vocabulary)
            loss = F.cross_entropy(logits, torch.from_numpy(facts.train_values[part].ravel()))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        if max(losses) < ENOUGH or not math.isfinite(losses[-1]):
            break
    with torch.no_grad():
        parts = np.split(facts.test_keys, TESTED // BATCH)
        guessed = np.concatenate([_logits(model, part, vocabulary).argmax(-1).numpy() for part in parts])
    value = macro(guessed.reshape(TESTED, PAIRS), facts.test_values) if math.isfinite(losses[-1]) else 0.0
    steps = (epoch + 1) * EXAMPLES // BATCH
    return {"value": value, "ceiling": facts.ceiling, "loss": sum(losses) / len(losses), "steps": steps}


def _logits(model: Backbone, keys: NDArray[np.int64], vocabulary: int) -> Tensor:
    """[count * 16, vocabulary], at the marks."""
    tokens = np.full((len(keys), 2 * PAIRS), vocabulary - 1)
    tokens[:, ::2] = keys
    rows, pairs = (torch.from_numpy(n.ravel()) for n in np.indices(keys.shape))
    found: Tensor = model(torch.from_numpy(tokens), rows, 2 * pairs + 1)
    return found


def study(
    runs: StudyRuns, *, seeds: int, arms: Sequence[str] = (), vocabularies: Sequence[int] = (256, 1024)
) -> list[dict[str, Any]]:
    """Every arm (or those named) on every vocabulary: ours by vocabulary, and what the published average can be.

    Raises `ValueError` for an arm or a vocabulary that there is not.
    """
    if wrong := [v for v in vocabularies if v not in VOCABULARIES]:
        raise ValueError(f"no vocabulary {wrong}: there are {VOCABULARIES}")
    figures = []
    for arm in chosen(arms, ARMS):

        def get(vocabulary: int, rate: float, seed: int, arm: str = arm) -> Row:
            identity = {"study": "memorisation", "arm": arm, "vocabulary": vocabulary, "rate": rate, "seed": seed}
            return runs.get(identity, partial(run, arm, vocabulary=vocabulary, rate=rate, seed=seed))

        tried = {rate: get(vocabularies[0], rate, 0) for rate in RATES}
        rate = max(tried, key=lambda rate: (tried[rate]["value"], -tried[rate]["steps"]))
        rows = {v: [get(v, rate, seed) for seed in range(seeds)] for v in vocabularies}
        cells = {
            str(v): {
                **asdict(SeedSummary.of([r["value"] for r in found], least=0.0)),
                "ceiling": sum(r["ceiling"] for r in found) / len(found),
                "steps": max(r["steps"] for r in found),
            }
            for v, found in rows.items()
        }
        average = averages(rows)
        figures.append(
            {
                "arm": arm, "rate": rate, "vocabularies": cells, "average": asdict(average),
                "published": [
                    {"where": where, "value": value, "verdict": judged(average, value / 100)}
                    for where, value in PUBLISHED[arm].items()
                ],
                "cpu_seconds": sum(r["cpu_seconds"] for found in rows.values() for r in found),
            }
        )  # fmt: skip
    return figures


def averages(rows: Mapping[int, Sequence[Row]]) -> SeedSummary:
    """The average over all six vocabularies. One that was not run may be anything from 0 to its ceiling."""
    missing = [v for v in VOCABULARIES if v not in rows]
    least = [sum(r["value"] for r in seed) / len(VOCABULARIES) for seed in zip(*rows.values(), strict=True)]
    rest = sum(draw(v, 0).ceiling for v in missing) / len(VOCABULARIES)
    low, high = (SeedSummary.of([value + more for value in least], least=0.0) for more in (0.0, rest))
    return replace(low, median=(low.median + high.median) / 2, high=high.high)


def table(figures: Sequence[dict[str, Any]]) -> str:
    """Markdown: ours by vocabulary with its ceiling, then the average beside the published ones."""
    lines = ["| memorisation | rate | n | words: ours, median +- MAD [95 % of the mean], ceiling | average of six | published (%) | CPU s |"]  # fmt: skip  # noqa: E501
    lines += ["|---|---|---|---|---|---|---|"]
    for f in figures:
        cells = "; ".join(
            f"{v}: {c['median']:.3f} +- {c['mad']:.3f} [{c['low']:.3f}, {c['high']:.3f}], {c['ceiling']:.3f}"
            for v, c in f["vocabularies"].items()
        )
        beside = "; ".join(f"{p['value']} ({p['where']}) {p['verdict']}" for p in f["published"])
        average = f["average"]
        lines.append(
            f"| {f['arm']} | {f['rate']:g} | {average['n']} | {cells} | {average['low']:.3f} to {average['high']:.3f} "
            f"| {beside} | {f['cpu_seconds']:.0f} |"
        )
    return "\n".join(lines)
