"""Who may run where when Docker is missing."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest
import structlog

from move37.sandbox import factory
from move37.sandbox.backends import BACKENDS
from move37.sandbox.docker.settings import DockerSettings
from move37.sandbox.errors import DaemonUnreachable, SandboxUnavailable
from move37.sandbox.factory import Source, Wanted, open_sandbox
from move37.sandbox.process import opening
from move37.sandbox.process.zygote_process import ZygoteSettings


@pytest.fixture(autouse=True)
def no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")


@pytest.mark.parametrize("source", ["person", "grammar"])
async def test_auto_falls_back_for_code_of_a_person_or_our_grammar_with_a_warning(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A logger of its own: the process's may have been set up, and kept, by whoever ran before.
    said = structlog.testing.CapturingLogger()
    monkeypatch.setattr(factory, "log", structlog.wrap_logger(said, processors=[]))
    sandbox = await open_sandbox("auto", trusted_source=source)
    assert sandbox.name == "process"
    await sandbox.close()
    assert [call.method_name for call in said.calls] == ["warning"]


async def test_auto_refuses_code_of_a_model_and_says_what_to_do() -> None:
    with pytest.raises(SandboxUnavailable, match="--sandbox process") as caught:
        await open_sandbox("auto", trusted_source="model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("asked", [DockerSettings(image="mine"), DockerSettings(runtime="runsc")])
async def test_auto_takes_nothing_else_where_something_of_docker_was_asked_for(asked: DockerSettings) -> None:
    with pytest.raises(SandboxUnavailable, match="was asked for"):
        await open_sandbox("auto", trusted_source="person", docker=asked)


@pytest.mark.usefixtures("cold")
async def test_an_explicit_choice_is_kept() -> None:
    sandbox = await open_sandbox("process", trusted_source="model")
    assert sandbox.name == "process"
    await sandbox.close()
    with pytest.raises(DaemonUnreachable):
        await open_sandbox("docker", trusted_source="person")


@pytest.mark.parametrize("kind", ["ray", "", "Docker", "gpu"])
async def test_a_kind_that_does_not_exist_is_an_error(kind: str) -> None:
    with pytest.raises(ValueError, match="auto, docker, process"):
        await open_sandbox(kind, trusted_source="person")


async def test_a_backend_is_one_module_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("elsewhere")
    opened = object()

    async def open_backend(wanted: Wanted) -> object:
        return opened if wanted.workers == 3 else None

    vars(module)["open_backend"] = open_backend
    monkeypatch.setitem(sys.modules, "elsewhere", module)
    monkeypatch.setitem(BACKENDS, "ray", "elsewhere")
    assert await open_sandbox("ray", trusted_source="person", workers=3) is opened


async def test_code_of_a_model_needs_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "ZygoteSettings", lambda **chosen: ZygoteSettings(**chosen, namespaces=False))
    with pytest.raises(SandboxUnavailable, match=r"without namespaces .*: use Docker"):
        await open_sandbox("process", trusted_source="model", single=True)
    plain = await open_sandbox("process", trusted_source="person", single=True)
    await plain.close()


def test_looking_at_a_job_imports_neither_docker_nor_torch() -> None:
    heavy = "{'docker', 'torch', 'autogen_core'}"
    code = f"import sys, move37.sandbox; move37.sandbox.Job; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
