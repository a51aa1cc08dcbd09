"""What a user may write, and within which bounds: flags, MOVE37_NAME, keys of move37.toml. Read by `settings.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from move37.app.choices import Approve, Backend, Device, Effort, LogLevel, Preset, Runtime, ScaleName
from move37.app.quantities import count, dollars, duration, seconds
from move37.lab.scale import CPU
from move37.lab.tasks.registry import DEFAULT

FILE = Path("move37.toml")
Kind = Literal["cognition", "analysis", "principle"]
KINDS: tuple[Kind, ...] = ("cognition", "analysis", "principle")  # what memory holds


def _seconds(value: Any) -> Any:
    return seconds(value) if isinstance(value, str) else value


def _duration(value: Any) -> Any:
    return duration(value) if isinstance(value, str) else value


def _count(value: Any) -> Any:
    return count(value) if isinstance(value, str) else value


def _dollars(value: Any) -> Any:
    return dollars(value) if isinstance(value, str) else value


YEAR = 366 * 86_400.0
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=YEAR, allow_inf_nan=False)]
Duration = Annotated[float, BeforeValidator(_duration), Field(gt=0, le=YEAR, allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_count), Field(gt=0, le=10**12)]
Candidates = Annotated[int, BeforeValidator(_count), Field(gt=0, le=100_000)]
Dollars = Annotated[float, BeforeValidator(_dollars), Field(gt=0, le=1e6, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


class _Memory(BaseModel):
    """[memory]"""

    model_config = ConfigDict(extra="forbid")
    url: Text | None = None
    embedding_model: Text | None = None
    kinds: tuple[Kind, ...] = KINDS


class _Docker(BaseModel):
    """[docker]"""

    model_config = ConfigDict(extra="forbid")
    runtime: Runtime | None = None
    image: Text | None = None


class _Ask(BaseModel):
    """One table of [roles]"""

    model_config = ConfigDict(extra="forbid")
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    effort: Effort | None = None
    reply_tokens: Count | None = None
    base_url: Text | None = None


class _Roles(BaseModel):
    """[roles]"""

    model_config = ConfigDict(extra="forbid")
    researcher: _Ask = _Ask()
    critic: _Ask = _Ask()
    engineer: _Ask = _Ask()
    debugger: _Ask = _Ask()
    analyst: _Ask = _Ask()


class _Price(BaseModel):
    """One table of [prices]"""

    model_config = ConfigDict(extra="forbid")
    prompt: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    completion: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    cached: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class ScaleSection(BaseModel):
    """[scale]"""

    model_config = ConfigDict(extra="forbid")
    name: ScaleName | None = None  # None: own where a size is given, else cpu
    width: Annotated[int, Field(ge=4, le=8192)] = CPU.width
    layers: Annotated[int, Field(ge=1, le=256)] = CPU.layers
    heads: Annotated[int, Field(ge=1, le=256)] = CPU.heads
    steps: Annotated[int, BeforeValidator(_count), Field(ge=1, le=10**8)] = CPU.steps
    context: Annotated[int, Field(ge=2, le=2**20)] = CPU.context
    batch: Annotated[int, Field(ge=1, le=65_536)] = CPU.batch
    micro_batch: Annotated[int, Field(ge=0, le=65_536)] = 0
    tokens: Path | None = None


SECTIONS: Mapping[str, type[BaseModel]] = {
    "memory": _Memory, "docker": _Docker, "roles": _Roles, "scale": ScaleSection,
}  # fmt: skip


class Sources(BaseSettings):
    """What a person may write: the same names as flags, as MOVE37_NAME, and as keys of move37.toml."""

    model_config = SettingsConfigDict(
        env_prefix="MOVE37_", env_nested_delimiter="__", extra="forbid", env_ignore_empty=True
    )
    home: Path = Path(".move37")
    log_level: LogLevel = "warning"
    task: Text = DEFAULT
    model: Text = "designer"
    base_url: Text | None = None
    reply_tokens: Count = 8_192
    reply_seconds: Seconds = 300.0
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    effort: Effort | None = None
    budget: Candidates | None = None
    max_time: Duration | None = None
    max_tokens: Count | None = None
    max_cost: Dollars | None = None
    brief: Path | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    sandbox: Backend = "auto"
    preset: Preset = "quick"
    corpus: Path | None = None
    approve: Approve = "never"
    approval_timeout: Duration = 600.0
    notify: Text | None = None
    workers: Annotated[int, Field(ge=1, le=256)] | None = None
    confirm: bool | None = None
    negotiation_rounds: Annotated[int, Field(ge=0, le=20)] = 2
    debug_attempts: Annotated[int, Field(ge=0, le=20)] = 3
    ideas: Annotated[int, Field(ge=1, le=8)] = 3
    context_tokens: Annotated[Count, Field(ge=1_000)] | None = None
    plans: bool = False
    reflect: bool = True
    reflect_every: Annotated[int, Field(ge=0, le=1_000)] = 4
    refusals_tried: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    recollections: Annotated[int, Field(ge=0, le=50)] = 6
    recollection_tokens: Annotated[int, Field(ge=0, le=100_000)] = 2400
    memory: _Memory = _Memory()
    docker: _Docker = _Docker()
    scale: ScaleSection = ScaleSection()
    device: Device = "auto"
    roles: _Roles = _Roles()
    prices: dict[str, _Price] = Field(default_factory=dict)

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
