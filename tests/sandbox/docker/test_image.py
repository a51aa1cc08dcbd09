"""Which image serves, and what is in it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from move37.app.running import packages
from move37.sandbox.docker import build
from move37.sandbox.docker.build import download_wheels, pack, recipe_of_wheels, split_name
from move37.sandbox.docker.image import (
    IMAGE_FOLDER,
    RECIPE_FILES,
    RECIPE_LABEL,
    WORKER_FOLDER,
    judge_image,
    recipe,
    tag,
)
from move37.sandbox.docker.reap import remove_wheels
from move37.sandbox.errors import ImageMissing
from move37.sandbox.job import Job

LOCK = Path(__file__).parents[3] / "requirements.lock"


def pins(path: Path) -> dict[str, str]:
    lines = [line.strip() for line in path.read_text().splitlines() if "==" in line and not line.startswith("#")]
    return {name.lower(): version for name, version in (line.split("==") for line in lines)}


def known(recipe_: str) -> dict:
    return {"Id": "sha256:1", "Config": {"Labels": {RECIPE_LABEL: recipe_}}}


def test_every_package_inside_is_the_one_that_the_lock_names():
    lock = pins(LOCK)
    inside = pins(IMAGE_FOLDER / "requirements.txt")
    assert {name: lock.get(name) for name in inside} == inside


def test_no_image_says_how_to_build_one():
    with pytest.raises(ImageMissing, match="move37 sandbox build`"):
        judge_image(tag("cpu"), None, "new")
    with pytest.raises(ImageMissing, match="leave --image out"):
        judge_image("mine:latest", None, "new")
    with pytest.raises(ImageMissing, match="build --cuda"):
        judge_image(tag("cuda"), None, "new", "cuda")


def test_an_image_of_an_older_recipe_is_refused():
    with pytest.raises(ImageMissing, match="older recipe"):
        judge_image(tag("cpu"), known("old"), "new")
    assert judge_image(tag("cpu"), known("new"), "new").id == "sha256:1"


def test_an_image_that_a_person_names_is_their_choice():
    assert judge_image("mine:latest", {"Id": "sha256:2", "Config": {"Labels": None}}, "new").recipe == ""


@pytest.mark.parametrize("changed", RECIPE_FILES, ids=lambda path: path.name)
def test_a_change_of_any_file_inside_changes_the_recipe(changed: Path, tmp_path: Path):
    copies = [tmp_path / path.name for path in RECIPE_FILES]
    for copy, path in zip(copies, RECIPE_FILES, strict=True):
        copy.write_bytes(path.read_bytes())
    assert recipe(copies) == recipe()
    (tmp_path / changed.name).write_bytes(changed.read_bytes() + b"\n")
    assert recipe(copies) != recipe()


def test_equal_inputs_make_an_equal_build_context(tmp_path: Path):
    (tmp_path / "a.whl").write_bytes(b"wheel")
    first, second = io.BytesIO(), io.BytesIO()
    pack(first, tmp_path)
    (tmp_path / "a.whl").touch()
    pack(second, tmp_path)
    assert first.getvalue() == second.getvalue()
    first.seek(0)
    worker = [f"worker/{path.name}" for path in RECIPE_FILES if path.parent == WORKER_FOLDER]
    with tarfile.open(fileobj=first) as tar:
        assert tar.getnames() == ["Dockerfile", "requirements.txt", *worker, "wheels/a.whl"]


SYMPY = b"""
import pathlib, sympy, torch._dynamo
inside = {path.suffix for path in pathlib.Path(sympy.__file__).parent.rglob("*") if path.is_file()}
print(sorted(inside), sympy.Symbol.__doc__, sympy.simplify("x*x - x**2"))
print(torch.compile(lambda x: x[: x.shape[0] // 2].sum(), backend="eager", dynamic=True)(torch.ones(8)).item())
"""


@pytest.mark.docker
@pytest.mark.asyncio(loop_scope="module")
async def test_the_corpus_is_not_in_the_image_and_the_compiler_that_imports_it_works(sandbox):
    files = {"main.py": SYMPY}
    outcome = await sandbox.run(Job(id="s", trust="sympy", argv=("python", "main.py"), files=files))
    assert outcome.stdout == b"['.pyc'] None 0\n4.0\n", outcome


@pytest.mark.parametrize(
    "image, name, mark",
    [
        ("python:3.11", "python", "3.11"),
        ("python", "python", "latest"),
        ("registry:5000/python:3.11", "registry:5000/python", "3.11"),
        ("registry:5000/a/python", "registry:5000/a/python", "latest"),
    ],
)
def test_the_port_of_a_registry_is_no_tag(image: str, name: str, mark: str):
    assert split_name(image) == (name, mark)


def test_of_the_user_s_cache_only_folders_of_wheels_are_removed(tmp_path: Path) -> None:
    """Models lie beside them: `move37 models get` puts a gigabyte there."""
    ours = [tmp_path / f"wheels-{name}" for name in (f"cpu-{recipe_of_wheels()}", "services-0123456789ab")]
    others = [tmp_path / name for name in ("models/qwen2.5-coder-1.5b.gguf", "models/wheels-x/a", "notes.txt")]
    for file in (*(folder / "complete" for folder in ours), *others):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert download_wheels(tmp_path, "cpu", print) == ours[0]  # that is what a build keeps its wheels under
    remove_wheels(tmp_path)
    assert not any(folder.exists() for folder in ours) and all(file.exists() for file in others)


@pytest.mark.parametrize("machine", ["arm64", "aarch64", "ARM64", "x86_64", "AMD64"])
def test_wheels_are_asked_for_in_their_own_words_for_a_processor(machine: str, tmp_path: Path, monkeypatch):
    """By the image's build, and for a program's packages."""
    asked: list[list[str]] = []
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(build, "_run", lambda command, *_: asked.append(command))
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=machine))

    def pip(*words: str, **_: object) -> SimpleNamespace:
        asked.append([*words])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(packages, "_pip", pip)
    build.pip_download(tmp_path, tmp_path / "requirements.txt")
    packages._install(["numpy"], tmp_path, docker=True)
    for command in asked:
        named = {word.rpartition("=")[2] for word in command if "manylinux" in word}
        assert named and all(word.endswith(("_aarch64", "_x86_64")) for word in named), command
        assert {word.endswith("_aarch64") for word in named} == {machine.lower() in ("arm64", "aarch64")}
    assert len(asked) == 2
