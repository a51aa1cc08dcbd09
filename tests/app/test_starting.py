"""What `chat` and `resume --chat` start at a terminal: a process of its own, under the same settings."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import typer

from move37.app import starting
from move37.app.commands.options import OPTIONS, taking
from move37.app.commands.resume import AS_IT_BEGAN
from move37.app.exits import BadInput, EnvironmentFault
from move37.app.models import TRIAL_SECONDS
from move37.app.settings import Settings, load
from move37.app.starting import arguments, start
from move37.lab.archive.store import Archive
from move37.lab.errors import ArchiveBusy

GIVEN = {  # of every option one that is not its default
    "task": ("--task", "program:folder"),
    "model": ("--model", "openai:x"),
    "base_url": ("--base-url", "http://127.0.0.1:1/v1"),
    "budget": ("--budget", "3"),
    "max_time": ("--max-time", "1h30m"),
    "max_tokens": ("--max-tokens", "50k"),
    "max_cost": ("--max-cost", "2.50"),
    "brief": ("--brief", "a direction.md"),
    "seed": ("--seed", "7"),
    "preset": ("--preset", "full"),
    "corpus": ("--corpus", "texts"),
    "scale": ("--scale", "small"),
    "device": ("--device", "cpu"),
    "approve": ("--approve", "code"),
    "approval_timeout": ("--approval-timeout", "90s"),
    "notify": ("--notify", "notify-send 'it ended'"),
    "confirm": ("--no-confirm",),
    "negotiation_rounds": ("--negotiation-rounds", "1"),
    "debug_attempts": ("--debug-attempts", "2"),
    "workers": ("--workers", "2"),
    "sandbox": ("--sandbox", "docker"),
    "runtime": ("--runtime", "crun"),
    "image": ("--image", "team/image:tag"),
}


def settings_of(names: list[str], *words: str) -> Settings:
    """The settings of a command that takes those options, called with these words."""
    app = typer.Typer()

    @app.command()
    @taking(*names)
    def command(settings: Settings) -> Settings:
        return settings

    called = typer.main.get_command(app)
    found = called.main(list(words), standalone_mode=False, obj=load({"home": Path("home")}))
    assert isinstance(found, Settings)
    return found


@pytest.mark.parametrize("name", [*OPTIONS, "all of them"])
def test_the_process_gets_the_settings_that_the_command_got(name: str) -> None:
    assert GIVEN.keys() == OPTIONS.keys()
    for names in (list(OPTIONS), [n for n in OPTIONS if n not in AS_IT_BEGAN]):  # of run and chat; of resume
        words = [word for n in names if name in (n, "all of them") for word in GIVEN[n]]
        settings = settings_of(names, *words)
        assert settings_of(names, *arguments(settings.flags)) == settings
        assert not words or settings != settings_of(names)


def at_work_in(home: Path) -> list[str]:
    """The processes that were started for that home and have not ended."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it ended meanwhile
            continue
        found += [" ".join(words)] if str(home) in words else []
    return found


def test_a_process_that_cannot_begin_says_why(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such"):
        start(tmp_path / "home", "run", load({"task": f"program:{tmp_path}/nothing"}).flags)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_who_stops_waiting_leaves_nothing_that_begins_unattended(tmp_path: Path, error: type[BaseException]) -> None:
    """Of a model's server that loads it is said that it is waited for; Ctrl-C then left a process behind."""
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        raise error

    flags = load({"model": "openai:x", "base_url": "http://127.0.0.1:9/v1", "sandbox": "process"}).flags
    with pytest.raises(error):
        start(tmp_path / "home", "run", flags, tell=tell)
    assert len(told) == 1 and "openai:x" in told[0]
    assert at_work_in(tmp_path / "home") == []


def test_a_start_that_says_nothing_for_longer_than_a_trial_call_takes_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert starting.SILENT > TRIAL_SECONDS
    monkeypatch.setattr(starting, "SILENT", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:  # it takes calls, and never answers
        address = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        with pytest.raises(EnvironmentFault, match="said nothing"):
            start(tmp_path / "home", "run", load({"model": "openai:x", "base_url": address}).flags)
    assert at_work_in(tmp_path / "home") == []


def test_beside_a_campaign_that_runs_nothing_is_started_and_its_words_stay(tmp_path: Path) -> None:
    with Archive.open(tmp_path):
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs" / "session.txt").write_text("beginning campaign 1")
        with pytest.raises(ArchiveBusy, match="another campaign"):
            start(tmp_path, "run", {})
        assert (tmp_path / "logs" / "session.txt").read_text() == "beginning campaign 1"
