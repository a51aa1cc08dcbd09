"""A loop's log: worthless streams lose their gains, true ones keep them, and broken tables are refused in one line."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.audit.log_tables import CRASHED, DISCARDED, KEPT, RISING, VALUES, LoggedRun, decoded, read_log
from move37.lab.audit.logs import as_record, audit_log, log_text
from move37.lab.errors import BadCandidate

HEAD = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"


def a_stream(rng: np.random.Generator, runs: int, gain: float = 0.0) -> list[LoggedRun]:
    """Keep if lower, over ideas of which each third is worth `gain`."""
    level = best = 1.0
    found = [LoggedRun(name="baseline", value=level, kept=True)]
    for n in range(runs):
        truth = level - (gain if n % 3 == 0 else 0.0)
        value = truth + 0.001 * rng.standard_normal()
        kept = value < best
        if kept:
            level, best = truth, value
        found.append(LoggedRun(name=f"run {n}", value=value, kept=kept))
    return found


def test_a_worthless_stream_keeps_nothing_and_a_true_one_most() -> None:
    rng = np.random.default_rng(3)
    null = [audit_log(a_stream(rng, 100), noise=0.001) for _ in range(200)]
    assert np.mean([found.survive > 0 for found in null]) <= 0.06
    assert np.mean([found.kept for found in null]) > 3
    true = audit_log(a_stream(rng, 30, gain=0.01), noise=0.001)
    assert true.survive >= 8


def test_the_noise_is_read_off_discarded_runs_from_above() -> None:
    rng = np.random.default_rng(5)
    found = audit_log(a_stream(rng, 200))
    assert found.estimated and found.noise is not None and found.noise >= 0.0005
    assert "upper bound" in log_text(found)
    assert audit_log(a_stream(rng, 2)).noise is None and "--noise" in log_text(audit_log(a_stream(rng, 2)))


def test_a_results_table_is_read() -> None:
    text = (
        HEAD
        + "a1\t0.9979\t44.0\tkeep\tbaseline\nb2\t0.9970\t44.0\tkeep\tlr\n"
        + "c3\t0.0\t0.0\tcrash\tOOM\nd4\t1.1\t44\tdiscard\tx\n"
    )
    runs = read_log(text)
    assert [r.kept for r in runs] == [True, True, False, False] and math.isnan(runs[2].value)
    found = audit_log(runs, noise=0.0012)
    assert (found.runs, found.crashed, found.kept, found.survive) == (4, 1, 1, 0)
    assert found.gain == pytest.approx(0.0009)


def test_a_rising_score_is_a_gain_too() -> None:
    runs = read_log("status,score\nkeep,0.5\nkeep,0.9\n")
    assert audit_log(runs, noise=0.01).survive == 1


@pytest.mark.parametrize("text", ["", "a\tb\n1\t2\n", "status\nkeep\n", HEAD, HEAD + "a\tnan\t1\tkeep\tx\n", "\0\0"])
def test_what_is_no_log_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadCandidate) as error:
        read_log(text)
    assert "\n" not in str(error.value)


def test_a_run_that_exploded_leaves_an_answer_that_is_json() -> None:
    log = "status\tloss\nkeep\t1e308\nkeep\t2\nkeep\t-1e308\nkeep\t1\n"
    record = as_record(audit_log(read_log(log), noise=0.1))
    assert json.dumps(record, allow_nan=False) and (record["crashed"], record["gain"]) == (2, 1.0)


@given(st.lists(st.tuples(st.floats(allow_nan=True), st.booleans()), min_size=1, max_size=30), st.floats(1e-6, 10))
def test_any_log_has_a_finite_answer(lines: list[tuple[float, bool]], noise: float) -> None:
    runs = [LoggedRun(name=str(n), value=v, kept=k and math.isfinite(v)) for n, (v, k) in enumerate(lines)]
    if not any(math.isfinite(r.value) for r in runs):
        return
    record = as_record(audit_log(runs, noise=noise))
    assert 0 <= record["survive"] <= record["kept"]  # type: ignore[operator]


FIVE = "".join(f"{0.99 + n / 1000}\tdiscard\n" for n in range(5))


@pytest.mark.parametrize("status", [*CRASHED, "crashed", "failed: CUDA", "OOM", "", "???"])
@pytest.mark.parametrize("column", VALUES)
def test_a_zero_where_a_loss_is_due_is_no_perfect_run(status: str, column: str) -> None:
    found = audit_log(read_log(f"{column}\tstatus\n1.0\tkeep\n0.000000\t{status}\n{FIVE}"))
    fell = column not in RISING
    assert found.gain <= 0.02 or not fell
    assert found.crashed == (1 if fell or any(word in status.lower() for word in CRASHED) else 0)


@pytest.mark.parametrize("written", ["99.3%", "1,234.5", "0,99", "n/a", "better", "", "0.9 (best)"])
def test_a_number_that_cannot_be_read_is_told_and_not_called_a_crash(written: str) -> None:
    text = log_text(audit_log(read_log(f"val_bpb\tstatus\n1.0\tkeep\n{written}\tkeep\n{FIVE}")))
    assert not written or f"cannot be read ('{written}')" in text
    for said in ("nan", "inf", "-inf", "1e300"):
        assert "cannot be read" not in log_text(
            audit_log(read_log(f"val_bpb\tstatus\n1.0\tkeep\n{said}\tdiscard\n{FIVE}"))
        )


@pytest.mark.parametrize("status", ["keep (merged)", "maybe", "", "running"])
def test_a_status_that_means_nothing_here_is_told(status: str) -> None:
    text = log_text(audit_log(read_log(f"val_bpb\tstatus\n1.0\tkeep\n0.9\t{status}\n{FIVE}")))
    assert f"counted as discarded: '{status or 'none'}'" in text
    for known in (*KEPT, *DISCARDED, *CRASHED):
        assert "counted as" not in log_text(audit_log(read_log(f"val_bpb\tstatus\n1.0\tkeep\n0.9\t{known}\n{FIVE}")))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lines_may_end_as_on_any_system(end: str, encoding: str) -> None:
    plain = f"val_bpb\tstatus\n1.0\tkeep\n0.9\tkeep\n{FIVE}"
    assert read_log(decoded(plain.replace("\n", end).encode(encoding))) == read_log(plain)


def test_discarded_runs_that_are_all_alike_say_nothing_about_noise() -> None:
    found = audit_log(read_log("val_bpb\tstatus\n1.0\tkeep\n0.9\tkeep\n" + "1.0\tdiscard\n" * 9))
    assert found.noise is None and "not known" in log_text(found) and as_record(found)["noise"] is None
