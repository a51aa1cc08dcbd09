"""A call of a tool in a form that no tool takes: the SDK's words for it are many lines of somebody else's; ours say
what the tool takes, and what may be done now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import structlog
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp_types import CallToolResult, InputRequiredResult, TextContent
from pydantic import ValidationError

from move37.app.mcp.tools import Tools
from move37.lab.archive.codec import storable

log = structlog.get_logger()
SHOWN = 60  # characters of a name that there is not
MOST_NAMED = 5  # of the names that there are not


class LaboratoryServer(MCPServer):
    """The SDK's server, whose refusals are the laboratory's."""

    tools: Tools

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Any = None
    ) -> CallToolResult | InputRequiredResult:
        """As the SDK's; an unknown tool, and arguments that do not fit, are answered with a sentence and `next`.

        What a client leaves open as null is left out: many name every argument of a tool in each call.
        """
        schemas: dict[str, Mapping[str, Any]] = {t.name: t.input_schema for t in await self.list_tools()}
        if (schema := schemas.get(name)) is None:
            return refused(self.tools, f"there is no tool {name[:SHOWN]!r}: there are {', '.join(schemas)}")
        named, needed = list(schema.get("properties", {})), list(schema.get("required", []))
        given = {key: value for key, value in arguments.items() if value is not None or key not in named}
        takes = f"it takes {', '.join(named)}" if named else "it takes none"
        if extra := [repr(key[:SHOWN]) for key in given if key not in named][:MOST_NAMED]:
            return refused(self.tools, f"{name} has no argument {', '.join(extra)}: {takes}")
        if missing := [key for key in needed if key not in given]:
            return refused(self.tools, f"{name} was called without {', '.join(missing)}: {takes}")
        try:
            return await super().call_tool(name, given, context)
        except UnexpectedToolError as error:  # in words of ours, and with what may be done
            log.error("tool_crashed", tool=name, exc_info=error.__cause__)
            why = type(error.__cause__).__name__
            return refused(
                self.tools, f"a fault of move37 itself in {name} ({why}): nothing stored is lost, see status()"
            )
        except ToolError as error:
            if isinstance(cause := error.__cause__, ValidationError):
                return refused(self.tools, f"{name}: {unfitting(cause)}")
            raise


def unfitting(error: ValidationError) -> str:
    """What is wrong with the first argument that is of no use."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where} {first['msg'].removeprefix('Input ')}: say it again in that form"


def refused(tools: Tools, sentence: str) -> CallToolResult:
    """An error result: the sentence, and what is allowed."""
    return CallToolResult(
        content=[TextContent(type="text", text=storable(sentence))],
        structured_content=sendable(tools.refusal(sentence)),
        is_error=True,
    )


def sendable(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as the protocol can carry it: a candidate's exception may hold half a surrogate, on which the SDK's
    writer, and with it the server, would end.
    """
    found: dict[str, Any] = json.loads(storable(json.dumps(answer, ensure_ascii=False)))
    return found
