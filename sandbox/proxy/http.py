"""The part of HTTP/1.1 that the proxy implements: one request in, one head out, one head of an answer in.

A request is refused when any two readers could disagree about where it ends: control characters, a header twice, a
length that is not plain digits, a transfer encoding. Nothing of its headers is sent on.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from move37.sandbox.proxy.rules import MAX_BODY_BYTES, EngineRequest, Ruling

MAX_HEAD_BYTES = 64 * 1024
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Refusal(Exception):
    """An HTTP status and a sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


async def read_request(reader: asyncio.StreamReader) -> EngineRequest:
    """One request, whole. Raises `Refusal` for what is not one, `asyncio.IncompleteReadError` for less than one."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise Refusal(431, "the request's head is too long") from error
    first, headers = parse_head(head)
    words = first.split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0") or not words[1].startswith("/"):
        raise Refusal(400, "this is not an HTTP request")
    if "transfer-encoding" in headers:
        raise Refusal(411, "a body needs a Content-Length")
    length = headers.get("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,9}", length) or int(length) > MAX_BODY_BYTES:
        raise Refusal(413, "the body is too large")
    return EngineRequest(method=words[0], target=words[1], body=await reader.readexactly(int(length)))


def parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    """First line and headers (names in lower case) of what ends in an empty line. Raises `Refusal`."""
    text = head.removesuffix(b"\r\n\r\n")
    # A lone line feed or carriage return ends a line for some readers and not for others.
    if any(not 0x20 <= byte < 0x7F for byte in text.replace(b"\r\n", b"")):
        raise Refusal(400, "the head has control characters, or is not ASCII")
    first, *lines = text.decode("ascii").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name) or name.lower() in headers:
            raise Refusal(400, "a header is malformed or given twice")
        headers[name.lower()] = value.strip()
    return first, headers


def head_for(request: EngineRequest, verdict: Ruling) -> bytes:
    """What the engine gets to read: our own words for the request, and none of the caller's."""
    lines = [f"{request.method} {verdict.target} HTTP/1.1", "host: docker", "user-agent: move37-proxy"]
    lines += ["connection: Upgrade", "upgrade: tcp"] if verdict.hijacks else ["connection: close"]
    if request.method == "POST":
        lines.append(f"content-length: {len(verdict.body)}")
    if verdict.body:
        lines.append("content-type: application/json")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + verdict.body


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAnswer:
    """The head of the engine's answer."""

    head: bytes
    status: int
    length: int | None  # of the body; None: until the connection ends

    @property
    def upgraded(self) -> bool:
        """The connection is the container's streams from here on."""
        return self.status == 101


async def read_answer(reader: asyncio.StreamReader, *, method: str) -> EngineAnswer:
    """Raises `Refusal` for what is no answer."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.LimitOverrunError, asyncio.IncompleteReadError) as error:
        raise Refusal(502, "the engine's answer cannot be read") from error
    found = re.match(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r\n", head)
    if found is None:
        raise Refusal(502, "the engine's answer cannot be read")
    status = int(found[1])
    length = re.search(rb"(?mi)^content-length: *([0-9]{1,12}) *\r$", head)
    if method == "HEAD" or status in (204, 304):
        return EngineAnswer(head=head, status=status, length=0)
    return EngineAnswer(head=head, status=status, length=int(length[1]) if length else None)
