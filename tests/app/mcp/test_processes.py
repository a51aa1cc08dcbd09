"""The server as a process: over stdio with the real sandbox, cut off in the middle; over HTTP with its token."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from move37.app.mcp.incoming import mended
from tests.app.mcp.test_tools import LESSON, WORDS, Agent

TASK = Path(__file__).parents[3] / "lab/tasks/examples/circles"
SOURCE = (TASK / "initial_program.py").read_text()
pytestmark = pytest.mark.slow


def command(home: Path, *more: str) -> list[str]:
    run = ["-m", "move37", "--home", str(home), "mcp", "--task", f"program:{TASK}", "--budget", "3"]
    return [*run, "--sandbox", "process", "--workers", "1", *more]


@asynccontextmanager
async def over_stdio(home: Path) -> AsyncIterator[Agent]:
    server = StdioServerParameters(command=sys.executable, args=command(home), env=dict(os.environ))
    async with Client(stdio_client(server)) as client:
        yield Agent(client)


async def submitted(agent: Agent, number: int) -> str:
    change = f"the inner ring at .2{number}"
    ident = (await agent("propose", name=f"ring_{number}", base="start program", change=change, **WORDS))["proposal"]
    source = SOURCE.replace("0.26", f"0.2{number}")
    await agent("check", source=source)
    await agent("submit", proposal=ident, source=source)
    return str(ident)


async def analysed(agent: Agent, ident: str) -> None:
    while not (waited := await agent("wait", experiment=ident, seconds=45))["needs"]:
        assert "analysis" not in waited
    await agent("analyse", experiment=ident, **LESSON)


async def test_three_experiments_over_stdio_with_a_cut_in_the_middle(tmp_path: Path) -> None:
    async with over_stdio(tmp_path) as agent:
        while (await agent("status"))["state"] != "search":
            await asyncio.sleep(0.2)
        await analysed(agent, await submitted(agent, 1))
        cut = await submitted(agent, 2)
    async with over_stdio(tmp_path) as agent:
        await analysed(agent, cut)
        await analysed(agent, await submitted(agent, 3))
        while (status := await agent("status"))["state"] != "ended":
            assert status["state"] != "trouble", status
            await asyncio.sleep(0.2)
    assert [e["id"] for e in status["experiments"]] == ["c1-001", "c1-002", "c1-003"]
    assert all("value" in e for e in status["experiments"])


def test_a_line_is_mended_and_every_other_one_is_left_as_it_is() -> None:
    half, whole = b'{"a": ["\\ud83d x", {"\\uDC00": 1}]}', b'{"a": "\\ud83d\\ude00 \\\\ud83d"}'
    assert json.loads(mended(half)) == {"a": ["? x", {"?": 1}]}
    assert json.loads(mended(whole)) == json.loads(whole) == {"a": "\U0001f600 \\ud83d"}
    for line in (b"", b"\\ud800 no json", b"\xff\\ud83d", b"[" * 100_000 + b"\\ud83d", b'{"a": 1}'):
        assert mended(line) == line


async def test_whatever_a_client_writes_each_request_is_answered_and_the_server_stays(tmp_path: Path) -> None:
    """Written by hand, as no client of the SDK can: half an emoji anywhere, lines that are no message, a megabyte."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command(tmp_path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdin is not None and process.stdout is not None

    async def ask(line: bytes) -> dict[str, Any]:
        process.stdin.write(line + b"\n")  # type: ignore[union-attr]
        async with asyncio.timeout(120):
            answer: dict[str, Any] = json.loads(await process.stdout.readline())  # type: ignore[union-attr]
        return answer

    about = b'"params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}'
    await ask(b'{"jsonrpc":"2.0","id":1,"method":"initialize",' + about + b"}")
    told = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
    process.stdin.write(b"\n".join([told, b"no message", b"\xff\xfe", b"", b"[" * 10_000, b""]))
    cases = (
        ("recall", b'{"query":"\\ud83d gates"}'),
        ("read_experiment", b'{"id":"\\ud83d"}'),
        ("\\ud83d", b"{}"),
        ("status", b'{"\\ud83d":1}'),
        ("check", b'{"source":"x = 1  # \\ud83d"}'),
        ("wait", b'{"experiment":NaN}'),
        ("check", b'{"source":"' + b"x" * 1_000_000 + b'"}'),
        ("status", b"{}"),
    )
    for number, (tool, given) in enumerate(cases, start=100):
        call = b'{"name":"' + tool.encode() + b'","arguments":' + given + b"}"
        answer = await ask(b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":%s}' % (number, call))
        assert answer["id"] == number and answer["result"]["structuredContent"], answer
    process.stdin.close()
    async with asyncio.timeout(120):
        assert await process.wait() == 0


async def test_http_wants_the_token_of_the_home(tmp_path: Path) -> None:
    import httpx
    from mcp.client.streamable_http import streamable_http_client

    process = await asyncio.create_subprocess_exec(sys.executable, *command(tmp_path, "--port", "0"), stderr=PIPE)
    assert process.stderr is not None
    try:
        said = (await process.stderr.readline()).decode()
        while "http://" not in said:
            said = (await process.stderr.readline()).decode()
        url = next(word.rstrip(",") for word in said.split() if word.startswith("http://"))
        token = (tmp_path / "mcp-token").read_text()
        assert token not in said and (tmp_path / "mcp-token").stat().st_mode & 0o077 == 0
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        async with httpx.AsyncClient() as plain:
            async with asyncio.timeout(120):
                while True:
                    try:
                        assert (await plain.post(url, json=body)).status_code == 401
                        break
                    except httpx.ConnectError:  # it says where it will listen before it does
                        await asyncio.sleep(0.05)
            wrong = {"authorization": "Bearer nonsense"}
            assert (await plain.post(url, json=body, headers=wrong)).status_code == 401
        import httpx2

        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=60) as known:
            async with Client(streamable_http_client(url, http_client=known)) as client:
                assert json.dumps(await Agent(client)("status"))
    finally:
        process.send_signal(signal.SIGTERM)
        await process.communicate()
