"""The proxy's wire: whatever a client sends, the engine reads the allowed requests and nothing else.

The engine here is the worst one that keeps to HTTP: it serves any number of requests a connection whatever it was told,
ends lines at a bare line feed, and writes down all that it takes for a request.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from move37.sandbox.docker.confinement import create_body, shape_for
from move37.sandbox.job import Limits
from move37.sandbox.proxy.rules import MAX_BODY_BYTES, Bounds, EngineRequest, judge
from move37.sandbox.proxy.server import Proxy

NAME = "move37-worker-0123456789abcdef"
ATTACH = f"/containers/{NAME}/attach?stdin=1&stdout=1&stderr=1&stream=1"
EVIL = b"POST /containers/create?name=evil HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
CREATE = json.dumps(create_body(shape_for(Limits(), image="move37-sandbox:cpu"), Limits(), owner="b/1/2/3")).encode()
A_CREATE = (
    f"POST /containers/create?name={NAME} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(CREATE)}\r\n\r\n".encode(),
    CREATE,
)


@dataclass
class Engine:
    """Listens on a unix socket."""

    upgrades: bool = True  # an attach is answered with 101; otherwise with 400, and the connection stays
    containers: int = 0
    requests: list[str] = field(default_factory=list)
    streams: bytes = b""  # what came after an upgrade

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._request(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = []
        while line := (await reader.readuntil(b"\n")).strip(b"\r\n"):
            lines.append(line.decode("latin-1"))
        if not lines:
            return
        self.requests.append(lines[0])
        headers = dict(re.split(r":\s*", line.lower(), maxsplit=1) for line in lines[1:] if ":" in line)
        await reader.readexactly(int(headers.get("content-length", "0")))
        if "/attach" in lines[0] and self.upgrades:
            writer.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhello")
            while data := await reader.read(1000):
                self.streams += data
                writer.write(data.upper())
            raise ConnectionError
        self.containers += lines[0].startswith("POST /containers/create")
        status = "400 Bad Request" if "/attach" in lines[0] else "200 OK"
        body = json.dumps([{}] * self.containers if "containers/json" in lines[0] else lines[0]).encode()
        if not lines[0].startswith("HEAD"):
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        else:
            writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        await writer.drain()


@asynccontextmanager
async def proxied(engine: Engine, **bounds: int) -> AsyncIterator[int]:
    """The port of a proxy before `engine`."""
    async with all_proxied(engine, 1, **bounds) as (port,):
        yield port


@asynccontextmanager
async def all_proxied(engine: Engine, count: int, **bounds: int) -> AsyncIterator[list[int]]:
    """The ports of so many proxies before one `engine`."""
    with TemporaryDirectory() as folder:
        below = await asyncio.start_unix_server(engine.serve, f"{folder}/s")
        above = [await Proxy(f"{folder}/s", Bounds(**bounds)).serve("127.0.0.1", 0) for _ in range(count)]
        try:
            yield [one.sockets[0].getsockname()[1] for one in above]
        finally:
            for one in (*above, below):
                one.close()


async def ask(port: int, *pieces: bytes) -> bytes:
    """All that the proxy answers until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0)
    writer.write_eof()
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


FRAGMENTS = st.sampled_from(
    [
        b"\n",
        b"\r",
        b"\r\n",
        b"\r\n\r\n",
        b"\n\n",
        b"\x00",
        b"\x0b",
        b"\x85",
        b"\xe2\x80\xa8",
        b"\t",
        b" ",
        b"%0d%0a",
        b"%zz",
        b"%2f..%2f",
        b"?",
        b"&",
        b"=",
        b"#",
        b";",
        b":",
        b"0",
        b"chunked",
        EVIL,
        b"HTTP/1.1",
        b"Host: x",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: 200\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: tcp\r\n",
        b"Connection: keep-alive\r\n",
        b"detachKeys=",
        b"/containers/create?name=evil",
    ]
)
NOISE = st.lists(FRAGMENTS | st.binary(max_size=6), max_size=6).map(b"".join)
TARGETS = st.sampled_from(
    [f"/v{v}{p}" for v in ("1.41", "1.99", "1.4") for p in ("/_ping", "/info", ATTACH, f"/containers/{NAME}/json")]
    + [ATTACH, "/version", f"/containers/create?name={NAME}", f"/containers/{NAME}/start"]
).map(str.encode)


@st.composite
def smuggled(draw: st.DrawFn) -> bytes:
    """A request that is nearly an allowed one, with something else somewhere in it and behind it."""
    method = draw(st.sampled_from([b"GET", b"POST", b"DELETE", b"HEAD", b"G\nET"]))
    target = draw(TARGETS) + draw(st.just(b"") | NOISE)
    headers = draw(st.sampled_from([b"Host: x", b"X: y"])) + draw(st.just(b"") | NOISE)
    length = draw(st.sampled_from([b"", b"\r\nContent-Length: 0", b"\r\nContent-Length: %d" % len(EVIL)]))
    return method + b" " + target + b" HTTP/1.1\r\n" + headers + length + b"\r\n\r\n" + draw(NOISE) + EVIL


