"""What a provider of models is: its name, its key's variable, and how it opens a model. Imports nothing heavy.

One file in providers/ a provider, which ends in `PROVIDER = Provider(...)`, and one line in providers/__init__.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from move37.agents.errors import BadModel

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient, ModelInfo

REPLY_TOKENS = 8_192  # room for a whole file; small models run on for ever without an end
REPLY_SECONDS, OWN_REPLY_SECONDS = 300.0, 1_800.0  # of a service; of this machine, where a page takes minutes
CONNECT_SECONDS = 20.0  # until a server takes the connection; its answer may take longer
Effort = Literal["none", "minimal", "low", "medium", "high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """How a model is reached and asked. None: the endpoint's own."""

    base_url: str | None = None
    key: str | None = None
    seed: int | None = 0  # reaches endpoints that take one
    temperature: float | None = None
    effort: Effort | None = None  # of reasoning
    reply_tokens: int = REPLY_TOKENS
    reply_seconds: float | None = None  # one call; None: as long as such a server may need
    retries: int = 2  # further attempts after an invalid reply
    context_tokens: int | None = None  # of the model's window; for models that we start ourselves


CONTEXT_TOKENS, SMALL_CONTEXT_TOKENS = 24_000, 6_000  # of a role's context without a known window: hosted, local


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider."""

    name: str  # before the colon
    open: Callable[[str, ModelOptions], ChatCompletionClient]  # what stands after it -> a client; raises BadModel
    form: str = "NAME"  # of what stands after the colon, for help
    key_variable: str = ""  # of the environment
    address_variable: str = ""  # of the environment: where its server is, unless the user names one
    local: bool = False  # costs nothing
    names_files: bool = False  # what stands after the colon may be a path
    at_once: int | None = None  # calls that its server takes side by side; None: it sees to that itself
    context_tokens: int = CONTEXT_TOKENS  # of a role's context where the window is not known
    # The client that `open` gave, and the model's name -> tokens of its window, or None. May ask the server; may raise.
    window: Callable[[Any, str], Awaitable[int | None]] | None = None


def sampling(options: ModelOptions) -> dict[str, Any]:
    """Seed and temperature, as most endpoints name them."""
    wanted = {"seed": options.seed, "temperature": options.temperature}
    return {name: value for name, value in wanted.items() if value is not None}


def check_address(url: str | None) -> None:
    """Raises `BadModel` when a base URL is none."""
    if url is not None and urlsplit(url).scheme not in ("http", "https"):
        raise BadModel(f"--base-url {url} is no http(s) address: write it like http://127.0.0.1:8080/v1")


def is_loopback(url: str) -> bool:
    """Whether `url` is on this machine."""
    host = (urlsplit(url).hostname or "").lower()
    return host in ("localhost", "::1") or host.startswith("127.")


def reply_seconds(provider: Provider, options: ModelOptions) -> float:
    """How long one call may take: what the options say, else as long as a server where this one is may need."""
    own = provider.local or (options.base_url is not None and is_loopback(options.base_url))
    return options.reply_seconds or (OWN_REPLY_SECONDS if own else REPLY_SECONDS)


def key_for(options: ModelOptions) -> str | None:
    """The key to send; None: the SDK looks in its own variable. What runs on this machine is not sent that one."""
    if options.key is None and options.base_url is not None and is_loopback(options.base_url):
        return "none"
    return options.key


def info(*, structured: bool = True, json: bool = True, tools: bool = True) -> ModelInfo:
    """For models that autogen-ext does not know."""
    from autogen_core.models import ModelFamily, ModelInfo

    return ModelInfo(
        vision=False,
        function_calling=tools,
        json_output=json,
        family=ModelFamily.UNKNOWN,
        structured_output=structured,
        multiple_system_messages=False,
    )


def no_key(provider: str, name: str, variable: str) -> BadModel:
    """The sentence for a missing key."""
    return BadModel(f"{provider}:{name} needs a key: set {variable}, or use --model designer, which needs none")
