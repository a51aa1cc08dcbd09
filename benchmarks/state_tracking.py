"""The S3 word problem, one DeltaProduct layer: `python -m benchmarks.state_tracking [--seeds K] [--steps N] [--json]`.

Published (DeltaProduct, arXiv 2502.10297): one layer with two Householder steps a token and beta up to 2 solves it; one
step fails, and so do one and two steps with beta up to 1. Reduced here, so that a core needs half a minute a run: keys
of 16, batch 64, 16 elements long in training, 500 steps in place of 100 epochs of 100,000, one learning rate. So
"fails" means: fails at this budget; the arms differ far beyond the spread of seeds, or the disagreement is shown.

Accuracy a position is judged at 16, 32 and 64 elements: median and median absolute deviation over seeds, scaled so that
chance is 0 and all right is 1. Solved: at least .9 at the length of training; failed: at most .6.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from move37.kernels import chunk_gated_delta_product

GROUP = tuple(itertools.permutations(range(3)))  # S3
LENGTHS = (16, 32, 64)
WIDTH, HEADS, BATCH, RATE, TESTED = 64, 4, 64, 2e-3, 256
ARMS = {  # (Householder steps, upper end of beta) -> what was published
    (2, 2.0): "solves",
    (1, 2.0): "fails",
    (2, 1.0): "fails",
    (1, 1.0): "fails",
}
SOLVED, FAILED = 0.9, 0.6


class StateLayer(nn.Module):
    """Embedding, one DeltaProduct layer, head: tokens [batch, time] -> logits [batch, time, 6]."""

    def __init__(self, steps: int, top: float) -> None:
        super().__init__()
        self.steps, self.top = steps, top
        self.embedding = nn.Embedding(len(GROUP), WIDTH)
        self.q = nn.Linear(WIDTH, WIDTH, bias=False)
        self.k, self.v = (nn.Linear(WIDTH, steps * WIDTH, bias=False) for _ in range(2))
        self.beta = nn.Linear(WIDTH, steps * HEADS)
        self.norm, self.out, self.head = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, len(GROUP))

    def forward(self, tokens: Tensor) -> Tensor:
        """[batch, time] -> [batch, time, 6]."""
        x = self.embedding(tokens)
        batch, time, _ = x.shape
        q = self.q(x).view(batch, time, HEADS, -1)
        k, v = (p(x).view(batch, time * self.steps, HEADS, -1) for p in (self.k, self.v))
        beta = self.top * self.beta(x).view(batch, time * self.steps, HEADS).sigmoid()
        o, _ = chunk_gated_delta_product(q, k, v, None, beta, self.steps, use_qk_l2norm_in_kernel=True)
        return self.head(x + self.out(self.norm(o.reshape(batch, time, -1))))  # type: ignore[no-any-return]


def draw(count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Words of the group and the product of each prefix: [count, length] twice."""
    table = torch.tensor([[GROUP.index(tuple(a[i] for i in b)) for b in GROUP] for a in GROUP])
    words = torch.randint(len(GROUP), (count, length), generator=generator)
    products = [words[:, 0]]
    for t in range(1, length):
        products.append(table[products[-1], words[:, t]])
    return words, torch.stack(products, 1)


def run(steps: int, top: float, *, seed: int, updates: int) -> dict[int, float]:
    """Train one arm on one seed; scaled accuracy at each length."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = StateLayer(steps, top)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=updates, pct_start=0.1)
    for _ in range(updates):
        words, products = draw(BATCH, LENGTHS[0], generator)
        loss = F.cross_entropy(model(words).flatten(0, 1), products.flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    found = {}
    with torch.no_grad():
        for length in LENGTHS:
            words, products = draw(TESTED, length, torch.Generator().manual_seed(1_000 + seed))
            right = (model(words).argmax(-1) == products).double().mean().item()
            found[length] = (right - 1 / len(GROUP)) / (1 - 1 / len(GROUP))
    return found


def judged(values: list[float], published: str) -> str:
    """Whether ours agrees with what was published, by every seed."""
    ours = "solves" if min(values) >= SOLVED else "fails" if max(values) <= FAILED else "in between"
    return "agrees" if ours == published else f"DISAGREES: {ours} here"


def main() -> None:
    """Run every arm, print ours beside the published."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=500, help="optimiser steps of one run")
    parser.add_argument("--json", action="store_true", help="the last line is JSON")
    given = parser.parse_args()
    if given.seeds < 1 or given.steps < 10:
        parser.error("at least one seed and ten steps are needed")
    torch.set_num_threads(1)
    figures: list[dict[str, Any]] = []
    for (steps, top), published in ARMS.items():
        runs = [run(steps, top, seed=seed, updates=given.steps) for seed in range(given.seeds)]
        lengths = {}
        for length in LENGTHS:
            values = [r[length] for r in runs]
            middle = statistics.median(values)
            lengths[str(length)] = {"median": middle, "mad": statistics.median(abs(v - middle) for v in values)}
        verdict = judged([r[LENGTHS[0]] for r in runs], published)
        figures.append({"householder": steps, "beta": top, "published": published, "ours": verdict, "lengths": lengths})
        cells = "  ".join(f"{n}: {f['median']:.3f} +- {f['mad']:.3f}" for n, f in lengths.items())
        print(
            f"{steps} step{'s' * (steps > 1)}, beta to {top:g}  {cells}  published: {published}, {verdict}", flush=True
        )
    if given.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
