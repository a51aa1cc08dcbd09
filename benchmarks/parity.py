"""Parity beyond the trained length (Table 5 of arXiv 2411.12537): which state can flip, and keep flipping.

Trained on 3 to 40 bits, tested on 40 to 256, the answer due at the last bit alone. Scaled accuracy 2a - 1: chance is 0,
all right is 1. A family's rate is the one with the best median over seeds; beside it
stand the median absolute deviation and a 95 % interval.

Published: two layers, width 128, four heads, convolution of 4, AdamW with weight decay .1, batch 1,024, 100,000 steps,
8,192 test sequences, three seeds, rates 1e-2 to 1e-4. Reduced here, so that a core needs 20 seconds a run: width 32,
64 rows, 300 steps, rates 1e-2 and 3e-3, 1,024 test sequences. A row of 40 bits serves as its 38 beginnings of 3 to 40
bits, each with its answer at its end: these networks are causal, so that is the published training, lengths drawn
evenly, with 38 sequences a row in place of one. (With one, 400 to 800 steps of 64 rows at width 32 learned parity in
one training of eight.) Nothing is made easier with time. Not here: mLSTM and sLSTM, and arithmetic.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from move37.benchmarks.sequence_models import Attention, Backbone, DeltaNet, MakeMixer, Mamba
from move37.benchmarks.studies import Row, SeedSummary, StudyRuns, chosen, judged

TRAINED, FAR = (3, 40), (40, 256)  # bits, both ends in
WIDTH, HEADS, LAYERS, BATCH, STEPS, WARMUP = 32, 4, 2, 64, 300, 0.1
RATES, LEAST_RATE, WEIGHT_DECAY = (1e-2, 3e-3), 1e-6, 0.1
TESTED, TEST_BATCH = 1024, 256
PADDING = 2  # the third token
ARMS: dict[str, MakeMixer] = {  # and the least eigenvalue
    "delta_net_to_-1": partial(DeltaNet, top=2.0),
    "delta_net_to_0": partial(DeltaNet, top=1.0),
    "softmax": Attention,
    "mamba_to_0": partial(Mamba, low=0.0),
    "mamba_to_-1": partial(Mamba, low=-1.0),
}
PUBLISHED = {  # median and median absolute deviation of three seeds
    "delta_net_to_-1": (0.999, 0.006),
    "delta_net_to_0": (0.010, 0.005),
    "softmax": (0.003, 0.013),
    "mamba_to_0": (0.000, 0.000),
    "mamba_to_-1": (1.000, 0.000),
}


def draw(count: int, lengths: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Bits [count, longest] with padding behind, the place of each last bit, and the parity there."""
    least, most = lengths
    length = torch.randint(least, most + 1, (count,), generator=generator)
    bits = torch.randint(2, (count, most), generator=generator)
    tokens = torch.where(torch.arange(most) < length[:, None], bits, PADDING)
    return tokens, length - 1, (tokens == 1).sum(1) % 2


def beginnings(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Bits [count, 40], then row, last place and parity of each of their beginnings of a trained length."""
    least, most = TRAINED
    bits = torch.randint(2, (count, most), generator=generator)
    rows, places = (
        n.flatten() for n in torch.meshgrid(torch.arange(count), torch.arange(least - 1, most), indexing="ij")
    )
    return bits, rows, places, (bits.cumsum(1) % 2)[rows, places]


def run(arm: str, *, rate: float, seed: int, steps: int = STEPS) -> Row:
    """One training; scaled accuracy far beyond ("value") and at the trained lengths."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = Backbone(ARMS[arm], vocabulary=3, answers=2, width=WIDTH, heads=HEADS, layers=LAYERS)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=WEIGHT_DECAY)
    smooth = math.log(2)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = _rate(step, steps, rate)
        bits, rows, places, parity = beginnings(BATCH, generator)
        loss = F.cross_entropy(model(bits, rows, places), parity)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        smooth = 0.95 * smooth + 0.05 * loss.item()
    own = torch.Generator().manual_seed(10_000 + seed)
    return {"value": _scaled(model, FAR, own), "trained": _scaled(model, TRAINED, own), "loss": smooth}


def _rate(step: int, steps: int, peak: float) -> float:
    warmup = int(WARMUP * steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    return LEAST_RATE + (peak - LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


@torch.no_grad()
def _scaled(model: Backbone, lengths: tuple[int, int], generator: torch.Generator) -> float:
    right = 0
    for _ in range(TESTED // TEST_BATCH):
        tokens, last, parity = draw(TEST_BATCH, lengths, generator)
        right += int((model(tokens, torch.arange(TEST_BATCH), last).argmax(-1) == parity).sum())
    return 2 * right / TESTED - 1


def study(
    runs: StudyRuns, *, seeds: int, arms: Sequence[str] = (), rates: Sequence[float] = RATES, steps: int = STEPS
) -> list[dict[str, Any]]:
    """Every arm (or those named) at every rate and seed; of each the best rate, beside what was published.

    Raises `ValueError` for an arm that there is not.
    """
    figures = []
    for arm in chosen(arms, ARMS):
        by_rate: dict[float, list[Row]] = {rate: [] for rate in rates}
        for rate, seed in itertools.product(rates, range(seeds)):
            identity = {"study": "parity", "arm": arm, "rate": rate, "seed": seed, "steps": steps}
            train = partial(run, arm, rate=rate, seed=seed, steps=steps)
            by_rate[rate].append(runs.get(identity, train))
        summed = {rate: SeedSummary.of([r["value"] for r in rows], least=-1.0) for rate, rows in by_rate.items()}
        best = max(summed, key=lambda rate: summed[rate].median)
        value, spread = PUBLISHED[arm]
        figures.append(
            {
                "arm": arm, "rate": best, **asdict(summed[best]), "published": value, "spread": spread,
                "verdict": judged(summed[best], value, spread),
                "trained": statistics.median(r["trained"] for r in by_rate[best]),
                "medians": {f"{rate:g}": s.median for rate, s in summed.items()},
                "cpu_seconds": sum(r["cpu_seconds"] for rows in by_rate.values() for r in rows),
            }
        )  # fmt: skip
    return figures


def table(figures: Sequence[dict[str, Any]]) -> str:
    """Markdown: ours beside the published."""
    lines = [
        "| parity, 40 to 256 bits | rate | n | ours: median +- MAD [95 % of the mean] | at 3 to 40 | medians by rate "
        "| published | verdict | CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for f in figures:
        rates = ", ".join(f"{rate}: {value:.3f}" for rate, value in f["medians"].items())
        lines.append(
            f"| {f['arm']} | {f['rate']:g} | {f['n']} | {f['median']:.3f} +- {f['mad']:.3f} "
            f"[{f['low']:.3f}, {f['high']:.3f}] | {f['trained']:.3f} | {rates} "
            f"| {f['published']:.3f} +- {f['spread']:.3f} | {f['verdict']} | {f['cpu_seconds']:.0f} |"
        )
    return "\n".join(lines)
