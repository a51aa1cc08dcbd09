"""`--model seat`: turns wait as files, an answer ends the turn that it was written for, and nothing else does."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from move37.agents import campaign
from move37.agents.external import turn_files
from move37.agents.external.prompt import prompt_of
from move37.agents.external.scientist import ExternalScientist
from move37.agents.external.turns import PendingTurns
from move37.agents.models.assignment import ROLES
from move37.lab.archive.store import Archive
from move37.lab.records import Role
from tests.agents.contexts import a_context
from tests.agents.scripted import a_proposal, a_report, accepted, offered, some_code


@asynccontextmanager
async def a_seat(
    home: Path, budget: int = 1, told: Callable[[str], None] = lambda _: None
) -> AsyncIterator[tuple[Archive, asyncio.Task[Any]]]:
    """A campaign whose five roles are filled through files."""
    pending = PendingTurns()
    opened: list[Archive] = []
    chair = ExternalScientist(
        pending, signature="seat", earlier=lambda ident: opened[0].experiment(ident).analysis, every_role=True
    )
    context, _ = a_context(home, budget=budget, workers=1, scientists=dict.fromkeys(ROLES, chair))
    opened.append(context.archive)
    carrier = asyncio.create_task(turn_files.exchange(pending, home, prompt_of, told))
    running = asyncio.create_task(campaign.run(context))
    try:
        yield context.archive, running
    finally:
        for task in (running, carrier):
            task.cancel()
        await asyncio.gather(running, carrier, return_exceptions=True)


async def turn(home: Path, role: str) -> turn_files.Waiting:
    """The role's turn, waited for."""
    async with asyncio.timeout(120):
        while not (found := [t for t in turn_files.waiting(home) if t.role == role]):
            await asyncio.sleep(0.02)
    return found[0]


def written(home: Path, name: str, content: Any) -> Path:
    path = home / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else content.model_dump_json(), encoding="utf-8")
    return path


async def test_one_experiment_by_files_with_a_proposal_that_has_to_be_made_again(tmp_path: Path) -> None:
    told: list[str] = []
    async with a_seat(tmp_path, told=told.append) as (archive, running):
        asked = await turn(tmp_path, "Researcher")
        assert told == ["c1-001 waits for its Researcher: `move37 answer` shows what is asked."]
        assert "A class named Mixer." in asked.prompt and json.loads(asked.file.read_text())["schema"]
        nobody = offered(a_proposal(base="c9-nobody"))
        turn_files.answer(tmp_path, asked.experiment, written(tmp_path, "one.json", nobody))
        again = await turn(tmp_path, "Researcher")  # asked anew, and not answered by the old file
        assert "'c9-nobody' does not exist" in again.prompt
        turn_files.answer(tmp_path, again.experiment, written(tmp_path, "two.json", offered(a_proposal())))
        for role, content in (("Critic", accepted()), ("Engineer", some_code().source), ("Analyst", a_report())):
            asked = await turn(tmp_path, role)
            turn_files.answer(tmp_path, asked.experiment, written(tmp_path, role, content))
        async with asyncio.timeout(120):
            await asyncio.shield(running)  # a promotion's analysis too: its Analyst is not asked again
        (found,) = [e for e in archive.experiments() if e.role is Role.CANDIDATE]
        assert found.hypothesis and found.candidate and found.measurements and found.candidate.author == "seat"
        assert found.analysis is not None
        further = re.findall(r"\S+ [\d.]+ at \d+ steps", found.analysis.seen)
        assert further and len(further) == len(set(further))  # each number once, however often it was analysed
    waited = [line.split(":")[0].split()[-1] for line in told]
    assert waited == ["Researcher", "Researcher", "Critic", "Engineer", "Analyst"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"x" * 2_000_000, "at most 1000000 bytes"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("", "is no Proposals"),
        ("{", "is no Proposals"),
        ("[]", "is no Proposals"),
        ('{"ideas": [{"name": "x"}]}', "ideas.0"),
        ("class Mixer: ...", "is no Proposals"),
        ("{}", "propose one, or set `drop`"),
        ('{"ideas": []}', "propose one, or set `drop`"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_a_sentence_and_the_turn_still_waits(
    content: Any, word: str, tmp_path: Path
) -> None:
    async with a_seat(tmp_path):
        asked = await turn(tmp_path, "Researcher")
        with pytest.raises(turn_files.BadAnswer, match=word) as refused:
            turn_files.answer(tmp_path, asked.experiment, written(tmp_path, "bad", content))
        assert "\n" not in str(refused.value) and len(str(refused.value)) < 1_000
        with pytest.raises(turn_files.NoSuchTurn, match="Researcher"):
            turn_files.answer(tmp_path, "c9-009", written(tmp_path, "good", offered(a_proposal())))
        assert (await turn(tmp_path, "Researcher")).file == asked.file


@pytest.mark.parametrize("role", ["Engineer", "Debugger"])
@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "neither a file"),
        (" \n", "neither a file"),
        ("{}", "neither a file"),
        ("```\n```", "neither a file"),
        ('{"source": "", "edits": []}', "neither a file"),
        (b"x = '\x00'\n", "no Python file can"),
        ("x" * 200_000, "write a smaller file"),
    ],
)
async def test_a_file_that_is_none_is_told_at_once_and_spends_no_turn(
    role: str, content: Any, word: str, tmp_path: Path
) -> None:
    """Sent back by the stage it would have spent one of three answers, and after them the experiment."""
    told = '"diagnosis": "it was empty", ' if role == "Debugger" else ""
    if isinstance(content, str) and content.startswith("{"):
        content = content.replace("{", "{" + told, 1).replace(", }", "}")
    waiting = turn_files.Waiting(experiment="c1-001", role=role, stage="", prompt="", file=tmp_path / "turn.json")
    with pytest.raises(turn_files.BadAnswer, match=word) as refused:
        turn_files._reply(waiting, written(tmp_path, "bad", content))
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 1_000
    given_up = '{"diagnosis": "it cannot pass", "give_up": true}'
    good = given_up if role == "Debugger" else '{"edits": [{"search": "a", "replace": "b"}]}'
    assert turn_files._reply(waiting, written(tmp_path, "good", good))


