"""Who fills a role, by the URI of a model: the search for `designer`, a language model for every other."""

from __future__ import annotations

from autogen_core.models import ChatCompletionClient

from move37.agents.language_model import LanguageModel
from move37.agents.models import signature
from move37.agents.roles import Scientist
from move37.agents.search.agent import Search


def scientist(client: ChatCompletionClient | None) -> Scientist:
    """The search where there is no model client."""
    return Search() if client is None else LanguageModel(client, signature=signature(client))
