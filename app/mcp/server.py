"""The MCP server of a laboratory: over stdio, or over streamable HTTP on loopback with a token."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from pydantic import AnyHttpUrl

from move37.app.mcp.declared_tools import declare
from move37.app.mcp.laboratory import Laboratory
from move37.app.mcp.misuse import LaboratoryServer
from move37.app.mcp.tools import Tools
from move37.lab.machine import version_of

INSTRUCTIONS = """\
You are the scientist of this laboratory. Read brief() and context(), then repeat: propose one change \
with the gain that you expect and its 80 % interval, write the file, check(source) until it passes, submit it, \
wait for it, analyse it. After a lost conversation call status(). Every answer's `next` says what is allowed. \
Go on until the budget is spent."""


def build(lab: Laboratory, *, token: str | None = None, url: str = "", own: bool = True) -> MCPServer:
    """The server of a laboratory. With `token` HTTP clients must send it; `own`: the server opens the laboratory.

    Raises `ValueError` for an empty token, which would let everybody in.
    """
    if token is not None and not token.strip():
        raise ValueError("an empty token protects nothing")

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        if not own:
            yield
            return
        async with lab.opened():
            yield

    auth = AuthSettings(issuer_url=AnyHttpUrl(url), resource_server_url=None) if token else None
    server = LaboratoryServer(
        "move37",
        version=version_of("move37"),
        instructions=INSTRUCTIONS,
        lifespan=lifespan,
        log_level="WARNING",
        auth=auth,
        token_verifier=_OneToken(token) if token else None,
    )
    server.tools = Tools(lab)
    declare(server, server.tools)
    return server


class _OneToken:
    """Lets pass who knows the token."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def verify_token(self, token: str) -> AccessToken | None:
        """The holder, or None."""
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return None
        return AccessToken(token=token, client_id="move37", scopes=[])