async def test_of_several_who_answer_one_turn_at_once_one_is_heard_and_each_other_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later one overwrote the earlier, and both were told that they had answered."""
    people = 4
    file = written(tmp_path, "good", offered(a_proposal()))
    read = turn_files._reply
    together = threading.Barrier(people)

    def read_together(turn: turn_files.Waiting, path: Path) -> Any:
        reply = read(turn, path)
        together.wait(60)  # each has found that the turn waits before any has answered
        return reply

    monkeypatch.setattr(turn_files, "_reply", read_together)
    async with a_seat(tmp_path):
        asked = await turn(tmp_path, "Researcher")

        def answered() -> str:
            try:
                return turn_files.answer(tmp_path, asked.experiment, file).role
            except turn_files.NoSuchTurn as late:
                return str(late)

        heard = await asyncio.gather(*(asyncio.to_thread(answered) for _ in range(people)))
        assert heard.count("Researcher") == 1
        assert sum("answered in this moment by somebody else" in said for said in heard) == people - 1
        assert (await turn(tmp_path, "Critic")).experiment == asked.experiment


@pytest.mark.parametrize("kept", ["{}", "[]", '{"ideas": []}', "{", "[" * 99_999])
async def test_an_answer_may_be_kept_in_the_folder_of_the_turns(kept: str, tmp_path: Path) -> None:
    async with a_seat(tmp_path):
        asked = await turn(tmp_path, "Researcher")
        (asked.file.parent / "notes.json").write_text(kept)
        mine = written(asked.file.parent, "mine.json", offered(a_proposal()))
        assert turn_files.answer(tmp_path, asked.experiment, mine).role == "Researcher"
        assert (await turn(tmp_path, "Critic")).experiment == asked.experiment


@pytest.mark.parametrize("other", ["{}x", '{"ideas": 3}', "[1, 2]", '{"accept": "perhaps"}', "[" * 99_999])
async def test_a_file_that_somebody_wrote_past_the_command_ends_nothing(other: str, tmp_path: Path) -> None:
    async with a_seat(tmp_path):
        asked = await turn(tmp_path, "Researcher")
        asked.file.with_name(f"{asked.file.stem}.answer.json").write_text(other)
        await asyncio.sleep(2 * turn_files.POLL_SECONDS)
        asked.file.with_name(f"{asked.file.stem}.answer.json").unlink(missing_ok=True)
        turn_files.answer(tmp_path, asked.experiment, written(tmp_path, "good", offered(a_proposal())))
        assert (await turn(tmp_path, "Critic")).experiment == asked.experiment
