"""What the guides and README tell a user to type is what the command takes."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
import pytest
from typer.main import get_command

from move37.agents.errors import BadModel
from move37.agents.models import ModelOptions, options_for
from move37.agents.models.providers import PROVIDERS
from move37.app.cli import build
from move37.lab import baselines, judging
from move37.lab.gates.gate import GateEvidence, RawMeasurement
from move37.lab.gates.registry import GATES
from move37.lab.probes.probe import IGNORE
from move37.lab.tasks.mixers import MixersTask
from move37.sandbox.backends import BACKENDS
from move37.sandbox.docker import opening
from move37.sandbox.docker.settings import DockerSettings
from move37.sandbox.factory import Wanted, open_sandbox
from tests.lab.gates import here

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL = re.compile(r"[|;&]|<<")  # what follows belongs to the shell


def commands() -> Iterator[tuple[str, str]]:
    """(page, line) of every line that a page shows as a command of ours."""
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for line in page.read_text(encoding="utf-8").splitlines():
            found = re.match(r"^(?:    |\$ |)\s*(?:[A-Z_0-9]+=\S+ )*(move37 .*)$", line)
            if found and not line.lstrip().startswith(("move37:", "move37 is", "move37 has")):
                yield page.name, found[1].partition("  #")[0].partition("   ")[0].strip()


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_every_command_that_a_page_shows_is_one(page: str, line: str) -> None:
    words = shlex.split(SHELL.split(line)[0])[1:]
    command: Any = get_command(build())
    context = command.make_context("move37", list(words), resilient_parsing=True)
    rest = [*context.protected_args, *context.args] if hasattr(context, "protected_args") else list(context.args)
    while isinstance(command, click.Group) and rest:
        found = command.commands.get(rest[0])
        assert found is not None, f"{page}: there is no command {rest[0]!r}"
        command, arguments = found, rest[1:]
        if isinstance(command, click.Group):
            rest = arguments
            continue
        command.make_context(rest[0], arguments)  # raises where an option or an argument is not known
        return


def test_every_command_that_a_sentence_names_is_one() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in [*PAGES, ROOT / "CONTRIBUTING.md"])
    named = set(re.findall(r"`move37(?: --home \S+)? (\w+)", text))
    known = get_command(build())
    assert isinstance(known, click.Group) or hasattr(known, "commands")
    assert not sorted(named - known.commands.keys())


def test_every_page_is_in_the_site() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    missing = [page.name for page in PAGES[1:] if page.name not in nav]
    assert not missing


def test_every_page_of_the_site_is_there() -> None:
    nav = re.findall(r"(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert all((ROOT / "docs" / page).is_file() for page in nav)


def test_the_index_of_decisions_names_each() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in folder.glob("[0-9]*.md") if f"]({page.name})" not in index]


def worked_examples() -> dict[str, str]:
    """Path -> source of every file that CONTRIBUTING.md shows."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return dict(re.findall(r"`(\S+\.py)`:\n\n```python\n(.*?)```", text, re.DOTALL))


def example(name: str) -> ModuleType:
    """One of them, as Python would import it."""
    source = worked_examples()[name]
    module = ModuleType(Path(name).stem)
    exec(compile(source, name, "exec"), vars(module))
    return module


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_path_that_the_map_names_exists(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    named = {word.rstrip("/.,:") for word in re.findall(r"[\w.]+/[\w./-]*", re.sub(r"https?://\S+", "", text))}
    ours = {word for word in named if word[0] != "." and (ROOT / word.partition("/")[0]).is_dir()}
    assert len(ours) > 5
    assert not [word for word in sorted(ours - worked_examples().keys()) if not (ROOT / word).exists()]


def test_every_worked_example_is_new_and_its_folder_is_there() -> None:
    assert len(worked_examples()) == 5
    assert all((ROOT / path).parent.is_dir() and not (ROOT / path).exists() for path in worked_examples())


def test_the_gate_of_the_example_tells_a_loud_mixer_from_a_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = example("lab/gates/scale.py").GATE
    for module in (here, judging.judging):
        monkeypatch.setattr(module, "GATES", (*GATES, gate))
    monkeypatch.setattr(here, "GATES", (*(g for g in GATES if g.name in ("import", "finite", "novelty")), gate))
    quiet = baselines.source("gla")
    loud = quiet + "\n\nquiet = Mixer.forward\nMixer.forward = lambda self, x: 1e4 * quiet(self, x)\n"
    assert here.result(here.gates_here(quiet), "scale").passed
    assert here.result(here.gates_here(loud), "scale").passed is False
    assert gate.judge(RawMeasurement(), GateEvidence()).passed is False


def test_the_probe_of_the_example_is_one() -> None:
    probe = example("lab/probes/delay.py").DELAY
    inputs, answers = probe.make(np.random.default_rng(0), 7)
    assert inputs.shape == answers.shape == (7, probe.length) and inputs.max() < probe.vocabulary
    assert (answers[:, :5] == IGNORE).all() and (answers[:, 5:] == inputs[:, :-5]).all()


def test_the_task_of_the_example_is_one(tmp_path: Path) -> None:
    task = example("lab/tasks/wide.py").open_task(None, cache=tmp_path, corpus=None)
    assert isinstance(task, MixersTask) and task.name == "mixers-wide" and task.width == 128
    assert "width 128 with 8 heads" in task.facts["network"] and not task.scale.calibrated
    assert {rung.steps for rung in task.schedule("quick").rungs} >= {100, 200, 500}


def test_the_provider_of_the_example_wants_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    from move37.agents import models

    provider = example("agents/models/providers/house.py").PROVIDER
    monkeypatch.setattr(models, "PROVIDERS", (*PROVIDERS, provider))
    with pytest.raises(BadModel, match="HOUSE_API_KEY"):
        models.open_model("house:m")
    assert models.open_model("house:m", options_for("house:m", ModelOptions(), {"HOUSE_API_KEY": "k"}))


async def test_the_backend_of_the_example_asks_docker_for_gvisor(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[DockerSettings] = []

    async def open_backend(wanted: Wanted) -> object:
        asked.append(wanted.docker or DockerSettings())
        return object()

    monkeypatch.setattr(opening, "open_backend", open_backend)
    monkeypatch.setitem(sys.modules, "gvisor", example("sandbox/docker/gvisor.py"))
    monkeypatch.setitem(BACKENDS, "gvisor", "gvisor")
    await open_sandbox("gvisor", trusted_source="person", docker=DockerSettings(image="mine"))
    assert asked == [DockerSettings(image="mine", runtime="runsc")]


def test_every_module_that_a_file_starts_exists() -> None:
    files = [ROOT / "compose.yaml", ROOT / "Makefile", ROOT / "install.sh", *(ROOT / ".ci").iterdir(), *PAGES]
    files += [*(ROOT / "docs").rglob("*.md"), *(ROOT / "sandbox").rglob("*Dockerfile"), ROOT / "CONTRIBUTING.md"]
    started = {
        (file.name, module)
        for file in files
        for module in re.findall(r"python[\d.]* -m (\w[\w.]*\w)", file.read_text(encoding="utf-8"))
    }
    assert started
    assert not [(file, module) for file, module in sorted(started) if importlib.util.find_spec(module) is None]
