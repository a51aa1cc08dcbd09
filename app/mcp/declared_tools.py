"""The tools and resources as MCP clients see them: names, arguments, descriptions. What they do stands in `tools.py`.

Names, arguments and keys of the answers are a promise to clients (docs/mcp.md). Answers are structured content; what
cannot be done is an error result whose text is one sentence.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError

from move37.agents.errors import AgentError
from move37.agents.replies import BASES
from move37.app.mcp.misuse import refused, sendable
from move37.app.mcp.refusals import CallRefused
from move37.app.mcp.tools import Tools
from move37.lab.archive.codec import storable
from move37.lab.errors import LabError
from move37.memory.errors import MemoryFault
from move37.sandbox.errors import SandboxError

Answer = dict[str, Any]
PROPOSE = (
    f"Begin an experiment. base: an experiment's id or a baseline's name. {BASES} predicted_effect: the gain over the "
    'base that you expect and its 80 % interval, as "+0.03 [0.00, 0.06]", positive is better; it is scored.'
)


def declare(server: MCPServer, tools: Tools) -> None:
    """Add every tool and resource to the server."""

    @server.tool()
    async def brief() -> Answer:
        """What is searched for: task, contract, kernels, metric, baselines, rules. Read it first."""
        return await _told(tools, tools.brief())

    @server.tool()
    async def context(max_tokens: int = 12_000) -> Answer:
        """What the laboratory knows: principles, leaderboard, every experiment so far, files to build on, memory."""
        return await _told(tools, tools.context_text(max_tokens))

    @server.tool()
    async def recall(query: str, kind: str = "") -> Answer:
        """Ask memory. kind: cognition (papers), analysis (own lessons), principle; empty for all."""
        return await _told(tools, tools.recall(query, kind))

    @server.tool()
    async def read_experiment(id: str) -> Answer:
        """One experiment or baseline whole: hypothesis, source, gates, numbers, effects, analysis."""
        return await _told(tools, tools.read_experiment(id))

    @server.tool(description=PROPOSE)
    async def propose(name: str, base: str, motivation: str, change: str, predicted_effect: str) -> Answer:
        return await _told(tools, tools.propose(name, base, motivation, change, predicted_effect))

    @server.tool()
    async def check(source: str) -> Answer:
        """Run every gate on a file in the sandbox. Costs no budget."""
        return await _told(tools, tools.check(source))

    @server.tool()
    async def submit(proposal: str, source: str) -> Answer:
        """Hand over the file of a proposal, once; gates and training follow."""
        return await _told(tools, tools.submit(proposal, source))

    @server.tool()
    async def wait(experiment: str, seconds: float = 45.0) -> Answer:
        """Wait, at most 45 s, until an experiment has ended or needs you; then its numbers. Call it again at need."""
        return await _told(tools, tools.wait(experiment, seconds))

    @server.tool()
    async def status() -> Answer:
        """Where everything stands: enough to go on after a lost conversation."""
        return await _told(tools, tools.status())

    @server.tool()
    async def analyse(experiment: str, expected: str, seen: str, why: str, next: str) -> Answer:
        """What an experiment taught. It goes into memory, and into every later context."""
        return await _told(tools, tools.analyse(experiment, expected, seen, why, next))

    @server.tool()
    async def leaderboard(steps: int | None = None) -> Answer:
        """Screened values at each number of steps, best first."""
        return await _told(tools, tools.leaderboard(steps))

    @server.tool()
    async def principles() -> Answer:
        """What the laboratory holds to be so, with the experiments that say so."""
        return await _told(tools, tools.principles())

    @server.tool()
    async def stop() -> Answer:
        """End the campaign softly; a later session goes on with it."""
        return await _told(tools, tools.stop())

    @server.resource("experiment://{id}", mime_type="application/json")
    async def experiment(id: str) -> Answer:
        """One experiment whole."""
        return await _read(tools.read_experiment(id))

    @server.resource("paper://{key}", mime_type="application/json")
    async def paper(key: str) -> Answer:
        """What memory holds of one paper."""
        return await _read(tools.paper(key))


async def _told(tools: Tools, answer: Awaitable[Answer]) -> Answer:
    """The answer, or an error result that says in a sentence what to do, and what is allowed."""
    try:
        return sendable(await answer)
    except CallRefused as error:
        sentence = str(error)
    except (AgentError, LabError, SandboxError, MemoryFault) as error:
        sentence = f"the laboratory failed at this: {error}"
    return refused(tools, sentence)  # type: ignore[return-value]  # the SDK passes a result on as it is


async def _read(answer: Awaitable[Answer]) -> Answer:
    try:
        return sendable(await answer)
    except CallRefused as error:
        raise ResourceError(storable(str(error))) from None
