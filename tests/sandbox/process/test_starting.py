"""A launcher that does not come up: it is ended, and a sandbox that has run before waits for better times."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from move37.sandbox.errors import SandboxBroken, SandboxUnavailable
from move37.sandbox.process import zygote_process
from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import ZygoteProcess, ZygoteSettings
from tests.ending import is_running
from tests.sandbox.jobs import program

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


SHORTAGES = {
    "the launcher dies": 'test -e {0}/short && exit 1; exec "$@"',
    "the launcher is killed": 'test -e {0}/short && kill -9 $$; exec "$@"',
    "the launcher is slow": 'test -e {0}/short && exec sleep 100; exec "$@"',
    "no descriptor is free": 'exec "$@"',
}


@pytest.mark.parametrize("shortage", SHORTAGES)
async def test_a_shortage_is_for_good_at_the_first_start_and_passing_later(
    shortage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _in_its_place(SHORTAGES[shortage].format(tmp_path), tmp_path)
    settings = replace(settings, warm=False, namespaces=False)
    async with ProcessSandbox(1, settings=settings) as sandbox:
        with _short(shortage, tmp_path, monkeypatch), pytest.raises(SandboxUnavailable):
            await sandbox.run(program("print(1)"))
        assert (await sandbox.run(program("print(1)"))).stdout == b"1\n"
        for zygote in sandbox._all:
            await zygote.end()
        with _short(shortage, tmp_path, monkeypatch), pytest.raises(SandboxBroken):
            await sandbox.run(program("print(1)"))
        assert (await sandbox.run(program("print(1)"))).stdout == b"1\n"


@contextmanager
def _short(shortage: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    (folder / "short").touch()
    with patch.context() as patched:
        if "slow" in shortage:
            patched.setattr(zygote_process, "START_SECONDS", 0.3)
        if "descriptor" in shortage:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    (folder / "short").unlink()


def _in_its_place(script: str, folder: Path) -> ZygoteSettings:
    script = script.removeprefix("; ")
    return ZygoteSettings(prefix=("sh", "-c", f"echo $$ > {folder}/pid; {script}", "sh"))
