"""A page that is really served, and a real browser in front of it."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

CHROMIUM = "/usr/bin/chromium"
PATIENCE = 120.0  # seconds for anything that a loaded machine may be slow at; what fails earlier fails for a reason
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def a_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(home: Path, *more: str, port: int | None = None) -> Iterator[str]:
    """The address of the page of `home`, as `move37 serve` serves it."""
    port = port or a_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MOVE37_", "PYTEST_", "NICEGUI_"))}
    said = home.parent / "serve.txt"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "move37", "--home", str(home), "serve", "--no-open", "--port", str(port), *more],
            stdout=out,
            stderr=out,
            env=environment,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(address) or process.poll() is not None, PATIENCE)
        assert process.poll() is None, said.read_text()
        yield address
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except HTTPError:
        return True
    except (URLError, OSError):
        return False


def wait_for(happens: Callable[[], Any], seconds: float) -> Any:
    """What `happens` gives, as soon as it gives something: for another process's archive or port, which tell nobody."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := happens():
            return found
        time.sleep(0.2)
    raise AssertionError("it never happened")


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser. Playwright's event loop counts as running until this ends, so it always ends."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS), timeout=PATIENCE * 1000)
        try:
            yield opened
        finally:
            with suppress(Exception):  # it may have died; the loop has to end all the same
                opened.close()


def need_chromium() -> None:
    """Skips where there is no browser; fails in CI, where a page that nobody looked at must not pass."""
    missing = [name for name in ("playwright", "nicegui") if importlib.util.find_spec(name) is None]
    missing += [] if Path(CHROMIUM).exists() else ["chromium"]
    if missing and os.environ.get("CI"):
        pytest.fail(f"{', '.join(missing)} is not installed: bash .ci/browser.sh")
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One a module: where it lived longer, `asyncio.run` of later tests would find a loop that runs."""
    need_chromium()
    with chromium() as opened:
        yield opened
