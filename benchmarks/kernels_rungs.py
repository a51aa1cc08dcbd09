"""What the kernels are worth to the lab: `python -m benchmarks.kernels_rungs`.

Rung 1 (overwrite recall, 400 steps of 64 x 48 tokens, one layer) and rung 2 (100 steps of 16 x 128 bytes, two layers)
train two baselines with the lab's own network and loop, once as they are and once with the chunked operator replaced
by its recurrence, a loop over time: everything else, convolution, norm and gate, is the same. One thread, CPU time of
the process; a step is the median of `--steps` taken in rounds in rotation, and a rung is that times its steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from move37.lab import baselines
from move37.lab.inside import loop
from move37.lab.inside.network import ByteModel, ProbeModel, count
from move37.lab.probes.overwrite import OVERWRITE_RECALL
from move37.lab.probes.probe import IGNORE
from move37.lab.training.contract import load_mixer
from move37.lab.training.data import BATCH
from move37.lab.training.sizes import D_MODEL, N_HEADS, VOCAB, fit_mlp_width

NAMES = ("gated_delta_net", "gla")
ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRung:
    """One rung's network, a step's data and how many steps it takes."""

    name: str
    steps: int
    network: dict[str, object]
    inputs: Tensor  # [batch, time]
    targets: Tensor  # [batch, time], IGNORE where none is due


def rungs() -> tuple[KernelRung, KernelRung]:
    """Overwrite recall, and the first 100 steps of the language model; what is in a batch does not change its time."""
    probe, rng = OVERWRITE_RECALL, np.random.default_rng(0)
    asked, answers = (torch.from_numpy(x).long() for x in probe.make(rng, probe.batch))
    text = torch.from_numpy(rng.integers(0, IGNORE, size=(BATCH, 129)))
    return (
        KernelRung(
            name=probe.name,
            steps=probe.steps,
            network={"kind": "probe", "vocabulary": probe.vocabulary},
            inputs=asked,
            targets=answers,
        ),
        KernelRung(
            name="language model",
            steps=100,
            network={"kind": "bytes", "vocabulary": VOCAB},
            inputs=text[:, :-1],
            targets=text[:, 1:],
        ),
    )


def step_seconds(source: str, rung: KernelRung, steps: int) -> list[float]:
    """CPU seconds of each step of a training from its start, the first one (which warms up) left out."""
    mixer = load_mixer(source)
    torch.manual_seed(0)
    model = (
        ByteModel(mixer, mlp_width=fit_mlp_width(count(mixer(D_MODEL, N_HEADS))))
        if rung.network["kind"] == "bytes"
        else ProbeModel(mixer, vocab=int(str(rung.network["vocabulary"])))
    )
    marks = []

    def loss_at(_step: int) -> Tensor:
        return F.cross_entropy(model(rung.inputs).flatten(0, 1), rung.targets.flatten(), ignore_index=IGNORE)

    def on_step(_done: int, _loss: float) -> bool:
        marks.append(time.process_time())
        return False

    loop.fit(
        model, loss_at, first=0, stop=steps + 1, rate=lambda _: 1e-3, saved={}, ceiling=float("inf"), on_step=on_step
    )
    return [later - earlier for earlier, later in pairwise(marks)]


def compare(steps: int) -> list[dict[str, object]]:
    """A row for each baseline and rung: milliseconds a step and seconds a rung, recurrence and kernels."""
    rows: list[dict[str, object]] = []
    for name in NAMES:
        source = baselines.source(name)
        loop_source = source.replace("chunk_g", "fused_recurrent_g").replace("v, g, beta,", "v, g, beta=beta,")
        versions = {"recurrence": loop_source, "kernels": source}
        for rung in rungs():
            taken: dict[str, list[float]] = defaultdict(list)
            for _ in range(ROUNDS):
                for version, text in versions.items():
                    taken[version] += step_seconds(text, rung, max(2, steps // ROUNDS))
            median = {version: statistics.median(seconds) for version, seconds in taken.items()}
            row: dict[str, object] = {"baseline": name, "rung": rung.name, "steps": rung.steps}
            row |= {f"{version}_step_ms": seconds * 1e3 for version, seconds in median.items()}
            row |= {f"{version}_rung_s": seconds * rung.steps for version, seconds in median.items()}
            rows.append(row | {"times": median["recurrence"] / median["kernels"]})
            print("  ".join(f"{k} {v:.1f}" if isinstance(v, float) else str(v) for k, v in rows[-1].items()))
    return rows


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30, help="steps that are timed of each (default 30)")
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = compare(asked.steps)
    if asked.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
