"""An environment into which the project was installed, beside the packages that jobs import."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import move37
from move37.sandbox.process import zygote_process
from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import ZygoteSettings
from tests.sandbox.jobs import program


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its folder of packages, with the project in it as real files."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path)], check=True)
    (folder,) = tmp_path.glob("lib/python*/site-packages")
    source = Path(str(move37.__file__)).parent
    (folder / "move37").mkdir()
    shutil.copy(source / "__init__.py", folder / "move37")
    shutil.copytree(source / "sandbox", folder / "move37/sandbox", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))
    monkeypatch.setattr(zygote_process, "ENTRY", folder / "move37/sandbox/process/launcher.py")
    return folder


async def test_a_job_imports_the_packages_beside_ours_and_does_not_find_us_imported(packages: Path) -> None:
    (packages / "numbers_of_theirs.py").write_text("name = 'of the environment'")
    source = "import sys, numbers_of_theirs as n\nprint(n.name, 'move37' in sys.modules)"
    async with ProcessSandbox(1, settings=ZygoteSettings(warm=False)) as sandbox:
        outcome = await sandbox.run(program(source))
    assert outcome.stdout == b"of the environment False\n", outcome
