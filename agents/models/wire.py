"""Between an SDK and its server: requests as the endpoint takes them, answers read before the SDK judges them.

`connect` puts an `Endpoint` into an SDK's HTTP client by its public method `send`, so that OpenAI's, Anthropic's and
Ollama's SDKs, whatever HTTP library they stand on, share one treatment. An endpoint learns: what a refusal names is
changed and tried, what helped is kept, what did not is taken back. Waiting and giving up are not here (repair.py);
what the last exchange of a call said is left for it in `Exchange`.
"""

from __future__ import annotations

import json
import re
import sys
import zlib
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from typing import Any

import structlog

from move37.agents.models.bodies import EndpointAnswer, read
from move37.agents.models.capabilities import Capabilities, adapt, alternatives, is_reply_limit, weaker_schema
from move37.agents.models.client import CALL, FACTS
from move37.agents.models.dialects import dialect_of
from move37.agents.models.streams import MOST_UNPACKED
from move37.agents.models.waits import waits_for

log = structlog.get_logger()

REFUSALS = (400, 404, 405, 413, 415, 422, 424, 501)  # that may be about one part of the request
MOST_TRIES = 12  # of one request, all changes together
Send = Callable[..., Awaitable[Any]]


@dataclass(slots=True)
class Exchange:
    """What the last answer to a call said; filled in by the endpoint, read by the caller."""

    status: int = 0  # 0: no answer
    words: str = ""
    retry_after: str = ""  # how long to wait, as a header or the body says it
    cached_tokens: int = 0


EXCHANGE: ContextVar[Exchange | None] = ContextVar("exchange", default=None)
REPLY_CAP: ContextVar[int | None] = ContextVar("reply_cap", default=None)  # tokens, for this call only


class Endpoint:
    """One server as we know it."""

    def __init__(self, able: Capabilities | None = None) -> None:
        self.able = able or Capabilities()
        self.proven = False  # it has given a completion

    def connect(self, client: Any) -> None:
        """Let every request of this HTTP client (httpx or its like) pass through here."""
        plain: Send = client.send

        async def send(request: Any, **options: Any) -> Any:
            if request.method != "POST" or options.get("stream"):
                return await plain(request, **options)
            return await self._send(plain, request, options)

        client.send = send

    async def _send(self, plain: Send, request: Any, options: dict[str, Any]) -> Any:
        try:
            body = reseeded(json.loads(request.content))
        except ValueError:
            return await plain(request, **options)
        able = self._for_this_call()
        untried: list[Capabilities] | None = None  # None: nothing was refused yet
        began, refused = able, ""
        for _ in range(MOST_TRIES):
            sent = adapt(body, able)
            response = await plain(_with_body(request, sent), **{**options, "stream": True})
            answer = await self._read(response, request, sent)
            if answer.ok:
                self._learn(began, able, body)
                return _as_response(response, request, answer)
            if not _about_the_request(answer):
                break
            if untried is None or not _alike(refused, answer.words):
                # Another complaint: the change before it helped, and stays while this request goes on.
                refused, untried = answer.words, self._choices(answer, body, able)
            if not untried:
                break
            able = untried.pop(0)
        return _as_response(response, request, answer)

    def _for_this_call(self) -> Capabilities:
        cap = REPLY_CAP.get()
        if cap is None:
            return self.able
        return replace(self.able, reply_cap=min(cap, self.able.reply_cap or cap))

    def _choices(self, answer: EndpointAnswer, body: dict[str, Any], able: Capabilities) -> list[Capabilities]:
        if is_overflow(answer.words):
            return []
        found = alternatives(answer.words, body, able)
        if not found and not self.proven and answer.status in (400, 422):
            return weaker_schema(body, able)
        # What is not there at all is not there in another way either; a router has no provider for what was asked.
        return found if answer.status != 404 or "requested parameters" in answer.words else []

    async def _read(self, response: Any, request: Any, sent: dict[str, Any]) -> EndpointAnswer:
        answer = read(
            response.status_code,
            response.headers.get("content-type", ""),
            await _body(response),
            proven=self.proven,
            tools=_offered(sent),
            dialect=dialect_of(request.url.path),
            model=str(sent.get("model", "")),
        )
        if (seen := EXCHANGE.get()) is not None:
            seen.status, seen.words = answer.status, answer.words
            seen.retry_after = waits_for(response.headers) or answer.after
            seen.cached_tokens = answer.cached_tokens
        return answer

    def _learn(self, began: Capabilities, able: Capabilities, body: dict[str, Any]) -> None:
        """Keep what this request changed, and nothing else: other requests learn at the same time."""
        self.proven = True
        names = [f.name for f in fields(able) if getattr(able, f.name) != getattr(began, f.name)]
        changes = {name: getattr(able, name) for name in names}
        if changes:
            self.able = replace(self.able, **changes)
            log.info("endpoint_learned", model=body.get("model"), **changes)


