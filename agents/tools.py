"""Tools of the roles: what an agent may look up or try before it answers, as AutoGen `FunctionTool`s.

Every role may recall, read papers and experiments, diff two experiments, and see the leaderboard and loss curves;
Engineer and Debugger may also put a file through the gates (`check`) and run a snippet (`run`) in the sandbox; the
Analyst may compare two experiments. A call never raises into the conversation: what is wrong with it is its answer, in
one sentence. Every call is stored, shown and counted by what was said; `ToolDesk` puts an end to those of a turn.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from autogen_core.tools import BaseTool, FunctionTool

from move37.agents.experiment_context import ExperimentContext
from move37.agents.lookups import Lookups
from move37.agents.trials import Trials
from move37.lab.errors import LabError
from move37.memory.errors import MemoryFault
from move37.sandbox.errors import SandboxError

log = structlog.get_logger()
MOST_CALLS = 12  # in one turn of a role
LONGEST_ANSWER = 12_000  # characters
Function = Callable[..., Awaitable[str]]


class ToolDesk:
    """The tools of one role in one experiment, with their count."""

    def __init__(self, ctx: ExperimentContext, role: str) -> None:
        self._ctx = ctx
        self._role = role
        self._stage = ""
        self._calls = 0

    def tools(self) -> Sequence[BaseTool[Any, Any]]:
        """What the role may call."""
        lookups, trials = Lookups(self._ctx), Trials(self._ctx)
        functions: list[Function] = [
            *(lookups.recall, lookups.read_paper, lookups.read_experiment, lookups.diff),
            *(lookups.leaderboard, lookups.curves),
        ]
        functions += [trials.check, trials.run] if self._role in ("Engineer", "Debugger") else []
        functions += [lookups.compare] if self._role == "Analyst" else []
        return [FunctionTool(self._guarded(f), description=_first_line(f), name=f.__name__) for f in functions]

    def _guarded(self, function: Function) -> Function:
        @functools.wraps(function)
        async def call(*args: Any, **kwargs: Any) -> str:
            if refusal := self._one_more():
                return refusal
            try:
                return _cut(await function(*args, **kwargs))
            except (LabError, MemoryFault, SandboxError) as error:
                return f"Not possible: {error}"
            except Exception as error:  # a fault of ours is a sentence for the model and a line in the log
                log.warning("tool_failed", tool=function.__name__, role=self._role, error=repr(error))
                return f"{function.__name__} failed: {type(error).__name__}. Go on without it."

        return call

    def _one_more(self) -> str:
        if self._stage != self._ctx.talk.stage:
            self._stage, self._calls = self._ctx.talk.stage, 0
        self._calls += 1
        if self._calls > MOST_CALLS:
            return f"No more than {MOST_CALLS} calls in one stage: answer now with what you know."
        return ""


def for_role(role: str, ctx: ExperimentContext) -> Sequence[BaseTool[Any, Any]]:
    """What `role` may call in this experiment."""
    return ToolDesk(ctx, role).tools()


def _first_line(function: Function) -> str:
    return " ".join((function.__doc__ or "").split())


def _cut(text: str) -> str:
    if len(text) <= LONGEST_ANSWER:
        return text
    return f"{text[:LONGEST_ANSWER]}\n(cut: {len(text)} characters in all)"
