"""`move37 check`: the JSON that others rely on, and the exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from move37.app.__main__ import run
from move37.lab.gates.registry import NAMES
from tests.lab.gates.defects import CLEAN, PLANTED

MIXER = Path(__file__).parents[2] / "lab" / "baselines" / "gla.py"


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Runs `move37 check ... --sandbox process` in a folder of its own; bytes are written to a file first."""
    monkeypatch.chdir(tmp_path)

    def check_file(content: bytes | str | Path, *options: str) -> int:
        path = content if isinstance(content, Path) else tmp_path / "candidate.txt"
        if not isinstance(content, Path):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return run(["check", str(path), "--sandbox", "process", *options])

    return check_file


def test_a_baseline_passes_with_status_0_and_json_alone_on_stdout(check, capsys) -> None:  # type: ignore[no-untyped-def]
    status = check(MIXER, "--json")

    answer = json.loads(capsys.readouterr().out)
    assert status == 0
    assert answer["passed"] is True
    assert [gate["name"] for gate in answer["gates"]] == list(NAMES)
    assert all(set(gate) == {"name", "passed", "value", "limit", "message"} for gate in answer["gates"])
    assert [gate["name"] for gate in answer["gates"] if gate["passed"] is None] == ["novelty"]


def test_a_leak_is_told_in_a_table_with_status_1(check, capsys) -> None:  # type: ignore[no-untyped-def]
    status = check(PLANTED["a leak that starts behind position 64"][1])

    assert status == 1
    assert "fails causality" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [b"not a program", b"\xff\xfe\x00", b"", b"# -*- coding: nonsense -*-\n", b"# -*- coding: undefined -*-\n"],
)
def test_a_file_that_is_not_python_fails_the_gate_import(check, capsys, content: bytes) -> None:  # type: ignore[no-untyped-def]
    status = check(content, "--json")

    answer = json.loads(capsys.readouterr().out)
    assert status == 1
    assert answer["passed"] is False
    assert [gate["passed"] for gate in answer["gates"]] == [False] + [None] * (len(NAMES) - 1)


@pytest.mark.parametrize("path", [Path("nowhere.py"), Path()])
def test_a_missing_file_or_a_folder_is_wrong_use(check, capsys, path: Path) -> None:  # type: ignore[no-untyped-def]
    status = check(path, "--json")

    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1


def test_an_unknown_task_is_wrong_use(check, capsys) -> None:  # type: ignore[no-untyped-def]
    assert check(CLEAN, "--task", "chess") == 2
    assert "unknown task" in capsys.readouterr().err


def test_a_device_without_an_end_is_wrong_use(check, capsys) -> None:  # type: ignore[no-untyped-def]
    assert check(Path("/dev/zero")) == 2
    assert "over 16 MiB" in capsys.readouterr().err
