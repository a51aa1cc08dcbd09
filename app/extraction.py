"""The chosen language model reads a paper for the memory: what `move37.memory.ingest` calls an extractor.

`designer` and recordings read nothing: then there is no extractor, and the text is split as it stands.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from move37.app.settings import Settings
    from move37.memory.ingest import Extractor


def extractor(settings: Settings, model: str | None = None) -> Extractor | None:
    """One that asks `model`, or the settings' own. Raises `BadModel` for a name that is none."""
    from move37.agents.models import HOSTED, open_model, parse

    uri = model or settings.models.model
    provider = parse(uri).provider
    if provider not in HOSTED:
        return None
    models = settings.models
    key = {"openai": models.openai_api_key, "anthropic": models.anthropic_api_key}.get(provider)
    address = models.ollama_host if provider == "ollama" and models.base_url is None else models.base_url

    def ask(prompt: str) -> list[dict[str, Any]]:
        return asyncio.run(_asked(open_model(uri, base_url=address, api_key=key), prompt))

    return ask


async def _asked(client: Any, prompt: str) -> list[dict[str, Any]]:
    from autogen_core.models import UserMessage

    from move37.memory.ingest import Extraction

    try:
        result = await client.create([UserMessage(content=prompt, source="memory")], json_output=Extraction)
    finally:
        await client.close()
    return [item.model_dump() for item in Extraction.model_validate_json(result.content).insights]
