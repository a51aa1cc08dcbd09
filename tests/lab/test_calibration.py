"""A scale is measured before anything is promoted on it: noise, best rates, the smallest visible effect."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.calibration import Calibrations, ScaleCalibration, best_rates, calibrated
from move37.lab.errors import LabError
from move37.lab.halving import resolution
from move37.lab.records import BITS_PER_BYTE, Measurement
from move37.lab.scale import CPU, PAPER, SMALL
from move37.lab.statistics.noise import NOISE, noise_of
from move37.lab.tasks.mixers import MixersTask
from move37.lab.training.corpus import Corpus
from tests.builders import a_measurement


def runs(mean: float, sd: float, *, seeds: int = 5, draw: int = 0, rate: float = 1e-2) -> list[Measurement]:
    rng = np.random.default_rng(draw)
    return [a_measurement(value=mean + sd * float(rng.normal()), seed=s, learning_rate=rate) for s in range(seeds)]


def tuning(**best: float) -> dict[str, list[Measurement]]:
    rates = (5e-3, 1e-2, 2e-2)
    return {
        arm: [a_measurement(value=3.0 + abs(np.log(rate / peak)), learning_rate=rate) for rate in rates]
        for arm, peak in best.items()
    }


def a_calibration(sd: float = 0.05, seeds: int = 5) -> ScaleCalibration:
    arms = {name: runs(3.0 + i, sd, draw=i, seeds=seeds) for i, name in enumerate(("gla", "mamba2", "softmax"))}
    return calibrated(SMALL, BITS_PER_BYTE, tuning(gla=5e-3, mamba2=5e-3, softmax=1e-2), arms)


def test_the_best_rate_is_that_of_the_mean_and_each_arm_repeats_at_its_own() -> None:
    own, best = best_rates(BITS_PER_BYTE, tuning(gla=5e-3, mamba2=5e-3, softmax=1e-2))
    assert own == {"gla": 5e-3, "mamba2": 5e-3, "softmax": 1e-2}
    assert best == 5e-3 and a_calibration().edge, "the smallest of those tried: a better one may lie beyond"


@given(st.floats(1e-3, 0.2))
def test_the_noise_that_is_found_is_the_noise_that_was_put_in(sd: float) -> None:
    found = a_calibration(sd, seeds=40)
    assert found.noise.run.sd == pytest.approx(sd, rel=0.25)
    assert found.noise.across.sd == pytest.approx(sd * 2**0.5, rel=0.25)
    assert found.noise.relatives.sd > found.noise.run.sd and found.noise.run.df <= 4.0


def test_fewer_seeds_see_larger_effects_alone() -> None:
    assert a_calibration(seeds=3).detectable > a_calibration(seeds=20).detectable > 0.0


def test_diverged_runs_are_no_noise_and_too_little_is_said() -> None:
    wild = {name: [replace(m, diverged=True) for m in runs(3.0, 0.1)] for name in ("gla", "mamba2")}
    with pytest.raises(LabError, match="cannot be told"):
        calibrated(SMALL, BITS_PER_BYTE, tuning(gla=1e-2, mamba2=1e-2), wild)
    with pytest.raises(LabError, match="no learning rate"):
        best_rates(BITS_PER_BYTE, {"gla": tuning(gla=1e-2)["gla"][:1], "mamba2": tuning(mamba2=1e-2)["mamba2"][1:]})


def test_a_calibration_is_found_for_its_scale_text_and_device_and_no_other(tmp_path: Path) -> None:
    kept = Calibrations.of(tmp_path, corpus="a" * 64)
    assert kept.find(SMALL) is None
    kept.put(a_calibration(0.1))
    kept.put(a_calibration(0.05))
    with kept.path.open("a") as file:
        file.write('{"scale": "cut sho')
    assert kept.find(SMALL) == a_calibration(0.05), "the newest counts, a line cut short does not"
    assert kept.find(PAPER) is None and kept.find(replace(SMALL, steps=SMALL.steps + 1)) is None
    assert kept.find(replace(SMALL, micro_batch=4)) is not None, "how a batch is cut is rounding"
    assert Calibrations.of(tmp_path, corpus="b" * 64).find(SMALL) is None
    assert Calibrations.of(tmp_path, corpus="a" * 64, device="cuda A100").find(SMALL) is None


def a_task(**changes: object) -> MixersTask:
    text = np.zeros(1000, dtype=np.uint8)
    return MixersTask(corpus=Corpus(name="x", sha256="c" * 64, train=text, validation=text), **changes)  # type: ignore[arg-type]


def test_nothing_is_promoted_at_a_scale_that_nobody_measured() -> None:
    for scale in (SMALL, PAPER, replace(CPU, layers=3), replace(CPU, steps=1000)):
        schedule = a_task(scale=scale).schedule("quick")
        assert "move37 calibrate" in schedule.refusal and any(schedule.refusal[1:] in s for s in schedule.shortened)
    assert not a_task().schedule("quick").refusal
    assert a_task(device="cuda H200").schedule("quick").refusal, "the lab measured on CPUs"
    measured = a_task(scale=SMALL, calibration=a_calibration(), calibrated=True)
    assert not measured.schedule("full").refusal
    assert measured.schedule("full").learning_rate == 5e-3
    assert measured.schedule("full").finalist_rates == (2.5e-3, 1e-2)


def test_a_text_of_ones_own_is_calibrated_at_the_default_scale_too(tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text("".join(f"line {n} of a text of one's own\n" for n in range(40_000)))
    task = MixersTask.open(cache=tmp_path, corpus=text)
    assert not task.calibrated and not task.refusal
    found = replace(a_calibration(0.07), scale=CPU.key, steps=CPU.steps)
    task.calibrations(tmp_path).put(found)
    again = MixersTask.open(cache=tmp_path, corpus=text)
    assert again.calibrated and again.calibration == found and again.learning_rate == found.learning_rate
    assert again.digest == task.digest, "measurements that are there stay comparable"


def test_rungs_are_shares_of_a_scales_steps() -> None:
    assert [r.name for r in a_task().schedule("quick").baseline_rungs if r.steps] == ["lm@100", "lm@200", "lm@500"]
    assert [r.steps for r in a_task(scale=SMALL).schedule("full").rungs if r.steps] == [400, 800, 2000]
    assert [r.steps for r in a_task(scale=replace(CPU, steps=2)).schedule("quick").rungs if r.steps] == [1, 2]


def test_another_scale_or_device_is_another_task_and_the_default_keeps_its_name() -> None:
    digests = {a_task(**c).digest for c in ({}, {"scale": SMALL}, {"scale": PAPER}, {"device": "cuda A100"})}
    assert len(digests) == 4 and a_task().digest == "c" * 64


def test_the_noise_that_was_measured_at_a_scale_decides_there() -> None:
    noise = a_calibration(0.2).noise
    there = [a_measurement(calibrated=True, noise=noise, seed=s) for s in range(2)]
    assert noise_of("bits_per_byte", there) == noise
    assert noise_of("bits_per_byte", [*there, a_measurement()]) is None, "two scales have no noise in common"
    assert noise_of("bits_per_byte", [a_measurement()]) == NOISE["bits_per_byte"]
    able = resolution([there], metric=BITS_PER_BYTE, wanted=5, smallest=0.05, confirmation=1)
    assert "none is begun" in able.refusal
