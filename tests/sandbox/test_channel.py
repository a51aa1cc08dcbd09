"""The host's end of the wire believes nothing that a worker says without looking."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.sandbox.channel import HEADER, Frames, JobExchange, encode_job, frame, read_greeting
from move37.sandbox.errors import DiskFull, SandboxBroken
from move37.sandbox.job import Job, Limits, Status, left_out_words

JOB = Job(
    id="j", trust="t", argv=("python", "main.py"), collect=("*",), limits=Limits(output_bytes=10, result_bytes=20)
)
END: dict[str, Any] = {
    "id": "j",
    "exit_code": 0,
    "signal": 0,
    "reason": None,
    "out_of_memory": False,
    "wall_seconds": 1.5,
    "cpu_seconds": 1.0,
    "peak_memory_bytes": 5,
    "truncated": False,
    "refused": None,
    "broken": None,
    "left_out": [],
    "left_out_count": 0,
    "files": [],
}


def end(**fields: Any) -> tuple[bytes, bytes]:
    return b"E", json.dumps(END | fields).encode()


def talk(**fields: Any) -> JobExchange:
    return JobExchange(JOB, backend="process", **fields)


@given(st.lists(st.tuples(st.sampled_from([b"1", b"2", b"D"]), st.binary(max_size=50)), max_size=8), st.data())
def test_frames_arrive_whole_however_the_stream_is_cut(sent: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    stream = b"".join(frame(kind, payload) for kind, payload in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    frames = Frames()
    found = [f for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) for f in frames.feed(stream[a:b])]
    assert found == sent


@given(st.binary(max_size=300))
def test_noise_is_an_error_of_ours_or_an_unfinished_frame(noise: bytes) -> None:
    frames, conversation = Frames(), talk()
    try:
        conversation.feed(frames.feed(noise))
    except SandboxBroken:
        return
    assert not noise or noise[:1] in b"S12" or len(noise) < HEADER.size or frames.feed(b"") == []


@given(st.dictionaries(st.sampled_from(["a", "b/c", "d"]), st.binary(max_size=3000)))
def test_a_job_is_encoded_with_all_of_its_files(files: dict[str, bytes]) -> None:
    stream = b"".join(encode_job(Job(id="j", trust="t", argv=("x",), files=files)))
    kind, length = HEADER.unpack_from(stream)
    head = json.loads(stream[HEADER.size : HEADER.size + length])
    assert kind == b"J" and head["files"] == [[name, len(content), False] for name, content in files.items()]


def test_an_outcome_is_complete_with_the_last_byte() -> None:
    conversation = talk()
    assert conversation.feed([(b"S", b"{}"), (b"1", b"out"), (b"2", b"err")]) is None
    assert conversation.feed([end(files=[["a", 3, True], ["b", 2, False]]), (b"D", b"abc")]) is None
    outcome = conversation.feed([(b"D", b"de")])
    assert outcome is not None and outcome.files == {"a": b"abc", "b": b"de"}
    assert (outcome.stdout, outcome.stderr, outcome.status) == (b"out", b"err", Status.DONE)


@given(
    st.lists(
        st.sampled_from(["ok", "a/b", "../evil", "/etc/x", "a\\b", "x\n", "\u202ex", "y" * 300, "a:b"]), unique=True
    )
)
def test_a_name_that_no_file_may_have_is_left_out_and_the_rest_comes(names: list[str]) -> None:
    outcome = talk().feed([end(files=[[name, 1, False] for name in names]), (b"D", b"x" * len(names))])
    assert outcome is not None and outcome.status is Status.DONE
    assert set(outcome.files) == set(names) & {"ok", "a/b", "a:b"}
    assert len(outcome.files) + outcome.left_out_count == len(names) and len(outcome.left_out) == outcome.left_out_count


def test_executable_bits_and_what_was_left_out_are_told() -> None:
    frames = [end(files=[["a", 0, True]], left_out=[["b\x1b", "is a link"]], left_out_count=7)]
    outcome = talk().feed(frames)
    assert outcome is not None and outcome.executables == {"a"} and outcome.left_out_count == 7
    assert list(outcome.left_out) == ["b\u241b"]


def test_output_past_the_limit_is_cut_here_too() -> None:
    outcome = talk().feed([(b"1", b"x" * 8), (b"2", b"y" * 8), end()])
    assert outcome is not None and outcome.truncated and len(outcome.stdout + outcome.stderr) == 10


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"exit_code": 3}, Status.FAILED, 3),
        ({"signal": 15}, Status.FAILED, 143),
        ({"signal": 9}, Status.FAILED, 137),
        ({"signal": 9, "out_of_memory": True}, Status.OUT_OF_MEMORY, 137),
        ({"exit_code": 1, "out_of_memory": True}, Status.FAILED, 1),
        ({"signal": 9, "reason": "timeout"}, Status.TIMED_OUT, 124),
        ({"signal": 9, "reason": "memory"}, Status.OUT_OF_MEMORY, 137),
        ({"signal": 9, "reason": "cancelled"}, Status.CANCELLED, 137),
        ({"refused": "a link"}, Status.RESULTS_REFUSED, 0),
    ],
)
def test_how_a_job_ended(fields: dict[str, Any], status: Status, code: int) -> None:
    outcome = talk().feed([end(**fields)])
    assert outcome is not None and (outcome.status, outcome.exit_code) == (status, code)
    assert bool(outcome.message) == (status is not Status.DONE) and not outcome.files


def test_where_no_cgroup_counts_a_kill_that_was_not_ours_is_memory() -> None:
    outcome = talk(memory_is_counted=False).feed([end(signal=9)])
    assert outcome is not None and outcome.status is Status.OUT_OF_MEMORY


@pytest.mark.parametrize(
    "frames",
    [
        [end(id="another")],
        [end(exit_code="0")],
        [end(files=[["a", 21, False]])],
        [end(files=[["a", -1, False]])],
        [(b"E", b"{")],
        [(b"D", b"early")],
        [end(files=[["a", 1, False]]), (b"1", b"late")],
        [end(broken="no landlock")],
    ],
)
def test_a_worker_that_breaks_the_rules_is_our_error(frames: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(SandboxBroken):
        talk().feed(frames)


def test_no_room_for_the_files_says_so() -> None:
    with pytest.raises(DiskFull, match="do not fit"):
        talk().feed([end(broken="its files cannot be written: No space left on device")])


def test_a_greeting_is_read_or_refused() -> None:
    good = {"pid": 1, "python": "3.11", "torch": None, "warm_seconds": 1.0, "report": {}}
    assert read_greeting(json.dumps(good).encode()).torch is None
    for bad in (b"", b"[]", b"{}", b"\xff"):
        with pytest.raises(SandboxBroken):
            read_greeting(bad)


@pytest.mark.parametrize("status", [Status.TIMED_OUT, Status.OUT_OF_MEMORY])
def test_results_of_a_job_that_was_killed_with_its_worker_are_unknown_not_none(status: Status) -> None:
    outcome = talk().cut_short(status, 1.0)
    assert not outcome.files and outcome.left_out_count == 1 and "killed" in left_out_words(outcome)
    assert not JobExchange(replace(JOB, collect=()), backend="process").cut_short(status, 1.0).left_out_count
