"""A recording repeats a run: by experiment, role and turn, whatever the order, failures included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from autogen_core.models import AssistantMessage, LLMMessage, UserMessage

from move37.agents.dossier import Dossier, block
from move37.agents.errors import BadModel, ModelReplyInvalid, ModelUnavailable
from move37.agents.models import open_model, signature
from move37.agents.models.replay import Recorder
from move37.agents.replies import Critique, Proposal
from tests.agents.models.scripted import Texts


def asked(number: int, *before: str) -> list[LLMMessage]:
    opener = UserMessage(content=block(Dossier(number=number, seed=0)), source="Lab")
    return [opener, *(AssistantMessage(content=text, source="Critic") for text in before)]


async def test_replies_come_back_by_experiment_role_and_turn(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    recorder = Recorder(Texts("a", "b", "c", "d"), file)
    await recorder.create(asked(1), json_output=Critique)
    await recorder.create(asked(2), json_output=Critique)
    await recorder.create(asked(1, "a"), json_output=Critique)
    await recorder.create(asked(1), json_output=Proposal)
    replay = open_model(f"replay:{file}")
    assert (await replay.create(asked(1), json_output=Proposal)).content == "d"
    assert (await replay.create(asked(1, "a"), json_output=Critique)).content == "c"
    assert (await replay.create(asked(2), json_output=Critique)).content == "b"
    assert (await replay.create(asked(1), json_output=Critique)).content == "a"
    assert signature(replay) == "replay:run.jsonl (recorded from texts)"


async def test_a_repeated_stage_overwrites_its_reply(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    await Recorder(Texts("lost"), file).create(asked(1), json_output=Critique)
    await Recorder(Texts("kept"), file).create(asked(1), json_output=Critique)
    assert (await open_model(f"replay:{file}").create(asked(1), json_output=Critique)).content == "kept"


async def test_a_failure_is_recorded_and_repeated(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    recorder = Recorder(Texts(ModelReplyInvalid("never valid", text="gibberish")), file)
    with pytest.raises(ModelReplyInvalid):
        await recorder.create(asked(1), json_output=Critique)
    with pytest.raises(ModelReplyInvalid, match="never valid") as caught:
        await open_model(f"replay:{file}").create(asked(1), json_output=Critique)
    assert caught.value.text == "gibberish"


async def test_a_line_that_a_kill_left_half_written_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    await Recorder(Texts("a"), file).create(asked(1), json_output=Critique)
    with file.open("a") as out:
        out.write('{"number": 2, "ro')
    assert (await open_model(f"replay:{file}").create(asked(1), json_output=Critique)).content == "a"
    await Recorder(Texts("b"), file).create(asked(2), json_output=Critique)
    assert [json.loads(line)["reply"] for line in file.read_text().splitlines()] == ["a", "b"]


async def test_past_its_end_it_says_how_to_replay(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    await Recorder(Texts("a"), file).create(asked(1), json_output=Critique)
    with pytest.raises(ModelUnavailable, match="experiment 7"):
        await open_model(f"replay:{file}").create(asked(7), json_output=Critique)


@pytest.mark.parametrize("content", [b"", b"not json\n{}\n", b"\xff\xfe", b'{"number": 1}\n{"number": 1}\n'])
def test_what_is_no_recording_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_bytes(content)
    with pytest.raises(BadModel):
        open_model(f"replay:{file}")


def test_a_missing_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="cannot read"):
        open_model(f"replay:{tmp_path / 'none.jsonl'}")
