"""replay:FILE, the recorded replies of an earlier run (models/replay.py)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from move37.agents.models.provider import ModelOptions, Provider

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient


def _open(name: str, options: ModelOptions) -> ChatCompletionClient:
    from move37.agents.models.replay import Replay

    return Replay.open(Path(name))


PROVIDER = Provider(name="replay", open=_open, form="FILE", local=True, names_files=True)
