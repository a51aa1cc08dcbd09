"""The benchmarks' own parts: the path that a card takes runs here, and what we compare with computes the same."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest
import torch

from move37 import kernels
from move37.benchmarks.kernels_baseline import chunk_form
from move37.benchmarks.kernels_cpu import inputs
from tests.kernels.cases import Inputs, relative_rms
from tests.kernels.test_triton import python


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not made for this platform")
def test_the_path_of_a_card_runs_in_the_interpreter(tmp_path):
    """Every kind of row, each a line of JSON on its own, correctness first, and in the file what was printed."""
    out = tmp_path / "rows.jsonl"
    done = python("-m", "move37.benchmarks.kernels", "--dry-run", "--out", str(out), TRITON_INTERPRET="0")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [json.loads(line) for line in out.read_text().splitlines()] == rows
    kinds = list(dict.fromkeys(row["row"] for row in rows))
    assert kinds == ["device", "correct", "speed", "packed", "decode", "memory", "small"]
    assert all(row["passed"] for row in rows if row["row"] == "correct")
    assert not [row for row in rows if "error" in row or "skipped" in row]


def test_rows_after_the_time_is_up_say_so(capsys):
    from move37.benchmarks.kernels_card import CardReport

    report = CardReport(None, seconds=-1.0)
    report.attempt("speed", "gated delta", lambda: pytest.fail("was run"))
    assert json.loads(capsys.readouterr().out) == {"row": "speed", "name": "gated delta", "skipped": "out of time"}


def test_a_row_that_breaks_is_a_row(capsys):
    from move37.benchmarks.kernels_card import CardReport

    report = CardReport(None, seconds=60.0)
    report.attempt("speed", "kda", lambda: {"share": 1 / 0})
    assert "ZeroDivisionError" in json.loads(capsys.readouterr().out)["error"]
    assert report.failed == 1


@pytest.mark.parametrize("by_rows", (True, False))
def test_what_we_compare_with_computes_the_same(by_rows):
    ours: Inputs = dict(inputs(1, 128, 2, 16, "cpu", torch.float32))
    plain = inputs(1, 128, 2, 16, "cpu", torch.float32)
    o, _ = kernels.chunk_gated_delta_rule(**ours)
    wanted = chunk_form(**plain, by_rows=by_rows)
    assert relative_rms(o.detach(), wanted.detach()) < 1e-5
    o.square().sum().backward()
    wanted.square().sum().backward()
    assert all(relative_rms(ours[n].grad, x.grad) < 1e-4 for n, x in plain.items())
