"""The daemon goes away in the middle of a job, and comes back: on a daemon of this test's own, which it may kill.

The image there is the base with our worker and a stand-in for torch: what is tested is who notices what.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from move37.sandbox.docker.backend import DockerSandbox
from move37.sandbox.docker.confinement import ROLE_LABEL
from move37.sandbox.docker.engine import Engine
from move37.sandbox.docker.image import WORKER_FOLDER
from move37.sandbox.docker.settings import DockerSettings
from move37.sandbox.errors import DaemonUnreachable, SandboxBroken
from move37.sandbox.job import Job, Status

pytestmark = [pytest.mark.docker, pytest.mark.slow]

IMAGE = "move37-without-torch:test"
RECIPE = """
FROM move37-base:bookworm-cpu
COPY worker /opt/move37/worker/move37/sandbox/worker
COPY torch.py /usr/lib/python3/dist-packages/torch.py
USER 65534:65534
ENTRYPOINT ["python3", "-E", "-s", "/opt/move37/worker/move37/sandbox/worker/main.py"]
"""
STAND_IN = """
class Thing:
    def __getattr__(self, name): return Thing()
    def __call__(self, *a, **k): return Thing()
__version__ = "stand-in"
def __getattr__(name):
    if name.startswith("__"): raise AttributeError(name)
    return Thing()
"""


class Daemon:
    """A dockerd with everything of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.host = folder, f"unix://{folder}/docker.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # In a network of its own and with a /run/docker of its own: `--bridge none` takes the host's bridge away.
        words = ["unshare", "--net", "--mount", "sh", "-c", 'mount -t tmpfs none /run/docker; exec dockerd "$@"', "sh"]
        words += ["--host", self.host, "--bridge", "none", "--iptables=false", "--shutdown-timeout", "1"]
        for option in ("data-root", "exec-root", "pidfile"):
            words += [f"--{option}", str(self.folder / option)]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 90
        while subprocess.run(["docker", "--host", self.host, "info"], capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline and self.process.poll() is None, (self.folder / "log").read_text()[
                -2000:
            ]
            time.sleep(0.2)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
            self.process = None


def build_stand_in() -> None:
    context = io.BytesIO()
    files = {f"worker/{path.name}": path.read_bytes() for path in WORKER_FOLDER.glob("*.py")}
    files |= {"Dockerfile": RECIPE.encode(), "torch.py": STAND_IN.encode()}
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    words = ["docker", "build", "--quiet", "--network", "none", "--tag", IMAGE, "-"]
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    subprocess.run(words, input=context.getvalue(), check=True, capture_output=True, env=environment)


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs root and dockerd to start a daemon of its own")
    build_stand_in()
    # A short path: a socket's name may have 107 characters, and containerd's lie deep in it.
    short = Path(tempfile.mkdtemp(prefix="m37-"))
    made = Daemon(short)
    made.start()
    saved = subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE)
    subprocess.run(["docker", "--host", made.host, "load"], stdin=saved.stdout, check=True, capture_output=True)
    saved.wait()
    monkeypatch.setenv("DOCKER_HOST", made.host)
    yield made
    made.stop()
    monkeypatch.undo()
    subprocess.run(["docker", "rmi", "--force", IMAGE], capture_output=True, check=False)
    shutil.rmtree(short, ignore_errors=True)


def a_job(code: str) -> Job:
    return Job(id=uuid4().hex, trust="t", argv=("python", "main.py"), files={"main.py": code.encode()})


def once(event: asyncio.Event, runs: list[bytes]) -> Callable[[str, bytes], None]:
    def hear(stream: str, data: bytes) -> None:
        runs.append(data)
        event.set()

    return hear


async def test_no_job_is_lost_silently_or_run_twice_when_the_daemon_restarts(daemon: Daemon):
    sandbox = DockerSandbox(DockerSettings(image=IMAGE, warm=1))
    try:
        heard, runs = asyncio.Event(), list[bytes]()
        running = asyncio.create_task(
            sandbox.run(a_job("import time; print('ran', flush=True); time.sleep(50)"), on_output=once(heard, runs))
        )
        await asyncio.wait_for(heard.wait(), 60)
        await asyncio.to_thread(daemon.stop)
        with pytest.raises((DaemonUnreachable, SandboxBroken), match="in part"):
            await running
        with pytest.raises(DaemonUnreachable, match="start the daemon"):
            await sandbox.run(a_job("print(1)"))
        await asyncio.to_thread(daemon.start)
        outcome = await sandbox.run(a_job("print('again')"))
        assert outcome.status is Status.DONE and outcome.stdout == b"again\n"
        assert runs == [b"ran\n"]
    finally:
        await sandbox.close()
    engine = await Engine.connect()
    assert await engine.containers((ROLE_LABEL,)) == ()
    engine.close()
