"""A job computes on the card that it was given, else on the CPU; nothing here needs one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from move37.lab.inside import device
from move37.lab.inside.candidate import CPU, Worker
from move37.lab.inside.score import MOST_CUTS, _groups
from tests.lab.inside.mixers import HONEST


def test_without_a_lease_a_job_has_the_cpu_one_thread_and_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert not device.given() and device.threads() == 1
    assert device.chosen() == device.Device() and device.start() == CPU
    assert device.chosen().peak_flops == 0.0


def test_a_leased_card_that_does_not_answer_ends_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1")
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.given() and device.threads() == 4
    with pytest.raises(RuntimeError, match="cannot use it"):
        device.chosen()


def test_asking_whether_a_card_was_given_starts_no_driver() -> None:
    code = "from move37.lab.inside import device; import torch; device.given(); print(torch.cuda.is_initialized())"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    read, write = os.pipe()
    pid = os.posix_spawn(
        sys.executable, [sys.executable, "-c", code], environment, file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)]
    )
    os.close(write)
    os.waitpid(pid, 0)
    assert os.read(read, 100).strip() == b"False"


@pytest.mark.parametrize(
    "model, products, peak",
    [
        ("NVIDIA H200", "bfloat16", 989e12), ("NVIDIA H100 PCIe", "bfloat16", 756e12),
        ("NVIDIA A100-SXM4-80GB", "bfloat16", 312e12), ("Tesla T4", "float32", 0.0), ("", "float32", 0.0),
    ],
)  # fmt: skip
def test_peaks_are_those_of_the_data_sheets_and_unknown_elsewhere(model: str, products: str, peak: float) -> None:
    assert device.peak_of(model, products) == peak


def test_a_mixer_on_another_device_than_its_input_comes_back_to_the_line(tmp_path: Path) -> None:
    """`meta` stands for a card: what arrives is moved there, and a kernel's dispatch is left alone only on the CPU."""
    worker = Worker(torch.device("meta"))
    worker.answer({"do": "load", "source": HONEST, "seed": 0}, [])
    _, values = worker.answer({"do": "build", "d_model": 64, "n_heads": 4, "layers": 1, "dtype": None}, [])
    assert all(v.device.type == "meta" for v in values[:-1]) and values[-1].device.type == "cpu"
    head = {"do": "forward", "layer": 0, "train": True, "mode": "grad", "seed": 1}
    _, (y,) = worker.answer(head, [torch.randn(2, 5, 64)])
    assert y.device.type == "meta" and y.shape == (2, 5, 64)


@pytest.mark.parametrize("length, count", [(1, 3), (2, 3), (128, 512), (256, 256), (2048, 24), (2048, 96)])
def test_a_long_context_is_cut_at_drawn_lengths_and_a_short_one_at_all(length: int, count: int) -> None:
    groups = _groups(count, length)
    cuts = [cut for group in groups for cut, _ in group]
    assert len(set(cuts)) == len(cuts) == min(length, MOST_CUTS) and all(1 <= c <= length for c in cuts)
    for group in groups:
        rows = [int(r) for _, chosen in group for r in chosen]
        assert len(set(rows)) == len(rows), "no process meets a window twice"
