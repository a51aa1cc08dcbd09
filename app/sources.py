"""Every setting once: its name, bounds, default and meaning. Flags, MOVE37_NAME and keys of move37.toml share names.

Flat keys stand in `WrittenCampaign`, `WrittenModels` and the agents' `ConversationLimits`, tables of the file in the
classes before them; `Sources` inherits the former, names the latter, and reads all of it. `settings.py` gives each
room the same models, with what only a reader can add.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from move37.agents.limits import ConversationLimits
from move37.app.choices import Approve, Backend, Device, Effort, LogLevel, Preset, Runtime, ScaleName
from move37.app.exits import BadInput
from move37.app.units import MOST, YEAR, count, dollars, duration, seconds
from move37.lab.scale import CPU
from move37.lab.tasks.registry import DEFAULT, TASKS
from move37.memory.records import MEMORY_KINDS, MemoryKind

FILE = Path("move37.toml")


def _typed(read: Callable[[str], float]) -> Callable[[Any], Any]:
    """What a user typed, read; a number of a TOML file is one."""
    return lambda value: read(value) if isinstance(value, str) else value


def _absolute(path: Path) -> Path:
    # So that a campaign can be resumed from another folder.
    return path.expanduser().absolute()


def _task(name: str) -> str:
    kind, _, folder = name.partition(":")
    known = next((k for k in TASKS if k.name == kind and k.folder), None)
    if known is not None and not folder.strip():
        raise BadInput(f"--task {name} names no folder: write {known.usage}")
    return f"{kind}:{_absolute(Path(folder))}" if known is not None else name  # others are refused when they are opened


def _image(name: str) -> str:
    # What the engine would read as another path of its interface is no name.
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._/:@-]*[A-Za-z0-9])?", name) or ".." in name:
        raise ValueError("no image has such a name; write it as in team/image:tag")
    return name


Seconds = Annotated[float, BeforeValidator(_typed(seconds)), Field(gt=0, le=YEAR, allow_inf_nan=False)]
Duration = Annotated[float, BeforeValidator(_typed(duration)), Field(gt=0, le=YEAR, allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_typed(count)), Field(gt=0, le=MOST["tokens"])]
Candidates = Annotated[int, BeforeValidator(_typed(count)), Field(gt=0, le=MOST["candidates"])]
Dollars = Annotated[float, BeforeValidator(_typed(dollars)), Field(gt=0, le=MOST["cost"], allow_inf_nan=False)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]  # US dollars per million tokens
Temperature = Annotated[float, Field(ge=0, le=5)]
Text = Annotated[str, Field(min_length=1)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class Frozen(BaseModel):
    """A table of settings; an unknown key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def changed(self, **values: Any) -> Self:
        """The same with other values, which are not checked again (as `dataclasses.replace`)."""
        assert values.keys() <= type(self).model_fields.keys()
        return self.model_copy(update=values)


class WrittenMemory(Frozen):
    """[memory]: where lessons are kept."""

    url: Text | None = None  # of a Qdrant server; None: embedded in the home
    embedding_model: Text | None = None  # a sentence-transformers model's name or folder; None: the packaged one
    kinds: tuple[MemoryKind, ...] = MEMORY_KINDS  # which are recalled


class WrittenDocker(Frozen):
    """[docker]"""

    runtime: Runtime | None = None  # None: the daemon's default
    image: Annotated[Text, AfterValidator(_image)] | None = None  # None: the one that `move37 sandbox build` makes


class AskSettings(Frozen):
    """One table of [roles]: how a model is asked; None leaves what holds for all."""

    temperature: Temperature | None = None  # None: the endpoint's own
    effort: Effort | None = None  # of reasoning
    reply_tokens: Count | None = None  # of one reply
    base_url: Text | None = None


class RolesSettings(Frozen):
    """[roles]"""

    researcher: AskSettings = AskSettings()
    critic: AskSettings = AskSettings()
    engineer: AskSettings = AskSettings()
    debugger: AskSettings = AskSettings()
    analyst: AskSettings = AskSettings()


