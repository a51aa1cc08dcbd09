"""Flags beat the environment, which beats move37.toml, which beats the defaults; bad values get one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import pytest

from move37.app.commands.run import campaign
from move37.app.exits import BadInput
from move37.app.settings import Settings, load, unknown_variables
from move37.app.sources import SECTIONS, Sources
from move37.lab.scale import SMALL

ROOT = Path(__file__).parents[2]


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
    assert (campaign.budget, campaign.seed, campaign.max_time, campaign.preset) == (1, 2, 600.0, "full")


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
        ("[docker]\nimage = ''", "docker.image"),
        ("[docker]\nimage = '../containers'", "no image has such a name"),
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


@pytest.mark.parametrize(
    "name",
    ["mine", "python:3.11", "localhost:5000/a/b:1", "sha256:" + "0" * 64, "a@sha256:" + "0" * 64, "deadbeef"],
)
def test_what_docker_may_know_as_an_image_is_its_name(name: str) -> None:
    assert load({"docker": {"image": name}}).sandbox.image == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "-v", "--rm", "/etc", "../x", "a/../b", "a?b", "a#b", "a%2fb", "a\nb", "a\x00b", "bäh", "a:"],
)
def test_what_the_engine_could_read_as_another_path_is_no_images_name(name: str) -> None:
    with pytest.raises(BadInput, match=r"^--image: "):
        load({"docker": {"image": name}})


def test_what_only_docker_has_is_not_passed_over_in_silence() -> None:
    with pytest.raises(BadInput, match="are Docker's"):
        load({"docker": {"image": "mine"}, "sandbox": "process"})
    Path("move37.toml").write_text('[docker]\nimage = "mine"\n')
    assert load({"sandbox": "process"}).sandbox.backend == "process"  # a file may serve both


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


def guided() -> list[tuple[list[str], list[str]]]:
    """The keys of each line of the guide, and what stands in code quotes in its column of defaults."""
    lines = (Path(__file__).parents[2] / "docs/settings.md").read_text().splitlines()
    cells = [line.split("|") for line in lines if line.startswith("| `")]
    return [(c[1].split("`")[1::2], c[2].split("`")[1::2]) for c in cells]


def test_the_guide_names_every_setting() -> None:
    sections = {f"{name}.{key}" for name, section in SECTIONS.items() for key in section.model_fields}
    assert {key for keys, _ in guided() for key in keys} == set(Sources.model_fields) - set(SECTIONS) | sections


def test_a_default_that_the_guide_or_a_flag_names_is_the_settings_own(tmp_path: Path) -> None:
    """A setting's default stands in its model; guide and help repeat it for readers."""
    none = tmp_path / "none.toml"
    own = Sources(_file=none)
    told = {
        k: d for keys, defaults in guided() if len(keys) == len(defaults) for k, d in zip(keys, defaults, strict=True)
    }
    for name, parameter in signature(campaign(interactive=False), eval_str=True).parameters.items():
        for option in getattr(parameter.annotation, "__metadata__", ()):
            if (shown := re.search(r"\[default: (\S+)\]", option.help or "")) and name in Sources.model_fields:
                told[f"--{name}"] = shown[1]
    names = {key: key.removeprefix("--").partition(".")[0] for key in told}
    assert {"negotiation_rounds", "--negotiation_rounds", "approval_timeout", "--approval_timeout", "--seed"} <= set(
        told
    )
    for key, default in told.items():
        if names[key] not in SECTIONS:
            assert getattr(Sources(_file=none, **{names[key]: default}), names[key]) == getattr(own, names[key]), key


