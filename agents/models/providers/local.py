"""local:NAME-or-PATH, a model file in a process of ours (models/local)."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from move37.agents.errors import BadModel
from move37.agents.models.local import AT_ONCE
from move37.agents.models.provider import SMALL_CONTEXT_TOKENS, ModelOptions, Provider

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

CONTEXT_TOKENS = 12_288  # of a file that we know nothing of
REPLY_TOKENS = 3_072  # room for a file beside a context of the same window


def _open(name: str, options: ModelOptions) -> ChatCompletionClient:
    if find_spec("xllamacpp") is None:
        raise BadModel("local: needs llama.cpp: pip install 'move37[local]'")
    from move37.agents.models.local.catalogue import located
    from move37.agents.models.local.client import LocalModel
    from move37.agents.models.local.process import server_of

    path, known = located(name)
    window = options.context_tokens or known or CONTEXT_TOKENS
    bounded = replace(options, reply_tokens=min(options.reply_tokens, REPLY_TOKENS), base_url=None, key=None)
    return LocalModel(name, server_of(path, ("--context", str(window))), bounded, context_tokens=window)


async def _window(client: Any, name: str) -> int | None:
    """That which its process is started with."""
    window: int = client.context_tokens
    return window


PROVIDER = Provider(
    name="local",
    open=_open,
    form="NAME-or-PATH",
    local=True,
    names_files=True,
    at_once=AT_ONCE,
    window=_window,
    context_tokens=SMALL_CONTEXT_TOKENS,
)
