"""What a killed launcher left is removed where launchers make it, and nothing there keeps a job from running."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from move37.sandbox.process import cgroups, reap
from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import ZygoteSettings
from tests.sandbox.jobs import program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sweep of control groups is Linux's")
# Digits that are no number, numbers that no process has, and what is not ours to name.
ODD = ("\u00b2-a", "\u0663-a", "9" * 240, "99999999999-a", "4294967296-a", "-1-a", "0-a", "x-a", "-a", "")


@pytest.fixture(params=["folders", "groups"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """Where to look, and how its names begin."""
    (tmp_path / "none").mkdir()
    monkeypatch.setattr(reap, "FOLDERS", (str(tmp_path / "none"), str(tmp_path / "missing")))
    monkeypatch.setattr(cgroups, "ROOT", tmp_path / "none")
    monkeypatch.setattr(cgroups, "_parents", lambda: iter(()))
    (tmp_path / "looked at").mkdir()
    if request.param == "groups":
        monkeypatch.setattr(cgroups, "ROOT", tmp_path / "looked at")
        return tmp_path / "looked at", cgroups.PREFIX
    monkeypatch.setattr(reap, "FOLDERS", (str(tmp_path / "missing"), str(tmp_path / "looked at")))
    return tmp_path / "looked at", reap.PREFIX


def test_what_a_dead_launcher_left_goes_and_all_else_stays(place: tuple[Path, str]) -> None:
    folder, prefix = place
    dead = subprocess.Popen(["true"])
    dead.wait()
    kept = {prefix + name for name in (*ODD, f"{os.getpid()}-abc")} | {f"{dead.pid}-abc"}
    for name in kept | {f"{prefix}{dead.pid}-abc"}:
        (folder / name).mkdir()
    (folder / f"{prefix}{dead.pid}-file").touch()
    assert reap.sweep() >= 1
    assert {path.name for path in folder.iterdir() if path.is_dir()} == kept


def test_a_folder_that_cannot_be_looked_at_keeps_nobody_from_anything(
    place: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> list[str]:
        raise PermissionError(13, "closed")

    (place[0] / f"{place[1]}4194000-a").mkdir()
    for name in ("listdir", "scandir", "lstat"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, refuse)
            assert reap.sweep() in (0, 1)


@pytest.mark.parametrize("variable", ["TMPDIR", "TEMP"])
async def test_a_drivers_temporary_folder_is_not_where_launchers_are(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(tmp_path))
    async with ProcessSandbox(1, settings=ZygoteSettings(warm=False)) as sandbox:
        await sandbox.run(program("print(1)"))
        (zygote,) = sandbox._all
        mine = [path for place in reap.FOLDERS for path in Path(place).glob(f"{reap.PREFIX}{zygote.pid}-*")]
    assert len(mine) == 1 and not list(tmp_path.iterdir())
