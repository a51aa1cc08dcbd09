"""compose.yaml: parsed by the compose that Debian carries, and started for real.

Qdrant's own image comes from a registry, which CI does not reach: it is left out there, and the worker's memory is the
embedded engine. Everything else is what a person gets: the proxy before the engine, and a worker without its socket.
Where Compose v2 is installed (`docker compose`), it has to agree; Debian 12 has no package of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "QDRANT_API_KEY": "a-secret-of-the-test", "COMPOSE_PROJECT_NAME": "move37-test"}


def compose(*words: str, secret: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    environment = dict(ENVIRONMENT)
    if not secret:
        del environment["QDRANT_API_KEY"]
    return subprocess.run(
        ["docker-compose", "--file", str(ROOT / "compose.yaml"), *words],
        capture_output=True, text=True, timeout=timeout, check=False, env=environment,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def has_compose() -> None:
    if shutil.which("docker-compose") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("docker-compose is not installed")


@pytest.mark.docker
def test_the_compose_of_debian_reads_it_with_and_without_gpus():
    import yaml  # type: ignore[import-untyped]

    for profile in ((), ("--profile", "gpu")):
        done = compose(*profile, "config")
        assert done.returncode == 0, done.stderr
        services = yaml.safe_load(done.stdout)["services"]
        # 1.29 prints every service whatever the profile; what counts is what each of them says.
        assert {name: one.get("profiles") for name, one in services.items()} == {
            "qdrant": None, "engine-proxy": None, "worker": None, "worker-gpu": ["gpu"],
        }  # fmt: skip
        (device,) = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
        assert device["driver"] == "nvidia" and "gpu" in device["capabilities"]
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        v2 = ["docker", "compose", "--file", str(ROOT / "compose.yaml"), "config", "--quiet"]
        assert subprocess.run(v2, env=ENVIRONMENT, check=False).returncode == 0


@pytest.mark.docker
def test_without_a_secret_it_says_what_to_set():
    done = compose("config", "-q", secret=False)
    assert done.returncode != 0 and "set QDRANT_API_KEY" in done.stderr


@pytest.mark.docker
def test_only_the_proxy_has_the_socket_and_every_port_is_on_loopback():
    import yaml  # type: ignore[import-untyped]

    found = yaml.safe_load(compose("--profile", "gpu", "config").stdout)
    for name, service in found["services"].items():
        mounts = json.dumps(service.get("volumes", []))
        assert ("docker.sock" in mounts) == (name == "engine-proxy")
        for port in service.get("ports", []):
            address = port if isinstance(port, str) else str(port.get("host_ip", ""))
            assert address.startswith("127.0.0.1")
        assert service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"]
    assert "engine" not in found["services"]["qdrant"]["networks"]
    assert found["networks"]["engine"]["internal"] is True
    assert "a-secret-of-the-test" not in (ROOT / "compose.yaml").read_text()


@pytest.fixture(scope="module")
def proxy() -> Iterator[None]:
    for image in ("move37-proxy:latest", "move37-worker:latest"):
        if subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode:
            (pytest.fail if os.environ.get("CI") else pytest.skip)("run `move37 sandbox build --services`")
    up = compose("up", "--detach", "engine-proxy")
    assert up.returncode == 0, up.stderr
    yield
    compose("down", "--volumes")


def in_worker(*words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    return compose("run", "-T", "--rm", "--no-deps", "--entrypoint", words[0], "worker", *words[1:], timeout=timeout)


PROBE = """
import asyncio, os, sys
from move37.sandbox.docker import DockerSandbox, DockerSettings
from move37.sandbox.docker.engine import Engine
from move37.sandbox.errors import SandboxError
from move37.sandbox.job import Job

async def main():
    print("socket", os.path.exists("/var/run/docker.sock"))
    sandbox = DockerSandbox(DockerSettings(warm=0))
    code = b"import torch; print(torch.ones(3).sum().item())"
    job = Job(id="1", trust="t", argv=("python", "m.py"), files={"m.py": code})
    outcome = await sandbox.run(job)
    print("job", outcome.status, outcome.stdout.decode().strip())
    await sandbox.close()
    engine = await Engine.connect()
    try:
        body = {"Image": "move37-sandbox:cpu", "HostConfig": {"Binds": ["/:/host"]}}
        await engine.create("move37-worker-0000000000000000", body)
        print("host MOUNTED")
    except SandboxError as error:
        print("refused", "proxy refused" in str(error))

asyncio.run(main())
"""


@pytest.mark.docker
@pytest.mark.slow
def test_a_worker_runs_jobs_through_the_proxy_and_cannot_do_more(proxy: None):
    done = in_worker("python", "-c", PROBE)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    assert "socket False" in lines and "job done 3.0" in lines and "refused True" in lines


@pytest.mark.docker
@pytest.mark.slow
def test_the_worker_is_the_application(proxy: None):
    done = in_worker("python", "-m", "move37", "sandbox", "status", "--json")
    report = json.loads(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0 and report["usable"] and report["image"]["digest"].startswith("sha256:")


@pytest.mark.docker
@pytest.mark.slow
def test_the_worker_has_the_corpus_that_the_sandbox_must_not_show(proxy: None):
    code = (
        "import pathlib; from move37.lab.training import corpus; print(corpus.open_corpus(pathlib.Path('/tmp/c')).name)"
    )
    done = in_worker("python", "-c", code)
    assert done.returncode == 0 and done.stdout.splitlines()[-1].startswith("sympy "), done.stderr
