"""AutoGen's own programs open an executor in one event loop and use it in another; here no loop is shared."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock

from move37.sandbox.executor import SandboxCodeExecutor
from move37.sandbox.executor import executor as executor_module


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


class Opened:
    """A sandbox that can be closed."""

    def __init__(self, known: list[Opened]) -> None:
        known.append(self)
        self.open = True

    async def close(self) -> None:
        self.open = False


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("starts", [1, 2, 5])
def test_starts_at_once_and_a_stop_between_leave_no_sandbox(
    starts: int, stopped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[Opened] = []
    opening, may_open = threading.Event(), threading.Event()

    async def slowly(*_: object, **__: object) -> Opened:
        opening.set()
        await asyncio.to_thread(may_open.wait)
        return Opened(known)

    async def use(executor: SandboxCodeExecutor) -> list[BaseException | None]:
        starting = [asyncio.create_task(executor.start()) for _ in range(starts)]
        await asyncio.to_thread(opening.wait)
        stopping = [asyncio.create_task(executor.stop())] if stopped else []
        await asyncio.sleep(0)  # until the stop waits for what is being opened
        may_open.set()
        await asyncio.gather(*stopping)
        ends = await asyncio.wait_for(asyncio.gather(*starting, return_exceptions=True), 10.0)
        await executor.stop()
        return ends

    monkeypatch.setattr(executor_module, "open_sandbox", slowly)
    ends = asyncio.run(use(SandboxCodeExecutor(work_dir=tmp_path, sandbox="process")))
    assert not [one for one in known if one.open] and len(known) <= (starts if stopped else 1)
    assert all(isinstance(end, ValueError) for end in ends) if stopped else ends == [None] * starts
