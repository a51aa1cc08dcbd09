"""Flags beat the environment, which beats move37.toml, which beats the defaults; bad values get one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from move37.app.exits import BadInput
from move37.app.settings import load
from move37.app.sources import SECTIONS, Sources


def test_without_any_source_the_defaults_hold() -> None:
    settings = load()
    assert settings.home == Path(".move37")
    assert settings.campaign.task == "mixers" and settings.campaign.approve == "never"
    assert settings.models.model == "designer" and settings.sandbox.backend == "auto"


def test_each_source_beats_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("move37.toml").write_text('budget = 3\nseed = 3\nmax_time = "10m"\npreset = "full"\n')
    monkeypatch.setenv("MOVE37_BUDGET", "2")
    monkeypatch.setenv("MOVE37_SEED", "2")
    campaign = load({"budget": "1"}).campaign
    assert (campaign.budget, campaign.seed, campaign.max_seconds, campaign.preset) == (1, 2, 600.0, "full")


def test_a_flag_that_was_not_given_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVE37_SEED", "7")
    assert load().with_flags(seed=None, budget="5").campaign.seed == 7


def test_later_flags_keep_the_earlier_ones() -> None:
    settings = load({"home": Path("elsewhere")}).with_flags(budget="5")
    assert settings.home == Path("elsewhere") and settings.campaign.budget == 5


def test_memory_has_its_own_section(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("move37.toml").write_text('[memory]\nurl = "http://127.0.0.1:6333"\n')
    assert load().memory.url == "http://127.0.0.1:6333"
    monkeypatch.setenv("MOVE37_MEMORY__URL", "http://127.0.0.1:1")
    assert load().memory.url == "http://127.0.0.1:1"


def test_keys_come_from_the_environment_alone_and_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    settings = load()
    assert settings.models.variables["OPENAI_API_KEY"] == "sk-secret"
    assert "sk-secret" not in repr(settings)
    Path("move37.toml").write_text('openai_api_key = "sk-other"\n')
    with pytest.raises(BadInput, match="unknown key"):
        load()


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("colour = 1", "unknown key 'colour'"),
        ("[memory]\ncolour = 1", "unknown key 'memory.colour'"),
        ('task = "', "not valid TOML"),
        ("budget = 0", "budget"),
        ('sandbox = "chroot"', "choose one of auto, docker, process"),
        ("seed = -1", "seed"),
        ("memory = 3", "write a table [memory]"),
        ("[docker]\nruntime = 'kata'", "choose one of runc, crun, runsc"),
        ("[docker]\ncolour = 1", "known are image, runtime"),
    ],
)
def test_a_bad_file_gets_one_line_that_names_the_place(toml: str, says: str) -> None:
    Path("move37.toml").write_text(toml)
    with pytest.raises(BadInput) as caught:
        load()
    assert says in str(caught.value) and "move37.toml" in str(caught.value)
    assert "\n" not in str(caught.value).replace("\\n", "")


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("MOVE37_DOCKER__RUNTIM", "runsc", "the environment has an unknown MOVE37_DOCKER__RUNTIM"),
        ("MOVE37_DOCKER__RUNTIME", "kata", "MOVE37_DOCKER__RUNTIME"),
        ("MOVE37_MEMORY", "http://127.0.0.1", "MOVE37_MEMORY__URL"),
        ("MOVE37_WORKERS", "many", "MOVE37_WORKERS"),
    ],
)
def test_a_bad_variable_gets_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadInput) as caught:
        load()
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_flag_for_docker_beats_its_section_and_leaves_the_rest() -> None:
    Path("move37.toml").write_text('[docker]\nruntime = "crun"\nimage = "mine"\n')
    sandbox = load().with_flags(docker={"runtime": "runsc"}).sandbox
    assert (sandbox.runtime, sandbox.image) == ("runsc", "mine")
    with pytest.raises(BadInput, match="--runtime"):
        load({"docker": {"runtime": "kata"}})


def test_a_program_is_found_again_from_another_folder() -> None:
    """The task is stored with the campaign, and `resume` may run elsewhere."""
    assert load({"task": "program:packing"}).campaign.task == f"program:{Path.cwd() / 'packing'}"
    with pytest.raises(BadInput, match="program:DIR"):
        load({"task": "program:"})


def test_a_file_that_is_not_text_is_named() -> None:
    Path("move37.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"move37\.toml"):
        load()


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("budget", "0"),
        ("budget", "1.5"),
        ("max_time", "ten"),
        ("max_time", "0s"),
        ("max_tokens", "50kk"),
        ("max_cost", "nan"),
        ("max_cost", "-1"),
        ("seed", 2**31),
        ("task", ""),
    ],
)
def test_a_bad_flag_is_named_as_it_was_typed(flag: str, value: object) -> None:
    with pytest.raises(BadInput, match=f"--{flag.replace('_', '-')}"):
        load({flag: value})


def test_the_guide_names_every_setting() -> None:
    guide = (Path(__file__).parents[2] / "docs/settings.md").read_text()
    told = {key for line in guide.splitlines() if line.startswith("| `") for key in line.split("|")[1].split("`")[1::2]}
    sections = {f"{name}.{key}" for name, section in SECTIONS.items() for key in section.model_fields}
    assert told == set(Sources.model_fields) - set(SECTIONS) | sections
