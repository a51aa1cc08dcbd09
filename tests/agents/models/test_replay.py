"""A recording repeats a run: by experiment, role and turn, whatever the order, failures included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from autogen_core import FunctionCall
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, UserMessage

from move37.agents.errors import BadModel, ModelReplyInvalid, ModelUnavailable
from move37.agents.models import open_model, signature
from move37.agents.models.client import CALL, NOTHING, CallKey
from move37.agents.models.replay import RecordingClient
from move37.agents.replies import Critique
from tests.agents.models.scripted import Texts

SAID: list[LLMMessage] = [UserMessage(content="The stage opens.", source="Lab")]


def calling(number: int, role: str = "Critic", turn: int = 0, stage: str = "hypothesis") -> None:
    """What metering does before each call."""
    CALL.set(CallKey(number=number, stage=stage, role=role, turn=turn))


async def ask(client: ChatCompletionClient, *call: Any) -> Any:
    calling(*call)
    return (await client.create(SAID, json_output=Critique)).content


async def test_replies_come_back_by_experiment_role_and_turn(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    recorder = RecordingClient(Texts("a", "b", "c", "d", "e"), file)
    calls = [(1,), (2,), (1, "Critic", 1), (1, "Researcher"), (1, "Critic", 0, "analysis")]
    for call in calls:
        await ask(recorder, *call)
    replay = open_model(f"replay:{file}")
    assert [await ask(replay, *call) for call in reversed(calls)] == ["e", "d", "c", "b", "a"]
    assert signature(replay) == "replay:run.jsonl (recorded from texts)"


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0c", "\x1c", "\r"])
async def test_a_reply_may_hold_what_ends_a_line_elsewhere(sign: str, tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    recorder = RecordingClient(Texts(f"one{sign}two", "last"), file)
    await ask(recorder, 1)
    await ask(recorder, 2)
    assert await ask(open_model(f"replay:{file}"), 1) == f"one{sign}two"


async def test_a_repeated_stage_overwrites_its_reply(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    await ask(RecordingClient(Texts("lost"), file), 1)
    await ask(RecordingClient(Texts("kept"), file), 1)
    assert await ask(open_model(f"replay:{file}"), 1) == "kept"


async def test_a_failure_is_recorded_and_repeated(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    recorder = RecordingClient(Texts(ModelReplyInvalid("never valid", text="gibberish")), file)
    with pytest.raises(ModelReplyInvalid):
        await ask(recorder, 1)
    with pytest.raises(ModelReplyInvalid, match="never valid") as caught:
        await ask(open_model(f"replay:{file}"), 1)
    assert caught.value.text == "gibberish"


async def test_a_line_that_a_kill_left_half_written_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    await ask(RecordingClient(Texts("a"), file), 1)
    with file.open("a") as out:
        out.write('{"number": 2, "ro')
    assert await ask(open_model(f"replay:{file}"), 1) == "a"
    await ask(RecordingClient(Texts("b"), file), 2)
    assert [json.loads(line)["reply"] for line in file.read_text().splitlines()] == ["a", "b"]


async def test_past_its_end_it_says_how_to_replay(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    await ask(RecordingClient(Texts("a"), file), 1)
    with pytest.raises(ModelUnavailable, match="experiment 7"):
        await ask(open_model(f"replay:{file}"), 7)


@pytest.mark.parametrize("content", [b"", b"not json\n{}\n", b"\xff\xfe", b'{"number": 1}\n{"number": 1}\n'])
def test_what_is_no_recording_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_bytes(content)
    with pytest.raises(BadModel):
        open_model(f"replay:{file}")


def test_a_missing_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="cannot read"):
        open_model(f"replay:{tmp_path / 'none.jsonl'}")


async def test_calls_of_tools_are_recorded_and_repeated(tmp_path: Path) -> None:
    class Calling(Texts):
        async def create(self, messages: Any, **_: Any) -> CreateResult:
            call = FunctionCall(id="1", name="recall", arguments="{}")
            return CreateResult(finish_reason="function_calls", content=[call], usage=NOTHING, cached=False)

    file = tmp_path / "run.jsonl"
    await ask(RecordingClient(Calling("unused"), file), 1)
    (call,) = await ask(open_model(f"replay:{file}"), 1)
    assert (call.name, call.arguments) == ("recall", "{}")
