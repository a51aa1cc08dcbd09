"""Judgements are pure: numbers in, a result with a sentence out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from move37.lab.gates import causality, complexity, novelty, parameters, truncation
from move37.lab.gates.gate import NOT_FINITE, Gate, GateEvidence, RawMeasurement, failed
from move37.lab.gates.registry import GATES, NAMES
from move37.lab.judging.checked import Fingerprint
from move37.lab.judging.judging import judge_all, refused
from move37.lab.judging.reports import Death, read_reports
from move37.sandbox.job import Outcome, Status

FOUND_NO_NUMBERS = ("causality", "truncation", "batch", "purity", "dead_parameters", "dtype", "determinism")


def a_number(value: float, **numbers: float) -> RawMeasurement:
    return RawMeasurement(value=value, numbers=numbers)


def an_outcome(*lines: object, status: Status = Status.DONE, stderr: bytes = b"") -> Outcome:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return Outcome(job="j", status=status, exit_code=0, stdout=text.encode(), stderr=stderr)


def test_the_names_and_their_order_are_the_interface() -> None:
    assert NAMES == (
        "import", "shape", "finite", "causality", "truncation", "batch", "purity", "dead_parameters", "parameters",
        "complexity", "dtype", "determinism", "novelty",
    )  # fmt: skip


def test_reading_the_future_fails_causality() -> None:
    result = causality.judge(a_number(0.3), GateEvidence())

    assert result.passed is False
    assert "future" in result.message


def test_what_rounding_moves_is_no_leak_however_much_a_candidate_amplifies_it() -> None:
    assert causality.judge(a_number(1e-3, roundoff=1e-4), GateEvidence()).passed
    assert causality.judge(a_number(0.1, roundoff=1e-2), GateEvidence()).passed is False


def test_a_length_is_not_judged_while_the_future_leaks() -> None:
    leaking = GateEvidence(results={"causality": failed("causality", 1.0, 1e-4, "leaks")})

    assert truncation.judge(a_number(0.5), leaking).passed is None
    assert truncation.judge(a_number(0.5), GateEvidence()).passed is False


def test_weights_of_eight_bytes_a_number_are_too_many() -> None:
    assert parameters.judge(a_number(1000, bytes=4 * 1050), GateEvidence(baseline_parameters=1000)).passed
    assert parameters.judge(a_number(1000, bytes=4 * 1051), GateEvidence(baseline_parameters=1000)).passed is False


@pytest.mark.parametrize("other", ["causality", "purity", "determinism"])
def test_a_length_is_judged_once_what_explains_it_is_mended(other: str) -> None:
    shut = GateEvidence(results={other: failed(other, 1.0, 0.0, "x")})
    assert truncation.judge(a_number(0.5), shut).passed is None


@pytest.mark.parametrize("count, passes", [(1049, True), (1050, True), (1051, False)])
def test_a_mixer_may_have_five_percent_more_parameters(count: int, passes: bool) -> None:
    assert parameters.judge(a_number(count), GateEvidence(baseline_parameters=1000)).passed is passes


def test_only_the_exempt_baseline_may_be_quadratic() -> None:
    assert complexity.judge(a_number(1.9), GateEvidence()).passed is False
    assert complexity.judge(a_number(1.9), GateEvidence(exempt_quadratic=True)).passed


def test_time_is_held_against_a_mixer_only_when_ratio_and_excess_are_large() -> None:
    def judged(long: float, short: float) -> bool | None:
        return complexity.judge(a_number(1.0, long=long, short=short, start=0.1), GateEvidence()).passed

    assert judged(0.25, 0.22)
    assert judged(0.21, 0.12)  # a ratio of five, from noise
    assert judged(2.2, 1.1)  # twice the time: caches
    assert judged(1.5, 0.2) is False


def test_without_an_archive_there_is_nothing_to_be_new_against() -> None:
    assert novelty.judge(RawMeasurement(value=0.0, outputs=(1.0,)), GateEvidence()).passed is None
    known = (Fingerprint(experiment="c1-003", tree="t", outputs=(1.0, 2.0)),)
    same = novelty.judge(RawMeasurement(value=0.0, outputs=(1.0, 2.0001)), GateEvidence(known=known, tree="u"))
    assert same.passed is False
    assert "c1-003" in same.message
    assert novelty.judge(RawMeasurement(value=0.0, outputs=(1.0, 2.1)), GateEvidence(known=known, tree="u")).passed
    assert novelty.judge(RawMeasurement(value=0.0, outputs=(1.0,)), GateEvidence(known=known, tree="u")).passed, "older"


def test_an_exception_everywhere_is_one_failed_gate() -> None:
    raws = {name: RawMeasurement(crash="RuntimeError: no", traceback="line 3") for name in NAMES[1:]}
    raws["import"] = RawMeasurement(value=0.0)

    results = judge_all(raws, {}, GateEvidence())

    assert [r.name for r in results if r.passed is False] == ["shape"]
    assert results[1].traceback == "line 3"


def test_a_refused_file_fails_import_and_leaves_the_rest_null() -> None:
    results = refused("not Python: line 1")

    assert [r.passed for r in results] == [False] + [None] * (len(GATES) - 1)


def test_a_gate_that_took_its_process_with_it_fails_with_its_last_words() -> None:
    outcome = an_outcome(
        {"gate": "shape", "starts": True},
        {"gate": "shape", "raw": {"value": 0.0}},
        {"gate": "finite", "starts": True},
        status=Status.OUT_OF_MEMORY,
    )
    reports = read_reports(outcome)

    assert reports.raws.keys() == {"shape"} and not reports.whole
    assert reports.deaths == {
        "finite": Death(gate="finite", sentence="it ran out of memory (peak 0 MiB)", traceback="")
    }


def test_half_a_surrogate_in_a_candidates_exception_is_told_without_it() -> None:
    raw = {"value": None, "crash": "ValueError: \ud83d"}
    reports = read_reports(an_outcome({"gate": "shape", "starts": True}, {"gate": "shape", "raw": raw}))
    assert reports.raws["shape"].crash == "ValueError: ?"


def test_a_process_that_ended_in_a_gate_is_that_gates_death_and_the_next_one_goes_on() -> None:
    reports = read_reports(
        an_outcome(
            {"missing": ["Landlock"]},
            {"gate": "shape", "starts": True},
            {"gate": "shape", "died": "it ended", "traceback": "line 3"},
            {"gate": "finite", "starts": True},
            {"gate": "finite", "raw": {"value": 0.0}},
        )
    )
    assert reports.deaths.keys() == {"shape"} and reports.raws.keys() == {"finite"}
    assert reports.whole and reports.missing == ("Landlock",)


@settings(max_examples=25)  # nested values are dear to draw
@given(
    st.lists(
        st.one_of(
            st.text(),
            st.recursive(
                st.none() | st.floats() | st.text(),
                lambda c: (
                    st.lists(c)
                    | st.dictionaries(
                        st.sampled_from(["gate", "starts", "died", "missing", "raw", "value", "numbers", "outputs"]), c
                    )
                ),
            ),
        )
    )
)
def test_lines_that_are_no_reports_break_nothing(lines: list[object]) -> None:
    reports = read_reports(an_outcome(*lines))

    assert judge_all(reports.raws, {}, GateEvidence())


@pytest.mark.parametrize("gate", [gate for gate in GATES if gate.name in FOUND_NO_NUMBERS], ids=lambda gate: gate.name)
def test_a_gate_that_found_no_numbers_fails_unless_finite_says_so(gate: Gate) -> None:
    def judged(finite: float) -> bool | None:
        raws = {"finite": a_number(finite), gate.name: NOT_FINITE}
        return next(r for r in judge_all(raws, {}, GateEvidence()) if r.name == gate.name).passed

    assert judged(0.0) is False and judged(1.0) is None
