"""A launcher that does not come up: it is ended, and a sandbox that has run before waits for better times."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from move37.sandbox.errors import SandboxBroken, SandboxUnavailable
from move37.sandbox.process import zygote_process
from move37.sandbox.process.zygote_process import ZygoteProcess, ZygoteSettings
from tests.ending import is_running

STARTS = {
    "it says nothing": ("", SandboxUnavailable),
    "it greets with nonsense": (r"printf 'R\000\000\000\002{}'", SandboxBroken),
    "it speaks another language": ("echo GET / HTTP/1.1", SandboxBroken),
}


@pytest.mark.parametrize("start", STARTS)
async def test_a_start_that_fails_leaves_no_process(
    start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says, error = STARTS[start]
    monkeypatch.setattr(zygote_process, "START_SECONDS", 1.0)
    with pytest.raises(error):
        await ZygoteProcess.start(_in_its_place(f"{says}; exec sleep 100", tmp_path))
    assert not is_running(int((tmp_path / "pid").read_text()))


async def test_a_start_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    starting = asyncio.create_task(ZygoteProcess.start(_in_its_place("exec sleep 100", tmp_path)))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not is_running(int((tmp_path / "pid").read_text()))


def _in_its_place(script: str, folder: Path) -> ZygoteSettings:
    script = script.removeprefix("; ")
    return ZygoteSettings(prefix=("sh", "-c", f"echo $$ > {folder}/pid; {script}", "sh"))
