"""What of the host a job sees: the interpreter, and never what lies beside it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from move37.sandbox.process import rootfs
from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import ZygoteSettings
from tests.sandbox.jobs import program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
SECRET = "OPENAI_API_KEY=secret"


@pytest.fixture(params=["/tmp", "/var/tmp", "/dev/shm"])
def project(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A project whose virtual environment is its own root: `python -m venv .`."""
    with tempfile.TemporaryDirectory(dir=request.param) as folder:
        yield _fill(Path(folder))


def _fill(root: Path) -> Path:
    root.chmod(0o755)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root)], check=True)
    (root / ".env").write_text(SECRET)
    (root / "src").mkdir()
    (root / "src/private.py").write_text(SECRET)
    (root / ".move37").mkdir()
    (root / ".move37/archive.sqlite").write_text(SECRET)
    return root


async def test_a_project_that_is_its_own_environment_is_not_shown(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(project / "bin/python"))
    source = f"""
import os, subprocess, sys
found = []
for folder, _, names in os.walk({str(project)!r}):
    found += [n for n in names if n in (".env", "private.py", "archive.sqlite")]
open("/tmp/own", "w").close()
open("/dev/shm/own", "w").close()
again = subprocess.run([sys.executable, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True)
print(sys.prefix, found, again.stdout)
"""
    async with ProcessSandbox(1, settings=ZygoteSettings(warm=False)) as sandbox:
        outcome = await sandbox.run(program(source))
    assert outcome.stdout.decode().split() == [str(project), "[]", str(project)], outcome


@pytest.mark.parametrize("above", [False, True])
async def test_an_environment_is_found_under_the_name_of_a_link(
    project: Path, above: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = project.parent / f"{project.name}-link"
    link.symlink_to(project.parent if above else project)
    named = link / project.name if above else link
    try:
        monkeypatch.setattr(sys, "executable", str(named / "bin/python"))
        async with ProcessSandbox(1, settings=ZygoteSettings(warm=False)) as sandbox:
            outcome = await sandbox.run(program("import os, sys; print(sys.prefix, os.path.exists(sys.prefix))"))
    finally:
        link.unlink()
    assert outcome.stdout.decode().split() == [str(named), "True"], outcome


def test_of_a_prefix_only_what_an_interpreter_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bin", "lib/python3.11/site-packages", "lib/private", "include", "share", "src", "home"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "pyvenv.cfg").write_text("")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(rootfs, "PYTHON", "python3.11")
    own = {str(path.relative_to(tmp_path)) for path in rootfs.interpreter_folders() if path.is_relative_to(tmp_path)}
    assert own == {"bin", "lib/python3.11", "include", "share"}
