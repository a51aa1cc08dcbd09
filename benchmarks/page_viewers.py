"""What viewers of the page cost: CPU seconds of the page's process, and the slowdown of work beside it.

    python -m benchmarks.page_viewers --viewers 20 --seconds 30

A home with one campaign is written to all the while, as a campaign does: ten points of a training curve and one line of
conversation a second. Viewers are real sessions of the page (HTTP, then its websocket), half on Now, half on the
leaderboard. Beside it runs a loop of matrix products; its throughput without and with viewers, in turn, is compared, so
that what else the machine does falls out of the ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import socketio

from move37.lab.archive.live import Recorder
from move37.lab.archive.message import Message
from move37.lab.archive.store import Archive, now

ROUNDS = 2  # of both
# Seconds until the page forgets who has left: it waits for them to come back (`reconnect_timeout`, app/page/server.py),
# and until then they cost as before. Counted as "without viewers" they once hid half of what viewers cost.
FORGOTTEN = 35.0


def _home(folder: Path) -> Path:
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from tests.app.campaigns import a_whole_campaign

    a_whole_campaign(folder / "home", finished=False)
    return folder / "home"


class Writing(threading.Thread):
    """A campaign as far as its archive is concerned."""

    def __init__(self, home: Path) -> None:
        super().__init__(daemon=True)
        self._home = home
        self.over = threading.Event()

    def run(self) -> None:
        """Until `over`."""
        step = 0
        with Archive.open(self._home) as archive, Recorder(self._home, 1) as recorder:
            recorder.state(running=True, phase="search", active={"c1-001": {"stage": "lm@500", "speaking": ""}})
            while not self.over.wait(0.1):
                step += 10
                recorder.point("c1-001", "lm@500", step // 500, step % 500, 3.0)
                if step % 100 == 0:
                    said = Message(source="Critic", to="Lab", text=f"line {step}", at=now(), experiment="c1-001")
                    archive.say(1, said)


def products(seconds: float) -> float:
    """Matrix products a second of one thread."""
    a = np.random.default_rng(0).normal(size=(256, 256))
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        a = np.tanh(a @ a.T / 256)
        count += 1
    return count / seconds


async def apart(seconds: float) -> float:
    """`products` in a process of its own: the viewers live in this one."""
    code = f"from benchmarks.page_viewers import products; print(products({seconds}))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return float(out)


def cpu_seconds(process: int) -> float:
    """User and system time so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(process: int) -> int:
    """Memory in use."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def viewer(address: str, section: str) -> socketio.AsyncClient:
    """One session as a browser opens it."""
    page = await asyncio.to_thread(lambda: urlopen(f"{address}/c/1/{section}").read().decode())
    found = re.search(r"'client_id': '([\w-]+)'", page)
    assert found is not None
    ident = found.group(1)
    query = {"implicit_handshake": "true", "client_id": ident, "document_id": ident, "tab_id": ident, "old_tab_id": ""}
    query["next_message_id"] = "0"
    text = "&".join(f"{k}={v}" for k, v in query.items())
    client = socketio.AsyncClient()
    headers = {"Origin": address}
    place = "/_nicegui_ws/socket.io"
    await client.connect(f"{address}?{text}", headers=headers, socketio_path=place, transports=["websocket"])
    return client


async def measure(address: str, process: int, viewers: int, seconds: float) -> dict[str, float]:
    """Throughput and CPU without and with viewers, in turn."""
    alone, beside, idle_cpu, busy_cpu = [], [], [], []
    for _ in range(ROUNDS):
        before = cpu_seconds(process)
        alone.append(await apart(seconds))
        idle_cpu.append(cpu_seconds(process) - before)
        clients = [await viewer(address, "now" if i % 2 else "board") for i in range(viewers)]
        await asyncio.sleep(3.0)
        before = cpu_seconds(process)
        beside.append(await apart(seconds))
        busy_cpu.append(cpu_seconds(process) - before)
        for client in clients:
            await client.disconnect()
        await asyncio.sleep(FORGOTTEN)
    return {
        "viewers": viewers,
        "page_cpu_share_idle": round(sum(idle_cpu) / (ROUNDS * seconds), 4),
        "page_cpu_share_with_viewers": round(sum(busy_cpu) / (ROUNDS * seconds), 4),
        "throughput_ratio": round(sum(beside) / sum(alone), 4),
        "page_memory_mb": round(resident_bytes(process) / 1e6, 1),
    }


def main() -> None:
    """Serve, view, print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = _home(Path(folder))
        writing = Writing(home)
        writing.start()
        command = [sys.executable, "-m", "move37", "--home", str(home), "serve", "--no-open", "--port", "8099"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MOVE37_")}
        served = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            _wait("http://127.0.0.1:8099")
            found = asyncio.run(measure("http://127.0.0.1:8099", served.pid, given.viewers, given.seconds))
            print(json.dumps(found))
        finally:
            served.terminate()
            served.wait()
            writing.over.set()
            writing.join()


def _wait(address: str) -> None:
    for _ in range(120):
        try:
            urlopen(address).read()
            return
        except OSError:
            time.sleep(0.5)
    raise SystemExit("the page did not come up")


if __name__ == "__main__":
    main()