def reseeded(body: dict[str, Any]) -> dict[str, Any]:
    """The body with a seed of this call's own, drawn from the campaign's: the same again in a repetition.

    With one seed for all of them a model answers an objection with the words that were objected to, and two
    experiments that read the same context propose the same.
    """
    if (key := CALL.get()) is None:
        return body
    answers = facts.attempts if (facts := FACTS.get()) is not None else 0  # of this call, invalid so far
    shift = zlib.crc32(f"{key.number} {key.stage} {key.role} {key.turn} {answers}".encode())
    for holder in (body, body.get("options")):  # Ollama keeps sampling there
        if isinstance(holder, dict) and isinstance(seed := holder.get("seed"), int):
            holder["seed"] = (seed + shift) % 2**31
    return body


async def _body(response: Any) -> bytes:
    """Its bytes, unpacked as they come; none of what grows without end, which is no answer."""
    body = bytearray()
    try:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MOST_UNPACKED:
                return b""
    finally:
        await response.aclose()
    return bytes(body)


def is_overflow(words: str) -> bool:
    """Whether a refusal says that the request is too long."""
    if re.search(r"schema|nesting", words, re.I) or is_reply_limit(words):
        return False
    return bool(_OVERFLOW.search(words))


_OVERFLOW = re.compile(
    r"context.{0,12}(?:length|window|size|limit)|exceed.{0,3}context|prompt is too long|too many (?:input )?tokens"
    r"|(?:input|prompt|request).{0,30}(?:too (?:long|large)|exceeds?|longer than)|maximum.{0,20}(?:input|prompt) tokens"
    r"|n_ctx|reduce (?:the|your) (?:length|message|prompt|input)|max(?:imum)?[ _](?:model|prompt|input|seq\w*)[ _]?len"
    r"|inputs.{0,40}must (?:be|have)|input length should|expected maxLength|tokens must be reduced|max length",
    re.I,
)


def _offered(sent: dict[str, Any]) -> list[str]:
    """The names of the tools in a request."""
    return [
        str((tool.get("function") or tool).get("name")) for tool in sent.get("tools") or [] if isinstance(tool, dict)
    ]


def _about_the_request(answer: EndpointAnswer) -> bool:
    if answer.status in REFUSALS:
        return True
    # Servers that compile a schema into a grammar, or a template into a prompt, fail as if the fault were their own.
    return answer.status == 500 and bool(_OUR_WORDING.search(answer.words))


_OUR_WORDING = re.compile(r"grammar|json.?schema|response_?format|raise_exception|jinja|chat.?template", re.I)


def _alike(one: str, other: str) -> bool:
    """Whether two complaints are the same; numbers and request ids aside."""
    return _without_ids(one) == _without_ids(other)


def _without_ids(words: str) -> str:
    return re.sub(r"\b[\w-]*\d[\w-]*\b", "#", words)


def _with_body(request: Any, body: dict[str, Any]) -> Any:
    headers = {k: v for k, v in request.headers.items() if k.lower() not in ("content-length", "transfer-encoding")}
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", errors="replace")
    return type(request)(request.method, request.url, headers=headers, content=content, extensions=request.extensions)


def _as_response(response: Any, request: Any, answer: EndpointAnswer) -> Any:
    """What the SDK sees: a completion that it can parse, or a failure with the status that was meant."""
    data = (
        answer.data if answer.ok else {"error": {"message": answer.words, "type": "error", "code": str(answer.status)}}
    )
    kept = {k: v for k, v in response.headers.items() if k.lower() in ("retry-after", "x-request-id", "request-id")}
    library = sys.modules[type(request).__module__.partition(".")[0]]
    return library.Response(
        answer.status,
        headers={**kept, "content-type": "application/json"},
        content=json.dumps(data, ensure_ascii=False).encode("utf-8", errors="replace"),  # half a surrogate is none
        request=request,
    )
