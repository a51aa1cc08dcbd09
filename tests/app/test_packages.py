"""`--pip`: wheels of an index, and nothing of the host runs for them. pip is the real one, over a folder of wheels."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.app.exits import BadInput, EnvironmentFault
from move37.app.running import packages as module
from move37.app.running.packages import _PACKAGE, packages


def a_wheel(folder: Path, name: str, version: str = "1.0", **files: str) -> None:
    folder.mkdir(exist_ok=True)
    about = f"{name}-{version}.dist-info"
    content = {f"{name}.py": "x = 1", **files}
    content[f"{about}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    content[f"{about}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = "".join(f"{path},,\n" for path in content) + f"{about}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in (content | {f"{about}/RECORD": record}).items():
            wheel.writestr(path, text)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is all that pip looks at."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    a_wheel(tmp_path / "wheels", "good")
    return tmp_path / "wheels"


HOSTILE = (
    "", " ", ".", "..", "./x", "../evil", "/etc", "~", "~/x", "-r x", "-e", "--index-url=x", " -e .", "x -e .", "a b",
    "a\nb", "a\x00b", "http://h/x.whl", "git+ssh://h/x", "x @ file:///x", "x@file:x.tar.gz", "x @ x.zip", "file:x",
    "x;import os", "x[", "x[a", "x[a,]", "x[]", "x==", "x==1,", "x=1", "x==1 -e .", "x==/etc", "x$(id)", "x`id`",
    "x.whl", "x-1.0-py3-none-any.WHL", "x.zip[a]", "x.tar.gz",
    "x.tgz ", "\u0440andas", "x\u202e", "x==1;python_version>'3'", "x\\y", "_x", "x-", "x==1\t\n--pre\n-e.",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_package_of_an_index_is_refused_before_pip_starts(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip was started"))
    with pytest.raises(BadInput, match="name a package"):
        packages([name], tmp_path, docker=False)


@pytest.mark.parametrize(
    "name",
    ["pandas", "pandas==2.2", "zope.interface", "ruamel_yaml-clib", "x>=1,<2", "x ~= 1.4", "x != 1.*", "x[a]",
     "X [a, b] == 1!2.0+cu12"],
)  # fmt: skip
def test_a_name_with_extras_and_versions_is_one(name: str) -> None:
    assert _PACKAGE.fullmatch(name)


@given(st.text(st.sampled_from("ab1.-_[],<>=!~ ;@:/\\\n"), max_size=16))
def test_what_passes_is_an_argument_without_path_option_or_address(name: str) -> None:
    if _PACKAGE.fullmatch(name):
        assert not set(name) & set("/\\@:;") and name.strip()[0].isalnum()


def test_nothing_of_the_folder_in_which_one_stands_runs_or_is_installed(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for name in ("pip.py", "typing.py", "json.py", "logging.py", "sitecustomize.py", "setup.py"):
        (here / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit(0)")
    a_wheel(here, "evil")
    os.rename(here / "evil-1.0-py3-none-any.whl", here / "good.whl")
    monkeypatch.chdir(here)
    with pytest.raises(BadInput):
        packages(["good.whl"], tmp_path / "cache", docker=False)
    assert "packages/good.py" in packages(["good"], tmp_path / "cache", docker=False)
    assert not (tmp_path / "ran").exists()


def test_what_failed_or_was_interrupted_leaves_nothing_that_counts(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(BadInput, match="No matching distribution found for missing"):
        packages(["missing"], cache, docker=False)

    def interrupted(names: object, target: Path, *_: object, **__: object) -> None:
        (target / "half.py").write_text("")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            packages(["good"], cache, docker=False)
    assert list((cache / "packages").iterdir()) == []
    with ThreadPoolExecutor() as threads:
        both = list(threads.map(lambda _: packages(["good"], cache, docker=False), range(2)))
    assert both[0] == both[1] and both[0]["packages/good.py"] == b"x = 1"


def test_the_cache_knows_what_for_whom_and_all_that_pip_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, nothing = module._key, ""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "limits.txt").write_text("a<2")
    named = "global.constraint='limits.txt'"
    assert key(["a", "B == 1"], False, nothing) == key(["b==1", "a"], False, nothing)
    keys = {key(["a"], False, nothing), key(["a"], True, nothing), key(["a", "b"], False, nothing)}
    keys |= {key(["a==1"], False, nothing), key(["a"], False, ":env:.pre='1'"), key(["a"], False, named)}
    (tmp_path / "limits.txt").write_text("a<3")
    keys |= {key(["a"], False, named)}
    monkeypatch.setattr(module, "IMAGE_PYTHON", "3.14")
    assert len(keys | {key(["a"], True, nothing)}) == 8


def test_a_relative_place_and_a_constraint_are_what_pip_makes_of_them(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_wheel(index, "good", "2.0", **{"good.py": "x = 2"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_FIND_LINKS", "wheels")
    assert packages(["good"], tmp_path / "cache", docker=False)["packages/good.py"] == b"x = 2"
    monkeypatch.setenv("PIP_CONSTRAINT", "limits.txt")
    (tmp_path / "limits.txt").write_text("good<2")
    assert packages(["good"], tmp_path / "cache", docker=False)["packages/good.py"] == b"x = 1"


def test_the_environment_asks_for_no_other_package_and_no_other_place(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "setup.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit(1)")
    a_wheel(index, "other")
    (tmp_path / "wanted.txt").write_text("other")
    said = {"EDITABLE": here, "REQUIREMENT": tmp_path / "wanted.txt", "USER": 1, "DRY_RUN": 1, "PREFIX": here}
    for name, value in said.items():
        monkeypatch.setenv(f"PIP_{name}", str(value))
    files = packages(["good"], tmp_path / "cache", docker=False)
    assert "packages/good.py" in files and "packages/other.py" not in files
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (b"WARNING: Retrying (Retry(total=0)) after connection broken\nERROR: No matching distribution found for x",
         EnvironmentFault, "cannot be reached"),
        (b"/usr/bin/python: No module named pip", EnvironmentFault, "ensurepip"),
        (b"ERROR: \x1b[31mno\xff", BadInput, "no"),
        (b"", BadInput, "ended with 1"),
    ],
)  # fmt: skip
def test_what_pip_says_is_one_line_with_the_right_fault(
    said: bytes, kind: type[Exception], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, b"", said))
    with pytest.raises(kind, match=words) as caught:
        packages(["x"], tmp_path, docker=False)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_a_pip_without_end_is_a_fault_of_the_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(command: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(subprocess, "run", late)
    with pytest.raises(EnvironmentFault, match="took longer"):
        packages(["x"], tmp_path, docker=False)


def test_more_than_a_job_can_take_is_said(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 4)
    with pytest.raises(BadInput, match="build an image"):
        packages(["good"], tmp_path / "cache", docker=False)


def test_no_child_of_ours_imports_from_the_folder_in_which_it_is_started() -> None:
    """`python -m` puts that folder first; a program's folder may hold a json.py."""
    root = Path(module.__file__).parents[2]
    rooms = [root / room for room in ("agents", "app", "lab", "memory", "sandbox")]
    calls = [
        (path.name, line.strip())
        for room in rooms
        for path in room.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "sys.executable" in line and '"-m"' in line and '"-P"' not in line
    ]
    assert {name for name, _ in calls} <= {"pdf.py"}, "pdf.py is started in our own folder"
    assert sys.version_info >= (3, 11)
