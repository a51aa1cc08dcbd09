"""The chosen language model reads a paper for the memory: what `move37.memory.ingest` calls an extractor.

`designer` and recordings read nothing: then there is no extractor, and the text is split as it stands.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from move37.agents.models import assigned, is_language_model, open_model
from move37.app.models import asked_by_role
from move37.memory.ingest import Extraction, Extractor

if TYPE_CHECKING:
    from move37.app.settings import Settings


def extractor(settings: Settings, model: str | None = None) -> Extractor | None:
    """One that asks `model`, or the settings' own. Raises `BadModel` for a name that is none."""
    assignment = assigned(model or settings.models.model)
    wanted = asked_by_role(settings, assignment)["Analyst"]  # whose work it is
    if not is_language_model(wanted.uri):
        return None

    def ask(prompt: str) -> list[dict[str, Any]]:
        return asyncio.run(_asked(open_model(wanted.uri, wanted.options), prompt))

    return ask


async def _asked(client: Any, prompt: str) -> list[dict[str, Any]]:
    from autogen_core.models import UserMessage

    try:
        result = await client.create([UserMessage(content=prompt, source="memory")], json_output=Extraction)
    finally:
        await client.close()
    return [item.model_dump() for item in Extraction.model_validate_json(result.content).insights]
