"""Carries requests that `rules` allows from a TCP port to the engine's socket: `python -m move37.sandbox.proxy.server`.

One request a connection: what follows it is never read as another, except on an attached container, where the
connection has become the container's streams. A body needs a Content-Length; chunked ones are refused.
MOVE37_PROXY_LISTEN (host:port, default 0.0.0.0:2375) and MOVE37_PROXY_ENGINE (default /var/run/docker.sock) configure.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress

import structlog

from move37.sandbox.proxy.rules import MAX_BODY_BYTES, Request, Verdict, judge

log = structlog.get_logger()

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0
CHUNK = 256 * 1024
# What is sent on of a request's headers; the rest is nobody's business or would keep the connection open.
PASSED_HEADERS = ("host", "content-type", "user-agent", "accept")


class Refusal(Exception):
    """An HTTP status and a sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Proxy:
    """One listening port, one engine."""

    def __init__(self, engine: str) -> None:
        self.engine = engine

    async def serve(self, host: str, port: int) -> asyncio.Server:
        """Listen; the server runs until it is closed."""
        return await asyncio.start_server(self._connection, host, port, limit=MAX_HEAD_BYTES)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                request, headers = await read_request(reader)
            verdict = judge(request)
            if not verdict.allowed:
                log.warning(
                    "request_refused", method=request.method, target=request.target[:200], reason=verdict.reason
                )
                raise Refusal(403, verdict.reason)
            await self._forward(request, headers, verdict, reader, writer)
        except Refusal as refusal:
            body = json.dumps({"message": refusal.reason}).encode()
            writer.write(
                f"HTTP/1.1 {refusal.status} Refused\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                + body
            )
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, OSError):
            pass
        finally:
            with suppress(OSError):
                await writer.drain()
            writer.close()

    async def _forward(
        self,
        request: Request,
        headers: dict[str, str],
        verdict: Verdict,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        try:
            up_reader, up_writer = await asyncio.open_unix_connection(self.engine)
        except OSError as error:
            raise Refusal(502, f"the engine does not answer: {error.strerror}") from error
        try:
            up_writer.write(head_for(request, headers, verdict))
            await up_writer.drain()
            if not verdict.hijacks:
                await pump(up_reader, writer)
                return
            inward = asyncio.create_task(pump(reader, up_writer))
            try:
                await pump(up_reader, writer)
            finally:
                inward.cancel()
                await asyncio.gather(inward, return_exceptions=True)
        finally:
            up_writer.close()


async def read_request(reader: asyncio.StreamReader) -> tuple[Request, dict[str, str]]:
    """One request, whole. Raises `Refusal` for what is not one."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
    except (asyncio.LimitOverrunError, UnicodeDecodeError) as error:
        raise Refusal(431, "the request's head is too long, or not ASCII") from error
    first, *lines = head[:-4].split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0") or not words[1].startswith("/"):
        raise Refusal(400, "this is not an HTTP request")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or name.strip() != name or name in headers:
            raise Refusal(400, "a header is malformed or given twice")
        headers[name] = value.strip()
    if "transfer-encoding" in headers:
        raise Refusal(411, "a body needs a Content-Length")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY_BYTES:
        raise Refusal(413, "the body is too large")
    return Request(method=words[0], target=words[1], body=await reader.readexactly(int(length))), headers


def head_for(request: Request, headers: dict[str, str], verdict: Verdict) -> bytes:
    """What the engine gets to read: our own words for the request."""
    body = request.body if verdict.body is None else verdict.body
    lines = [f"{request.method} {request.target} HTTP/1.1"]
    lines += [f"{name}: {headers[name]}" for name in PASSED_HEADERS if name in headers]
    if "host" not in headers:
        lines.append("host: docker")
    lines += ["connection: Upgrade", "upgrade: tcp"] if verdict.hijacks else ["connection: close"]
    if body or request.method == "POST":
        lines.append(f"content-length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + body


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Bytes, until the source ends; then the sink hears the end too."""
    with suppress(ConnectionError):
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    with suppress(OSError, RuntimeError):
        if sink.can_write_eof():
            sink.write_eof()


async def main() -> None:
    """Serve until the process is ended."""
    host, _, port = os.environ.get("MOVE37_PROXY_LISTEN", "0.0.0.0:2375").rpartition(":")
    proxy = Proxy(os.environ.get("MOVE37_PROXY_ENGINE", "/var/run/docker.sock"))
    async with await proxy.serve(host, int(port)) as server:
        log.info("proxy_listens", host=host, port=int(port))
        await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
    sys.exit(0)
