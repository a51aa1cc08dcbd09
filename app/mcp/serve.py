"""The server's process: stdio, or HTTP on 127.0.0.1 with a token that only this user can read."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys

from move37.app.mcp.incoming import mend_stdin
from move37.app.mcp.laboratory import Laboratory
from move37.app.mcp.server import build
from move37.app.secret_file import secret
from move37.app.settings import Settings

HOST = "127.0.0.1"
TOKEN_FILE = "mcp-token"
LARGEST_REQUEST = 2_000_000  # bytes


def serve(settings: Settings, *, port: int | None) -> None:
    """Serve until the client leaves (stdio) or the process is ended (HTTP)."""
    lab = Laboratory(settings)
    if port is None:
        mend_stdin()
        asyncio.run(build(lab).run_stdio_async())  # the SDK keeps stdout for the protocol
        return
    token = secret(settings.home, TOKEN_FILE)
    found = port or _free_port()
    print(
        f"move37 mcp: http://{HOST}:{found}/mcp, Authorization: Bearer (the text of {settings.home / TOKEN_FILE})",
        file=sys.stderr,
    )
    asyncio.run(_http(lab, found, token))


async def _http(lab: Laboratory, port: int, token: str) -> None:
    # Ctrl-C while it starts is no fault: uvicorn would print a traceback of its own cancelled task.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "CancelledError" not in record.getMessage())
    # The laboratory outlives its clients' sessions, so that it is opened here and not by the first of them.
    async with lab.opened():
        server = build(lab, token=token, url=f"http://{HOST}:{port}", own=False)
        await server.run_streamable_http_async(host=HOST, port=port, max_request_body_size=LARGEST_REQUEST)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
