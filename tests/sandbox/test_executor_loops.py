"""AutoGen's own programs open an executor in one event loop and use it in another; here no loop is shared."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock

from move37.sandbox.executor import SandboxCodeExecutor


def printed(executor: SandboxCodeExecutor, what: str) -> str:
    """What a block prints, run in an event loop of its own."""
    block = CodeBlock(code=f"print({what})", language="python")
    return asyncio.run(executor.execute_code_blocks([block], CancellationToken())).output


@pytest.mark.usefixtures("cold")
def test_one_executor_serves_several_event_loops(tmp_path: Path) -> None:
    """Opened in a loop, used in another, closed in a third."""
    executor = SandboxCodeExecutor(work_dir=tmp_path, bind_dir="/elsewhere", sandbox="process")
    asyncio.run(executor.start())
    assert [printed(executor, str(number)) for number in range(3)] == ["0\n", "1\n", "2\n"]
    asyncio.run(executor.stop())
    assert executor.bind_dir == executor.work_dir == tmp_path
    asyncio.run(executor.start())
    assert printed(executor, "'again'") == "again\n"
    asyncio.run(executor.stop())
