"""The only reader of the environment and of TOML: flags beat MOVE37_* beats move37.toml beats the defaults.

Read in this order: `Settings` and its frozen slices (what the rooms get), `load`; what a user may write
stands in `app/sources.py`, durations ("10m") and counts ("50k") are read by `app/quantities.py`.
Keys of model providers come from the environment alone, under the names that the providers themselves use.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import (
    SettingsError,
)

from move37.app.choices import Approve, Backend, Device, Effort, LogLevel, Preset, Runtime
from move37.app.complaints import one_line
from move37.app.exits import BadInput
from move37.app.sources import FILE, KINDS, SECTIONS, Keys, Kind, ScaleSection, Sources
from move37.lab.scale import CPU, OWN, SCALES, Scale
from move37.lab.tasks.registry import DEFAULT, TASKS

_OF_PROVIDERS = ("_API_KEY", "_HOST")  # ends of the variables in which providers of models keep keys and addresses
# Variables of that form which are no settings: a job's output folder, and those of scripts and tests.
OTHERS = {"MOVE37_OUT", "MOVE37_PYTHON", "MOVE37_DOCKERD_LOG", "MOVE37_QDRANT_URL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSettings:
    """What is to be done, and what it may cost."""

    task: str = DEFAULT  # a folder in it is absolute
    preset: Preset = "quick"
    budget: int | None = None  # experiments with role candidate; None: the preset's own
    seed: int = 0
    max_seconds: float | None = None  # wall clock
    max_tokens: int | None = None  # prompt and completion tokens of all models
    max_cost: float | None = None  # US dollars
    brief: Path | None = None  # the person's research direction, Markdown
    corpus: Path | None = None  # the person's own text
    scale: Scale = CPU
    device: Device = "auto"
    approve: Approve = "never"
    approval_seconds: float = 600.0  # until a request that nobody answers goes on
    notify: str | None = field(default=None, repr=False)  # the person's webhook or command; an address may be a secret
    workers: int | None = None  # experiments that run at once; None: from the cores
    confirm: bool | None = None  # take standing claims up the ladder at the end; None: as the preset does


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationSettings:
    """The limits of a conversation."""

    negotiation_rounds: int = 2  # objections that the Researcher may answer
    debug_attempts: int = 3  # files that the Debugger may write
    ideas: int = 3  # hypotheses that a language model proposes at once; the search draws one
    context_tokens: int | None = None  # of one role's context; None: 24,000 for hosted models, 6,000 for local ones
    plans: bool = False  # a language model may propose a plan of the grammar, which is turned into code as it stands
    reflect: bool = True  # the principles are revised after every generation
    reflect_every: int = 4  # and within it after so many experiments; 0: never
    refusals_tried: float = 0.1  # share of what the Critic refuses that is tried all the same, to measure the Critic
    recollections: int = 6
    recollection_tokens: int = 2400


@dataclass(frozen=True, slots=True, kw_only=True)
class AskSettings:
    """How a model is asked; of one role, None leaves what holds for all."""

    temperature: float | None = None  # None: the endpoint's own
    effort: Effort | None = None  # of reasoning
    reply_tokens: int | None = None  # of one reply
    base_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSettings:
    """The user's own price of a model, in US dollars per million tokens."""

    prompt: float
    completion: float
    cached: float | None = None  # prompt tokens that the provider had cached; None: as the others


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Which model, and how it is reached. Keys are left out of every repr."""

    model: str = "designer"  # URI, or role=URI,...,default=URI
    base_url: str | None = None  # of an OpenAI-compatible endpoint
    key: str | None = field(default=None, repr=False)  # for `base_url`, before the provider's own
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)  # of the environment: providers' keys, hosts
    reply_tokens: int = 8_192  # of one reply
    reply_seconds: float = 300.0  # a slow model on a CPU may need more
    temperature: float | None = None
    effort: Effort | None = None
    roles: Mapping[str, AskSettings] = field(default_factory=dict)  # by the role's name in lower case
    prices: Mapping[str, PriceSettings] = field(default_factory=dict)  # by the model's URI


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """Where code that we do not trust runs."""

    backend: Backend = "auto"
    runtime: Runtime | None = None  # of Docker; None: the daemon's default
    image: str | None = None  # of Docker; None: the one that `move37 sandbox build` makes


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySettings:
    """Where lessons are kept."""

    url: str | None = None  # of a Qdrant server; None: embedded in the home
    api_key: str | None = field(default=None, repr=False)
    embedding_model: str | None = None  # a sentence-transformers model's name or folder; None: the packaged one
    kinds: tuple[Kind, ...] = KINDS  # which are recalled


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything, as one frozen record; each room gets its own slice."""

    home: Path
    log_level: LogLevel = "warning"
    campaign: CampaignSettings = field(default_factory=CampaignSettings)
    conversation: ConversationSettings = field(default_factory=ConversationSettings)
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
    return Settings(
        home=found.home.expanduser(),
        log_level=found.log_level,
        campaign=CampaignSettings(
            task=_task(found.task),
            preset=found.preset,
            budget=found.budget,
            seed=found.seed,
            max_seconds=found.max_time,
            max_tokens=found.max_tokens,
            max_cost=found.max_cost,
            brief=_path(found.brief),
            corpus=_path(found.corpus or found.scale.tokens),
            scale=_scale(found.scale, flags),
            device=found.device,
            approve=found.approve,
            approval_seconds=found.approval_timeout,
            notify=found.notify,
            workers=found.workers,
            confirm=found.confirm,
        ),
        conversation=ConversationSettings(
            negotiation_rounds=found.negotiation_rounds,
            debug_attempts=found.debug_attempts,
            ideas=found.ideas,
            context_tokens=found.context_tokens,
            plans=found.plans,
            reflect=found.reflect,
            reflect_every=found.reflect_every,
            refusals_tried=found.refusals_tried,
            recollections=found.recollections,
            recollection_tokens=found.recollection_tokens,
        ),
        models=ModelSettings(
            model=found.model,
            base_url=found.base_url,
            key=_plain(keys.api_key),
            variables={name: value for name, value in os.environ.items() if value and name.endswith(_OF_PROVIDERS)},
            reply_tokens=found.reply_tokens,
            reply_seconds=found.reply_seconds,
            temperature=found.temperature,
            effort=found.effort,
            roles={name: AskSettings(**ask.model_dump()) for name, ask in found.roles},
            prices={name: PriceSettings(**price.model_dump()) for name, price in found.prices.items()},
        ),
        sandbox=SandboxSettings(backend=found.sandbox, runtime=found.docker.runtime, image=found.docker.image),
        memory=MemorySettings(
            url=found.memory.url,
            api_key=_plain(keys.qdrant_api_key),
            embedding_model=found.memory.embedding_model,
            kinds=found.memory.kinds,
        ),
        flags=dict(flags),
    )


def unknown_variables() -> list[str]:
    """Names in the environment that look like settings and are none, each with the nearest that is one."""
    known = {f"MOVE37_{name.upper()}" for name in Sources.model_fields}
    told = []
    for name in sorted(os.environ):
        if name.startswith("MOVE37_") and name.partition("__")[0] not in known and name not in OTHERS:
            near = get_close_matches(name, sorted(known), n=1)
            told.append(f"{name} is not a setting" + (f": did you mean {near[0]}?" if near else ""))
    return told


def _task(name: str) -> str:
    kind, _, folder = name.partition(":")
    known = next((k for k in TASKS if k.name == kind and k.folder), None)
    if known is not None and not folder.strip():
        raise BadInput(f"--task {name} names no folder: write {known.usage}")
    return f"{kind}:{_path(Path(folder))}" if known is not None else name  # others are refused when they are opened


def _scale(found: ScaleSection, flags: Mapping[str, Any]) -> Scale:
    """A ready-made scale by its name, or the person's own sizes. Raises `BadInput` where both are asked for."""
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


def _path(path: Path | None) -> Path | None:
    # Absolute, so that a campaign can be resumed from another folder.
    return path.expanduser().absolute() if path else None


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
