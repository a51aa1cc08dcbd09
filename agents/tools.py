"""Tools of the roles. Filled in below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autogen_core.tools import BaseTool

from move37.agents.experiment_context import ExperimentContext


def for_role(role: str, ctx: ExperimentContext) -> Sequence[BaseTool[Any, Any]]:
    """What `role` may call."""
    return ()
