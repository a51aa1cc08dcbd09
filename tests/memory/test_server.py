"""A Qdrant server by URL, over HTTP: the whole memory, its command, and a server that says no or goes away."""

from __future__ import annotations

from pathlib import Path

import pytest

from move37.memory import MemoryUnavailable, RecordedPrinciple, open_memory
from move37.memory.embedder_protocol import Embedder
from move37.memory.errors import ServerRefused
from tests.memory.conftest import a_lesson, an_entry
from tests.memory.qdrant_http import KEY, served
from tests.memory.test_command import Shell


async def test_a_campaigns_memory_lives_on_a_server(tmp_path: Path, embedder: Embedder):
    with served() as url:
        memory = open_memory(tmp_path, url=url, api_key=KEY, embedder=embedder)
        memory.index().put_entries([an_entry(task="mixers"), an_entry(key="else", task="program", insight="Pack it.")])
        await memory.remember(a_lesson())
        await memory.remember_principle(RecordedPrinciple(id="1", text="Gates help.", task="mixers"))
        found = await memory.recall("the loss oscillates without forgetting", task="mixers", k=6)
        assert {item.key for item in found} == {"2400.00001", "exp-1", "1"}
        end = await memory.is_dead_end("x", gained=("beta_two",), family="delta", task="mixers")
        assert [one.key for one in end.lost] == ["exp-1"]
        await memory.close()
        again = open_memory(tmp_path, url=url, api_key=KEY, embedder=embedder)
        assert [one.text for one in await again.principles()] == ["Gates help."]
        await again.close()


async def test_a_server_that_refuses_or_goes_away_loses_no_lesson(tmp_path: Path, embedder: Embedder):
    with served() as url:
        wrong = open_memory(tmp_path, url=url, api_key="wrong", embedder=embedder)
        with pytest.raises(ServerRefused, match="QDRANT_API_KEY"):
            await wrong.recall("loss")
        memory = open_memory(tmp_path, url=url, api_key=KEY, embedder=embedder)
        await memory.remember(a_lesson())
    await memory.remember(a_lesson(experiment="late"))
    with pytest.raises(MemoryUnavailable):
        await memory.recall("loss")
    assert len(memory.outbox) == 1


def test_the_command_fills_searches_and_migrates_to_a_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    shell = Shell(tmp_path / "home", capsys)
    notes = tmp_path / "notes.txt"
    notes.write_text("Gates near one keep what is old.")
    assert shell("add", str(notes)) == 0
    with served() as url:
        monkeypatch.setenv("QDRANT_API_KEY", KEY)
        assert shell("migrate", url) == 0, shell.err
        assert "cognition: 1 items there" in shell.out
        monkeypatch.setenv("MOVE37_MEMORY__URL", url)
        (answer,) = shell.json("search", "gates near one")
        assert answer["hits"][0]["key"] == "notes"
        assert shell.json("stats")["cognition"]["insights"] == 1
