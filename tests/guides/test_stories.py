"""Commands of the pages that need each other: a campaign and who sits down at it, a seat and its answers, an agent."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path

import pytest

from tests.agents.models.server import serving
from tests.agents.scripted import a_proposal, accepted, offered
from tests.agents.test_kill import EVALUATOR, PROGRAM
from tests.guides.conftest import RECORDS, a_folder, surroundings
from tests.guides.pages import ROOT, typed
from tests.guides.terminal import PATIENCE, Typed

pytestmark = pytest.mark.slow
A_PROGRAM = 'task = "program:task"\nworkers = 1\nbudget = 40\n'  # a candidate takes seconds


def a_program_folder(tmp_path: Path, program: str = PROGRAM, evaluator: str = EVALUATOR) -> Path:
    folder = a_folder(tmp_path / "here", settings=A_PROGRAM)
    (folder / "task").mkdir()
    (folder / "task" / "initial_program.py").write_text(program)
    (folder / "task" / "evaluator.py").write_text(evaluator)
    return folder


def ended(line: str, folder: Path) -> str:
    """What the command says when it is done."""
    with Typed(line, folder) as command:
        assert command.ended() == 0, command.said
        return command.said


def wait_for_the_turn(role: str, folder: Path) -> None:
    turn = folder / ".move37" / "seat" / f"c1-001-{role}.json"
    deadline = time.monotonic() + PATIENCE
    while not turn.exists():
        assert time.monotonic() < deadline, role
        time.sleep(0.05)


def test_a_night_is_stopped_resumed_and_attended(tmp_path: Path) -> None:
    folder = a_program_folder(tmp_path)
    with Typed("move37 chat --approve hypotheses", folder) as chat:
        chat.says(r"/approve c1-001")
        with Typed("move37 attach --name ada", folder, terminal=True) as ada:
            ada.says("c1-001")
            ada.hears("/approve c1-001")
            chat.says(r"ada.*approve")
            assert ada.left() == 0, ada.said
        assert chat.interrupted() == 130, chat.said
        assert "move37 resume" in chat.said
    for line, seen in (
        ("move37 resume", r"── searching"),  # what waited for a word, or the next, is under way
        ("move37 resume --chat", r"ada.*approve"),  # who comes back hears the conversation so far
    ):
        with Typed(line, folder) as campaign:
            campaign.says(seen)
            assert campaign.interrupted() == 130, campaign.said
    with serving(lambda _: (200, json.dumps({"ready": True}))) as (url, asked):
        with Typed("move37 resume --model openai:NAME", folder, OPENAI_API_KEY="k", MOVE37_BASE_URL=url) as campaign:
            campaign.says("openai:NAME")
            assert campaign.interrupted() == 130, campaign.said
    assert asked and asked[0]["model"] == "NAME"
    for line in ("python -m benchmarks.loop .move37", "python -m move37.benchmarks.loop .move37"):
        assert "experiments_an_hour" in ended(line, folder)


def test_somebody_answers_for_the_roles(tmp_path: Path) -> None:
    folder = a_program_folder(tmp_path)
    proposal = offered(a_proposal(name="a_step", base="start program", change="y becomes 2"))
    (folder / "proposal.json").write_text(proposal.model_dump_json())
    (folder / "critique.json").write_text(accepted().model_dump_json())
    (folder / "mixer.py").write_text(PROGRAM.replace("y = 1.0", "y = 2.0"))
    with Typed("move37 run --model seat & wait", folder) as campaign:
        wait_for_the_turn("researcher", folder)
        waits = ended("move37 answer", folder)
        assert re.search(r"c1-001\s+Researcher", waits)
        assert len(ended("move37 answer --prompt", folder)) > len(waits) + 200
        for role, line in (
            ("Researcher", "move37 answer c1-001 proposal.json"),
            ("Critic", "move37 answer c1-001 critique.json"),
            ("Engineer", "move37 answer c1-001 mixer.py"),
        ):
            wait_for_the_turn(role.lower(), folder)
            assert f"the {role}'s answer is handed over" in ended(line, folder)
        campaign.says(r"c1-001.*\(\d+ lines of code\)")


def test_a_watchdog_starts_the_agent_until_the_budget_is_spent(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "here")
    (folder / "night-prompt.md").write_text("You are the scientist.\n")
    agent = folder / "bin" / "YOUR-AGENT"
    agent.parent.mkdir()
    record = RECORDS / "2026-11-28-quick-seed-0" / "archive.sqlite"
    agent.write_text(f'#!/bin/sh\necho "$@" >> agent.txt\nmkdir -p night; cp {record} night/\n')
    text = next(line for line in typed() if line.startswith("while ! "))
    with Typed(text.replace(" do ", "\ndo "), folder) as watchdog:
        assert watchdog.ended() == 0, watchdog.said
    assert (folder / "agent.txt").read_text() == "--print You are the scientist.\n"


def test_the_evaluator_of_the_page_judges_a_program(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    shown = re.search(r"^    import importlib.*?(?=\n\n[^ ])", page, re.MULTILINE | re.DOTALL)
    assert shown is not None
    evaluator = "\n".join(line[4:] for line in shown[0].splitlines())
    program = "# EVOLVE-BLOCK-START\ndef predict(inputs):\n    return [x > 2 for x in inputs]\n# EVOLVE-BLOCK-END\n"
    folder = a_program_folder(tmp_path, program, evaluator)
    for name, values in (("data/inputs.json", [1, 2, 3, 4]), ("judge/labels.json", [False, True, True, True])):
        (folder / "task" / name).parent.mkdir()
        (folder / "task" / name).write_text(json.dumps(values))
    with Typed("move37 run --task program:task", folder) as campaign:
        assert "0.75" in campaign.says(r"c1-start_program measured.*\n")[0]
        assert campaign.interrupted() == 130, campaign.said


async def test_an_agent_finds_the_laboratory_behind_mcp(tmp_path: Path) -> None:
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    folder = a_folder(tmp_path / "here")
    environment = surroundings(PYTHONPATH=f"{ROOT / 'src'}:{ROOT}")
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "move37", "mcp", "--budget", "12"], env=environment, cwd=folder
    )
    async with asyncio.timeout(PATIENCE), Client(stdio_client(server)) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        page = (ROOT / "docs" / "mcp.md").read_text(encoding="utf-8")
        assert tools == set(re.findall(r"^\| `(\w+)\(", page, re.MULTILINE))
        while '"opening"' in (told := str((await client.call_tool("status", {})).content)):
            await asyncio.sleep(0.2)
        assert re.search(r"proposals_left\W+12\b", told), told
