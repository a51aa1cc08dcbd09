"""Carries requests that `rules` allows from a TCP port to the engine's socket: `python -m move37.sandbox.proxy.server`.

One request a connection, on both sides: what follows it is never sent on, except to an attached container, and there
only once the engine has said that the connection has become the container's streams.
MOVE37_PROXY_LISTEN (host:port, default 0.0.0.0:2375), MOVE37_PROXY_ENGINE (default /var/run/docker.sock) and
MOVE37_PROXY_CONTAINERS (the most at once, default 64) configure.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import replace

import structlog

from move37.sandbox.docker.confinement import ROLE_LABEL
from move37.sandbox.proxy.http import MAX_HEAD_BYTES, EngineAnswer, Refusal, head_for, read_answer, read_request
from move37.sandbox.proxy.rules import Bounds, EngineRequest, Ruling, judge

log = structlog.get_logger()

HEAD_SECONDS = 30.0
ANSWER_SECONDS = 300.0  # of the engine, for anything that is not a container's streams
CHUNK = 256 * 1024
MAX_LIST_BYTES = 4 * 1024 * 1024
LIST = "/containers/json?all=1&filters=%7B%22label%22%3A%5B%22" + ROLE_LABEL + "%22%5D%7D"


class Proxy:
    """One listening port, one engine."""

    def __init__(self, engine: str, bounds: Bounds | None = None) -> None:
        self.engine = engine
        self.bounds = bounds or machine_bounds()
        self._creating = asyncio.Lock()

    async def serve(self, host: str, port: int) -> asyncio.Server:
        """Listen; the server runs until it is closed."""
        return await asyncio.start_server(self._connection, host, port, limit=MAX_HEAD_BYTES)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                request = await read_request(reader)
            verdict = judge(request, self.bounds)
            if not verdict.allowed:
                log.warning(
                    "request_refused", method=request.method[:20], target=request.target[:200], reason=verdict.reason
                )
                raise Refusal(403, verdict.reason)
            if verdict.creates:
                async with self._creating:
                    await self._leave_room()
                    await self._forward(request, verdict, reader, writer)
            else:
                await self._forward(request, verdict, reader, writer)
        except Refusal as refusal:
            writer.write(in_words(refusal))
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, OSError):
            pass
        finally:
            with suppress(OSError):
                await writer.drain()
            writer.close()

    async def _forward(
        self, request: EngineRequest, verdict: Ruling, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        up_reader, up_writer = await self._open()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                up_writer.write(head_for(request, verdict))
                await up_writer.drain()
                answer = await read_answer(up_reader, method=request.method)
                writer.write(answer.head)
                if not (verdict.hijacks and answer.upgraded):
                    await pass_on(answer, up_reader, writer)
                    return
            inward = asyncio.create_task(pump(reader, up_writer))
            try:
                await pump(up_reader, writer)
            finally:
                inward.cancel()
                await asyncio.gather(inward, return_exceptions=True)
        finally:
            up_writer.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_unix_connection(self.engine, limit=MAX_HEAD_BYTES)
        except OSError as error:
            raise Refusal(502, f"the engine does not answer: {error.strerror}") from error

    async def _leave_room(self) -> None:
        """Raises `Refusal` when there are as many containers as there may be."""
        reader, writer = await self._open()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                # HTTP/1.0, so that the answer ends with the connection.
                writer.write(f"GET {LIST} HTTP/1.0\r\nhost: docker\r\nconnection: close\r\n\r\n".encode())
                await writer.drain()
                answer = await read_answer(reader, method="GET")
                size = MAX_LIST_BYTES if answer.length is None else min(answer.length, MAX_LIST_BYTES)
                body = bytearray()
                while len(body) < size and (data := await reader.read(size - len(body))):
                    body += data
                held = json.loads(bytes(body)) if answer.status == 200 else None
        except ValueError:
            held = None
        finally:
            writer.close()
        if not isinstance(held, list):
            raise Refusal(502, "the engine does not say which containers there are")
        if len(held) >= self.bounds.containers:
            raise Refusal(403, f"there are {len(held)} containers already, and more than that nobody gets")


def in_words(refusal: Refusal) -> bytes:
    """The answer to a refused caller."""
    body = json.dumps({"message": refusal.reason}).encode()
    head = f"HTTP/1.1 {refusal.status} Refused\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return (head + "Connection: close\r\n\r\n").encode() + body


async def pass_on(answer: EngineAnswer, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """The body of an answer: as much as its head says, or what comes until the engine closes."""
    left = answer.length
    while left is None or left:
        data = await source.read(CHUNK if left is None else min(left, CHUNK))
        if not data:
            return
        left = None if left is None else left - len(data)
        sink.write(data)
        await sink.drain()


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy bytes until the source ends, then close the sink."""
    with suppress(ConnectionError):
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    with suppress(OSError, RuntimeError):
        if sink.can_write_eof():
            sink.write_eof()


def machine_bounds() -> Bounds:
    """No container may ask for more memory than the machine has, or many times its processors."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return replace(Bounds(), memory_bytes=memory, disk_bytes=memory, threads=4 * (os.cpu_count() or 1))


async def main() -> None:
    """Serve until the process is ended."""
    host, _, port = os.environ.get("MOVE37_PROXY_LISTEN", "0.0.0.0:2375").rpartition(":")
    bounds = replace(machine_bounds(), containers=int(os.environ.get("MOVE37_PROXY_CONTAINERS", "64")))
    proxy = Proxy(os.environ.get("MOVE37_PROXY_ENGINE", "/var/run/docker.sock"), bounds)
    async with await proxy.serve(host, int(port)) as server:
        log.info("proxy_listens", host=host, port=int(port))
        await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
    sys.exit(0)