class PriceSettings(Frozen):
    """One table of [prices]: the user's own price of a model."""

    prompt: Price
    completion: Price
    cached: Price | None = None  # prompt tokens that the provider had cached; None: as the others


class ScaleSection(Frozen):
    """[scale]"""

    name: ScaleName | None = None  # None: own where a size is given, else cpu
    width: Annotated[int, Field(ge=4, le=8192)] = CPU.width
    layers: Annotated[int, Field(ge=1, le=256)] = CPU.layers
    heads: Annotated[int, Field(ge=1, le=256)] = CPU.heads
    steps: Annotated[int, BeforeValidator(_typed(count)), Field(ge=1, le=10**8)] = CPU.steps
    context: Annotated[int, Field(ge=2, le=2**20)] = CPU.context
    batch: Annotated[int, Field(ge=1, le=65_536)] = CPU.batch
    micro_batch: Annotated[int, Field(ge=0, le=65_536)] = 0
    tokens: AbsolutePath | None = None  # the user's own text


SECTIONS: Mapping[str, type[BaseModel]] = {
    "memory": WrittenMemory, "docker": WrittenDocker, "roles": RolesSettings, "scale": ScaleSection,
}  # fmt: skip


class WrittenCampaign(Frozen):
    """What is to be done, and what it may cost."""

    task: Annotated[Text, AfterValidator(_task)] = DEFAULT  # a folder in it is absolute
    preset: Preset = "quick"
    budget: Candidates | None = None  # experiments with role candidate; None: the preset's own
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    max_time: Duration | None = None  # seconds of wall clock
    max_tokens: Count | None = None  # prompt and completion tokens of all models
    max_cost: Dollars | None = None  # US dollars
    brief: AbsolutePath | None = None  # the user's research direction, Markdown
    corpus: AbsolutePath | None = None  # the user's own text
    device: Device = "auto"
    approve: Approve = "never"
    approval_timeout: Duration = 600.0  # seconds until a request that nobody answers goes on
    notify: Text | None = Field(default=None, repr=False)  # a webhook or a command; an address may be a secret
    workers: Annotated[int, Field(ge=1, le=256)] | None = None  # experiments that run at once; None: from the cores
    confirm: bool | None = None  # take standing claims up the ladder at the end; None: as the preset does


class WrittenModels(Frozen):
    """Which model, and how it is asked."""

    model: Text = "designer"  # URI, or role=URI,...,default=URI
    base_url: Text | None = None  # of an OpenAI-compatible endpoint
    reply_tokens: Count = 8_192  # of one reply
    reply_seconds: Seconds | None = None  # of one reply; None: 300 of a service, 1,800 of a model on this machine
    temperature: Temperature | None = None
    effort: Effort | None = None
    roles: RolesSettings = RolesSettings()
    prices: dict[str, PriceSettings] = Field(default_factory=dict)  # by the model's URI


class Sources(BaseSettings, WrittenCampaign, ConversationLimits, WrittenModels):
    """Reads all of it, as flags, as MOVE37_NAME, and as keys of move37.toml."""

    model_config = SettingsConfigDict(
        env_prefix="MOVE37_", env_nested_delimiter="__", extra="forbid", env_ignore_empty=True
    )
    _count = field_validator("context_tokens", mode="before")(_typed(count))  # of `ConversationLimits`
    home: Path = Path(".move37")
    log_level: LogLevel = "warning"
    sandbox: Backend = "auto"
    memory: WrittenMemory = WrittenMemory()
    docker: WrittenDocker = WrittenDocker()
    scale: ScaleSection = ScaleSection()

    def __init__(self, *, _file: Path, **flags: Any) -> None:
        super().__init__(_toml=_file, **flags)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the file that `load` named."""
        assert isinstance(init_settings, InitSettingsSource)
        file = init_settings.init_kwargs.pop("_toml", FILE)
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)


class Keys(BaseSettings):
    """Secrets, under the names that their providers use; never from a file."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)
    api_key: SecretStr | None = Field(default=None, validation_alias="MOVE37_API_KEY")
    qdrant_api_key: SecretStr | None = Field(default=None, validation_alias="QDRANT_API_KEY")
