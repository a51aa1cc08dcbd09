"""Who gets in: by a loopback name, or with the token; never another site's page."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.app.page.access import COOKIE, Guard, is_loopback

LOCAL, OUTSIDE = "127.0.0.1:8037", "lab.example:8037"


def asked(
    token: str | None, *, kind: str = "http", method: str = "GET", path: str = "/", query: str = "", **headers: str
) -> tuple[list[Any], bool]:
    """What the guard answers: the messages it sent, and whether the page was reached."""
    sent: list[Any] = []
    reached: list[str] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    given_headers = [(k.replace("_", "-").encode(), v.encode("latin-1", "replace")) for k, v in headers.items()]
    scope = {"type": kind, "method": method, "path": path, "query_string": query.encode(), "headers": given_headers}
    asyncio.run(Guard(page, token=token)(scope, receive, send))
    return sent, bool(reached)


@pytest.mark.parametrize("host", ["127.0.0.1:8037", "localhost:8037", "[::1]:8037", "127.0.0.5"])
def test_on_loopback_a_loopback_name_is_enough(host: str) -> None:
    assert asked(None, host=host)[1]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8037", "10.0.0.1", "", "localhost.evil.example"])
def test_a_foreign_name_that_points_here_reaches_nothing(host: str) -> None:
    sent, reached = asked(None, host=host)
    assert not reached and sent[0]["status"] == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1"])
def test_another_site_changes_nothing(method: str, origin: str) -> None:
    assert not asked(None, method=method, host=LOCAL, origin=origin)[1]
    assert not asked("word", method=method, host=OUTSIDE, origin=origin, cookie=f"{COOKIE}=word")[1]


def test_another_site_s_form_without_an_origin_is_told_by_its_fetch_site() -> None:
    assert not asked(None, method="POST", host=LOCAL, sec_fetch_site="cross-site")[1]
    assert asked(None, method="POST", host=LOCAL, sec_fetch_site="same-origin")[1]


def test_a_websocket_comes_from_our_own_page() -> None:
    assert asked(None, kind="websocket", host=LOCAL, origin=f"http://{LOCAL}")[1]
    sent, reached = asked(None, kind="websocket", host=LOCAL, origin="http://evil.example")
    assert not reached and sent[0]["type"] == "websocket.close"
    assert not asked("word", kind="websocket", host=OUTSIDE, origin=f"http://{OUTSIDE}")[1]
    assert asked("word", kind="websocket", host=OUTSIDE, origin=f"http://{OUTSIDE}", cookie=f"{COOKIE}=word")[1]


def test_beyond_this_machine_a_token_is_demanded_and_traded_for_a_cookie() -> None:
    sent, reached = asked("word", host=OUTSIDE)
    assert not reached and sent[0]["status"] == 401
    sent, reached = asked("word", host=OUTSIDE, path="/c/1/now", query="token=word&ids=a")
    assert not reached and sent[0]["status"] == 303
    headers = dict(sent[0]["headers"])
    assert headers[b"location"] == b"/c/1/now?ids=a"
    cookie = headers[b"set-cookie"].decode()
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert asked("word", host=OUTSIDE, cookie=cookie.split(";")[0])[1]


def test_the_redirect_stays_here() -> None:
    sent, _ = asked("word", host=OUTSIDE, path="//evil.example/x", query="token=word")
    assert dict(sent[0]["headers"])[b"location"] == b"/evil.example/x"


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_other_word_opens(word: str, cookie: str) -> None:
    from urllib.parse import urlencode

    if word.strip() != "the token":
        assert not asked("the token", host=OUTSIDE, query=urlencode({"token": word}))[1]
    assert not asked("the token", host=OUTSIDE, cookie=f"{COOKIE}={cookie}")[1] or cookie == "the token"


def test_every_answer_forbids_frames_and_foreign_content() -> None:
    for sent in (asked(None, host=LOCAL)[0], asked(None, host="evil.example")[0]):
        headers = dict(sent[0]["headers"])
        policy = headers[b"content-security-policy"].decode()
        assert "frame-ancestors 'none'" in policy and "default-src 'self'" in policy and "http:" not in policy


@given(st.text())
def test_an_address_is_loopback_only_if_it_is(host: str) -> None:
    assert not is_loopback(host) or host.lower() == "localhost" or host.strip("[]").startswith(("127.", "::1", "0"))