def allowed(line: str) -> bool:
    """Whether what the engine took for a request is one that may pass, word for word as we write it."""
    method, target, version = line.split(" ")
    if "create" in target:
        return target == f"/containers/create?name={NAME}"
    verdict = judge(EngineRequest(method=method, target=target))
    return version == "HTTP/1.1" and verdict.allowed and verdict.target == target


@settings(deadline=None, max_examples=150)
@given(st.lists(smuggled(), min_size=1, max_size=2), st.booleans())
def test_nothing_that_is_smuggled_reaches_the_engine(sent: list[bytes], upgrades: bool):
    engine = Engine(upgrades=upgrades)

    async def send() -> None:
        async with proxied(engine) as port:
            await ask(port, *sent)

    asyncio.run(send())
    assert len(engine.requests) <= 1, engine.requests
    assert all(allowed(line) for line in engine.requests), engine.requests
    assert not engine.streams or upgrades


async def test_a_bare_line_feed_in_a_header_is_refused():
    engine = Engine()
    async with proxied(engine) as port:
        answer = await ask(port, b"GET /_ping HTTP/1.1\r\nHost: x\n\n" + EVIL + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400") and not engine.requests


async def test_an_engine_that_refuses_to_attach_never_hears_what_follows():
    engine = Engine(upgrades=False)
    async with proxied(engine) as port:
        answer = await ask(port, f"POST {ATTACH} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), EVIL, EVIL)
    assert answer.startswith(b"HTTP/1.1 400") and len(engine.requests) == 1 and not engine.streams


async def test_an_attached_container_has_its_streams_both_ways():
    engine = Engine()
    async with proxied(engine) as port:
        answer = await ask(port, f"POST {ATTACH} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), b"a job")
    assert answer.endswith(b"\r\n\r\nhelloA JOB") and engine.streams == b"a job"


async def test_nothing_of_the_callers_headers_is_sent_on():
    seen: list[bytes] = []

    async def engine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nfine")
        writer.close()

    with TemporaryDirectory() as folder:
        below = await asyncio.start_unix_server(engine, f"{folder}/s")
        above = await Proxy(f"{folder}/s").serve("127.0.0.1", 0)
        head = b"GET /version HTTP/1.1\r\nHost: secret\r\nX-Registry-Auth: secret\r\nUser-Agent: secret\r\n\r\n"
        assert (await ask(above.sockets[0].getsockname()[1], head)).endswith(b"fine")
        above.close()
        below.close()
    assert b"secret" not in seen[0] and seen[0].startswith(b"GET /version HTTP/1.1\r\nhost: docker\r\n")


@pytest.mark.parametrize("held, status", [(2, b"200"), (3, b"403")])
async def test_the_number_of_containers_has_a_bound(held: int, status: bytes):
    async with proxied(Engine(containers=held), containers=3) as port:
        answer = await ask(port, *A_CREATE)
    assert answer.startswith(b"HTTP/1.1 " + status)


async def test_several_proxies_before_one_engine_count_together():
    engine = Engine()
    async with all_proxied(engine, 3, containers=4) as ports:
        answers = [await ask(port, *A_CREATE) for port in ports * 3]
    assert [answer[9:12] for answer in answers] == [b"200"] * 4 + [b"403"] * 5 and engine.containers == 4


@pytest.mark.parametrize(
    "text, status",
    [
        (b"GET /containers/json HTTP/1.1\r\nHost: x\r\n\r\n", b"403"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /version HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"400"),
        (b"GET /version HTTP/1.1\r\nHost : x\r\n\r\n", b"400"),
        (b"POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
        (b"POST /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), b"413"),
        (b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"413"),
        (b"POST /x HTTP/1.1\r\nContent-Length: +1\r\n\r\n1", b"413"),
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", b"431"),
        ("GET /é HTTP/1.1\r\n\r\n".encode(), b"400"),
    ],
)
async def test_what_is_refused_never_reaches_the_engine(text: bytes, status: bytes):
    engine = Engine()
    async with proxied(engine) as port:
        answer = await ask(port, text)
    assert answer.startswith(b"HTTP/1.1 " + status) and not engine.requests


async def test_an_engine_that_is_gone_is_a_bad_gateway(tmp_path: Path):
    server = await Proxy(str(tmp_path / "nobody")).serve("127.0.0.1", 0)
    answer = await ask(server.sockets[0].getsockname()[1], b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 502")
    server.close()
