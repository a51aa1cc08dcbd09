"""Who may run where when Docker is missing."""

from __future__ import annotations

import pytest

from move37.sandbox.errors import DaemonUnreachable, SandboxUnavailable
from move37.sandbox.factory import Source, open_sandbox


@pytest.fixture(autouse=True)
def no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")


@pytest.mark.parametrize("source", ["person", "grammar"])
async def test_auto_falls_back_for_code_of_a_person_or_our_grammar_with_a_warning(
    source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox = await open_sandbox("auto", trusted_source=source)
    assert sandbox.name == "process"
    await sandbox.close()
    # The event as it is logged, or as a person reads it once the command has set its console up.
    assert "sandbox without docker" in "".join(capsys.readouterr()).replace("_", " ")


async def test_auto_refuses_code_of_a_model_and_says_what_to_do() -> None:
    with pytest.raises(SandboxUnavailable, match="--sandbox process") as caught:
        await open_sandbox("auto", trusted_source="model")
    assert "\n" not in str(caught.value)


async def test_an_explicit_choice_is_kept() -> None:
    sandbox = await open_sandbox("process", trusted_source="model")
    assert sandbox.name == "process"
    await sandbox.close()
    with pytest.raises(DaemonUnreachable):
        await open_sandbox("docker", trusted_source="person")


def test_looking_at_a_job_imports_neither_docker_nor_torch() -> None:
    import subprocess
    import sys

    code = "import sys, sandbox; sandbox.Job; assert not {'docker', 'torch', 'autogen_core'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