# What a user may have written already: key, value as text, where a room finds it, what is there then.
WRITTEN: tuple[tuple[str, str, Callable[[Settings], object], object], ...] = (
    ("home", "there", lambda s: s.home, Path("there")),
    ("log_level", "info", lambda s: s.log_level, "info"),
    ("task", "mixers", lambda s: s.campaign.task, "mixers"),
    ("preset", "full", lambda s: s.campaign.preset, "full"),
    ("budget", "5", lambda s: s.campaign.budget, 5),
    ("max_time", "10m", lambda s: s.campaign.max_time, 600.0),
    ("max_tokens", "50k", lambda s: s.campaign.max_tokens, 50_000),
    ("max_cost", "2.50", lambda s: s.campaign.max_cost, 2.5),
    ("seed", "7", lambda s: s.campaign.seed, 7),
    ("brief", "b.md", lambda s: s.campaign.brief == Path.cwd() / "b.md", True),
    ("corpus", "texts", lambda s: s.campaign.corpus == Path.cwd() / "texts", True),
    ("scale.name", "small", lambda s: s.campaign.scale, SMALL),
    ("scale.width", "32", lambda s: s.campaign.scale.width, 32),
    ("scale.layers", "3", lambda s: s.campaign.scale.layers, 3),
    ("scale.heads", "2", lambda s: s.campaign.scale.heads, 2),
    ("scale.steps", "1k", lambda s: s.campaign.scale.steps, 1_000),
    ("scale.context", "64", lambda s: s.campaign.scale.context, 64),
    ("scale.batch", "12", lambda s: s.campaign.scale.batch, 12),
    ("scale.micro_batch", "4", lambda s: s.campaign.scale.micro_batch, 4),
    ("scale.tokens", "book", lambda s: s.campaign.corpus == Path.cwd() / "book", True),
    ("device", "cpu", lambda s: s.campaign.device, "cpu"),
    ("model", "openai:x", lambda s: s.models.model, "openai:x"),
    ("base_url", "http://h", lambda s: s.models.base_url, "http://h"),
    ("reply_tokens", "4k", lambda s: s.models.reply_tokens, 4_000),
    ("reply_seconds", "90", lambda s: s.models.reply_seconds, 90.0),
    ("temperature", "0.5", lambda s: s.models.temperature, 0.5),
    ("effort", "low", lambda s: s.models.effort, "low"),
    *(
        (f"roles.{role}", '{"effort": "high"}', lambda s, r=role: getattr(s.models.roles, r).effort, "high")
        for role in ("researcher", "critic", "engineer", "debugger", "analyst")
    ),
    ("prices", '{"openai:x": {"prompt": 1, "completion": 2}}', lambda s: s.models.prices["openai:x"].completion, 2.0),
    ("approve", "auto", lambda s: s.campaign.approve, "auto"),
    ("confirm", "true", lambda s: s.campaign.confirm, True),
    ("approval_timeout", "90s", lambda s: s.campaign.approval_timeout, 90.0),
    ("notify", "say", lambda s: s.campaign.notify, "say"),
    ("negotiation_rounds", "1", lambda s: s.conversation.negotiation_rounds, 1),
    ("debug_attempts", "0", lambda s: s.conversation.debug_attempts, 0),
    ("ideas", "2", lambda s: s.conversation.ideas, 2),
    ("context_tokens", "8k", lambda s: s.conversation.context_tokens, 8_000),
    ("plans", "true", lambda s: s.conversation.plans, True),
    ("reflect", "false", lambda s: s.conversation.reflect, False),
    ("reflect_every", "3", lambda s: s.conversation.reflect_every, 3),
    ("refusals_tried", "0.2", lambda s: s.conversation.refusals_tried, 0.2),
    ("recollections", "5", lambda s: s.conversation.recollections, 5),
    ("recollection_tokens", "900", lambda s: s.conversation.recollection_tokens, 900),
    ("workers", "3", lambda s: s.campaign.workers, 3),
    ("sandbox", "process", lambda s: s.sandbox.backend, "process"),
    ("docker.runtime", "runsc", lambda s: s.sandbox.runtime, "runsc"),
    ("docker.image", "mine", lambda s: s.sandbox.image, "mine"),
    ("memory.url", "http://q", lambda s: s.memory.url, "http://q"),
    ("memory.embedding_model", "e5", lambda s: s.memory.embedding_model, "e5"),
    ("memory.kinds", '["analysis"]', lambda s: s.memory.kinds, ("analysis",)),
)


@pytest.mark.parametrize(("key", "value", "found", "expected"), WRITTEN, ids=[row[0] for row in WRITTEN])
def test_a_key_reaches_its_room_from_the_environment_and_from_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str, value: str, found: Callable[[Settings], object],
    expected: object,
) -> None:  # fmt: skip
    file = tmp_path / "move37.toml"
    plain = value if value[0] not in "[{" and value not in ("true", "false") else None
    quoted = f'"{plain}"' if plain is not None else re.sub(r'": ', '" = ', value)
    file.write_text(f"{key} = {quoted}\n")
    assert found(load({}, file=file)) == expected
    monkeypatch.setenv(f"MOVE37_{key.replace('.', '__').upper()}", value)
    assert found(load({}, file=tmp_path / "none.toml")) == expected


def test_every_key_is_among_those(tmp_path: Path) -> None:
    assert {row[0] for row in WRITTEN} == {key for keys, _ in guided() for key in keys}


def test_every_variable_that_is_documented_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of compose.yaml, too: a name that is none ends the worker, or costs each command a line."""
    files = [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in ("README.md", "compose.yaml", "install.sh"))]
    names = {name for file in files for name in re.findall(r"\bMOVE37_[A-Z0-9_]*[A-Z0-9]", file.read_text())}
    assert {"MOVE37_API_KEY", "MOVE37_DEVICE", "MOVE37_MEMORY__URL"} <= names
    for name in names:
        monkeypatch.setenv(name, "1")
    assert unknown_variables() == []
    for name in names:
        section, _, key = name.removeprefix("MOVE37_").lower().partition("__")
        kind = Sources.model_fields[section].annotation if key else None
        assert kind is None or key in kind.model_fields, name  # type: ignore[union-attr]
