"""The only reader of the environment and of TOML: flags beat MOVE37_* beats move37.toml beats the defaults.

Read in this order: `app/sources.py` (every setting: name, bounds, default, meaning), `Settings` and its frozen slices
(what the rooms get), `load`; durations ("10m") and counts ("50k") are read by `app/units.py`.
Keys of model providers come from the environment alone, under the names that the providers themselves use.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import SettingsError

from move37.agents.limits import ConversationLimits
from move37.app.choices import Backend, LogLevel
from move37.app.exits import BadInput
from move37.app.sources import (
    FILE,
    SECTIONS,
    Keys,
    ScaleSection,
    Sources,
    WrittenCampaign,
    WrittenDocker,
    WrittenMemory,
    WrittenModels,
)
from move37.app.validation_messages import one_line
from move37.lab.scale import CPU, OWN, SCALES, Scale
from move37.sandbox.docker.settings import DockerSettings

_OF_PROVIDERS = ("_API_KEY", "_HOST")  # ends of the variables in which providers of models keep keys and addresses
# Variables of that form which are no settings: a job's output folder, those of compose.yaml, of scripts and of tests.
OTHERS = {"MOVE37_OUT", "MOVE37_PYTHON", "MOVE37_DOCKERD_LOG", "MOVE37_QDRANT_URL"}
OTHERS |= {"MOVE37_DOCKER_SOCKET", "MOVE37_PROXY_CONTAINERS"}
_Slice = TypeVar("_Slice", bound=BaseModel)


class CampaignSettings(WrittenCampaign):
    """What is to be done, and what it may cost."""

    scale: Scale = CPU


class ModelSettings(WrittenModels):
    """Which model, and how it is reached. Keys are left out of every repr."""

    key: str | None = Field(default=None, repr=False)  # for `base_url`, before the provider's own
    variables: Mapping[str, str] = Field(default_factory=dict, repr=False)  # of the environment: providers' keys, hosts


class SandboxSettings(WrittenDocker):
    """Where code that we do not trust runs; runtime and image are Docker's."""

    backend: Backend = "auto"

    def docker(self) -> DockerSettings:
        """What the Docker backend is opened with."""
        return DockerSettings(image=self.image or "", runtime=self.runtime or "")


class MemorySettings(WrittenMemory):
    """Where lessons are kept."""

    api_key: str | None = Field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything, as one frozen record; each room gets its own slice."""

    home: Path
    log_level: LogLevel = "warning"
    campaign: CampaignSettings = field(default_factory=CampaignSettings)
    conversation: ConversationLimits = field(default_factory=ConversationLimits)
    models: ModelSettings = field(default_factory=ModelSettings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    flags: Mapping[str, Any] = field(default_factory=dict)  # as given on the command line so far

    def with_flags(self, **flags: Any) -> Settings:
        """The same sources read again under more flags; a flag that is None was not given."""
        return load(dict(self.flags) | {k: v for k, v in flags.items() if v is not None})


def load(flags: Mapping[str, Any] | None = None, *, file: Path = FILE) -> Settings:
    """Read every source. Raises `BadInput` with one line that names the place and the remedy."""
    given = {k: v for k, v in (flags or {}).items() if v is not None}
    try:
        found = Sources(_file=file, **given)
        keys = Keys()
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{file} is not valid TOML ({error}): correct it or move it away") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} is not UTF-8 text: correct it or move it away") from error
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror}): correct its permissions or move it away") from error
    except ValidationError as error:
        complaint = one_line(error, given, file, variables=os.environ, keys=Sources, sections=SECTIONS)
        raise BadInput(complaint) from error
    except SettingsError as error:  # of the environment: a table or a list is JSON there
        raise BadInput(f"{error}: write JSON, or name one key, as in MOVE37_MEMORY__URL") from error
    return _settings(found, keys, given)


def _settings(found: Sources, keys: Keys, flags: Mapping[str, Any]) -> Settings:
    variables = {name: value for name, value in os.environ.items() if value and name.endswith(_OF_PROVIDERS)}
    text = found.corpus or found.scale.tokens
    if found.sandbox == "process" and "docker" in flags:
        raise BadInput("--runtime and --image are Docker's: leave them out, or say --sandbox docker")
    return Settings(
        home=found.home.expanduser(),
        log_level=found.log_level,
        campaign=_slice(CampaignSettings, found, corpus=text, scale=_scale(found.scale, flags)),
        conversation=_slice(ConversationLimits, found),
        models=_slice(ModelSettings, found, key=_plain(keys.api_key), variables=variables),
        sandbox=SandboxSettings(backend=found.sandbox, **dict(found.docker)),
        memory=MemorySettings(api_key=_plain(keys.qdrant_api_key), **dict(found.memory)),
        flags=dict(flags),
    )


def _slice(kind: type[_Slice], found: Sources, **more: Any) -> _Slice:
    """The fields of `found` that `kind` has, and `more`."""
    return kind(**{name: value for name, value in found if name in kind.model_fields} | more)


def unknown_variables() -> list[str]:
    """Names in the environment that look like settings and are none, each with the nearest that is one."""
    known = {f"MOVE37_{name.upper()}" for name in Sources.model_fields}
    known |= {str(key.validation_alias) for key in Keys.model_fields.values()}
    told = []
    for name in sorted(os.environ):
        if name.startswith("MOVE37_") and name.partition("__")[0] not in known and name not in OTHERS:
            near = get_close_matches(name, sorted(k for k in known if k.startswith("MOVE37_")), n=1)
            told.append(f"{name} is not a setting" + (f": did you mean {near[0]}?" if near else ""))
    return told


def _scale(found: ScaleSection, flags: Mapping[str, Any]) -> Scale:
    """A ready-made scale by its name, or the user's own sizes. Raises `BadInput` where both are asked for."""
    sizes = found.model_dump(exclude={"name", "tokens"}, exclude_unset=True)
    name = found.name or (OWN if sizes else CPU.name)
    if name != OWN:
        if sizes and "scale" not in flags:  # a flag beats the file, sizes and all
            raise BadInput(f"scale {name} has its own sizes: leave {', '.join(sizes)} out, or name it {OWN}")
        return SCALES[name]
    if not sizes:
        raise BadInput(f"--scale {OWN} has no sizes: write width, layers, steps or the like under [scale] in {FILE}")
    try:
        return replace(CPU, name=OWN, **sizes)
    except ValueError as error:
        raise BadInput(f"[scale]: {error}") from error


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
