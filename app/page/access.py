"""Who gets in, as one piece of ASGI middleware around everything, websockets included. No NiceGUI here.

On a loopback address whoever reaches the port is let in, by a loopback name alone (so that a site that points its own
name at 127.0.0.1 reaches nothing). Elsewhere a token is demanded: once in the address, from then on in a cookie. A
request that changes anything, and every websocket, must come from our own pages (Origin), or it is refused.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "move37_token"
SAFE = ("GET", "HEAD", "OPTIONS")
HEADERS = {
    # Vue compiles the page's templates and NiceGUI writes them inline; nothing is fetched from anywhere else.
    b"content-security-policy": b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    b"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    b"connect-src 'self' ws: wss:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """The middleware. `token` is None where only this machine can reach the page."""

    def __init__(self, app: App, *, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in, send away, or trade a token in the address for a cookie."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        problem = self._problem(scope, headers)
        if problem is not None:
            await _refuse(scope, send, *problem)
        elif (place := self._redirect(scope)) is not None:
            await _respond(send, 303, b"", ((b"location", place.encode()), (b"set-cookie", self._cookie(scope))))
        else:
            await self._app(scope, receive, _with_headers(send))

    def _problem(self, scope: Scope, headers: MutableMapping[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if self._token is None and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return 403, "this page answers to a loopback name alone, such as 127.0.0.1 or localhost"
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE
        if changes and origin is not None and urlsplit(origin).netloc != host:
            return 403, "the request comes from another site"
        if changes and origin is None and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "the request comes from another site"
        if self._token is not None and not self._known(scope, headers):
            return 401, "a token is needed: open the address that `move37 serve` printed"
        return None

    def _known(self, scope: Scope, headers: MutableMapping[str, str]) -> bool:
        assert self._token is not None
        cookies = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return False
        held = cookies[COOKIE].value if COOKIE in cookies else ""
        given = dict(_query(scope)).get("token", "") if scope["type"] == "http" else ""
        return any(hmac.compare_digest(self._token.encode(), word.encode()) for word in (held, given) if word)

    def _redirect(self, scope: Scope) -> str | None:
        """The same address without its token: it must not stay in histories and logs."""
        query = _query(scope)
        if self._token is None or scope["type"] != "http" or scope["method"] != "GET" or "token" not in dict(query):
            return None
        rest = urlencode([(k, v) for k, v in query if k != "token"])
        return f"/{scope['path'].lstrip('/')}" + (f"?{rest}" if rest else "")

    def _cookie(self, scope: Scope) -> bytes:
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        return f"{COOKIE}={self._token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000{secure}".encode()


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope.get("query_string", b"").decode("latin-1"))


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *HEADERS.items()]
        await send(message)

    return sending


async def _refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4000 + status, "reason": reason})
    else:
        await _respond(send, status, f"move37: {reason}\n".encode())


async def _respond(send: Send, status: int, body: bytes, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *HEADERS.items(), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
