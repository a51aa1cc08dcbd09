"""`designer` as an AutoGen model client: an evolutionary search that answers in the form that each role is asked for.

It contains no language model and signs as a search. The role is told from `json_output`; facts come from the dossier
blocks that the lab put into the conversation, and from the replies and the person's lines in it. It keeps nothing
between calls: a draw depends on (campaign seed, experiment number, round), so that a repeated stage repeats its
answer.

Read `Designer.answer`, then the role's own file: researcher.py, critic.py, engineer.py (Engineer and Debugger),
analyst.py; for the task `program`, literals.py. The words are in lore.py and hearing.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from autogen_core.models import LLMMessage
from pydantic import BaseModel

from move37.agents.errors import ModelReplyInvalid
from move37.agents.models.client import JsonOutput, LocalClient, role_of
from move37.agents.models.designer import analyst, critic, engineer, researcher
from move37.agents.models.designer.scene import SIGNATURE, Scene, scene_of

_ROLES = {
    "Researcher": researcher.propose,
    "Critic": critic.judge,
    "Engineer": engineer.write,
    "Debugger": engineer.mend,
    "Analyst": analyst.read,
}


class Designer(LocalClient):
    """See the module."""

    signature = SIGNATURE

    async def answer(self, messages: Sequence[LLMMessage], json_output: JsonOutput) -> str:
        """The role's reply as JSON. Raises `ModelReplyInvalid` where a search has no answer."""
        role = role_of(json_output)
        if not role:
            raise ModelReplyInvalid(
                "designer is a search: it answers only as Researcher, Critic, Engineer, Debugger or Analyst"
            )
        return self.reply(role, scene_of(messages)).model_dump_json()

    def reply(self, role: str, scene: Scene) -> BaseModel:
        """The reply of `role`; pure."""
        return _ROLES[role](scene)
