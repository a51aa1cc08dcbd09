"""What novelty compares, measured in this process: a mixer is what it can learn, not where it starts."""

from __future__ import annotations

import pytest

from move37.lab.gates import novelty
from move37.lab.gates.gate import GateEvidence, RawMeasurement
from move37.lab.inside.bench import Bench
from move37.lab.judging.checked import Fingerprint
from tests.lab.gates.defects import CLEAN, planted
from tests.lab.gates.here import spawner

SHUT = "self.open = nn.Parameter(torch.zeros({shape}))"
EARLIER = "F.pad(u, (0, 0, 9, 0))[:, : u.shape[1]]"  # beyond the taps of the clean mixer


def measured(source: str) -> RawMeasurement:
    bench = Bench(spawner(), source, seconds=20.0, draw=0)
    try:
        return novelty.measure(bench)
    finally:
        bench.close()


@pytest.mark.parametrize("shape", ["d_model", "()"])
def test_a_branch_behind_a_gate_that_starts_shut_is_new(shape: str) -> None:
    """Residuals and scales that begin at zero are usual practice, and a training opens them."""
    known = (Fingerprint(experiment="c1-001", tree="t", outputs=tuple(measured(CLEAN).outputs)),)
    branch = measured(planted(init=SHUT.format(shape=shape), last=f"y = y + self.open * {EARLIER}"))
    assert novelty.judge(branch, GateEvidence(known=known, tree="u")).passed
