"""Notices to a person's own place: they arrive, and a place that does not answer neither slows nor ends anything."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from move37.agents.events import ApprovalRequested, Notice
from move37.app import notify
from move37.app.exits import BadInput
from move37.app.notify import Notifier, sender

ASKED = ApprovalRequested(experiment="c1-003", kind="code", text="a long text", seconds=600.0)


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[Any]]]:
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    server.server_close()


def test_a_webhook_hears_what_needs_the_person_and_how_it_ended(webhook: tuple[str, list[Any]]) -> None:
    address, got = webhook
    failures: list[str] = []
    with Notifier(sender(address), 1, failures.append) as notifier:
        notifier(Notice(text="something small"))
        notifier(ASKED)
        notifier.ended("finished", "the budget is spent")
    assert [(g["kind"], g["experiment"]) for g in got] == [("waits", "c1-003"), ("ended", "")]
    assert got[0]["text"].endswith("c1-003 waits for your word (code), and goes on unanswered in 600 s")
    assert got[1]["text"] == "move37 campaign 1: finished: the budget is spent" and failures == []


def test_a_command_gets_the_sentence_as_one_argument_and_no_shell(tmp_path: Path) -> None:
    out = tmp_path / "heard.json"
    code = "import sys, json; open(sys.argv[1], 'w').write(json.dumps([sys.argv[2:], json.load(sys.stdin)]))"
    script = tmp_path / "tell me.py"
    script.write_text(code)
    with Notifier(sender(f"{sys.executable} '{script}' {out}"), 2, pytest.fail) as notifier:
        notifier.ended("stopped", "$(touch /tmp/x); `y` \n two lines")
    arguments, facts = json.loads(out.read_text())
    assert len(arguments) == 1 and arguments[0] == facts["text"] and "$(touch /tmp/x)" in arguments[0]
    assert facts["campaign"] == 2


@pytest.mark.parametrize("target", ["no-such-command-here", "false", "http://127.0.0.1:1/hook"])
def test_a_place_that_fails_is_told_once_and_costs_nothing(target: str) -> None:
    failures: list[str] = []
    with Notifier(sender(target), 1, failures.append) as notifier:
        for _ in range(5):
            notifier(ASKED)
    assert len(failures) == 1 and "the campaign goes on" in failures[0] and "127.0.0.1" not in failures[0]


def test_a_webhook_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "WITHIN", 0.2)
    monkeypatch.setattr(notify, "AT_THE_END", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        notifier = Notifier(sender(f"http://127.0.0.1:{silent.getsockname()[1]}/"), 1, lambda _: None)
        with notifier:
            for _ in range(4 * notify.WAITING):  # never blocks, whatever waits
                notifier(ASKED)
    assert notifier._queue.qsize() > 0  # it was not waited for


@pytest.mark.parametrize("target", ["http://", "https:///path", "say 'unclosed", "   ", "ftp://host/path"])
def test_what_is_no_place_is_said_before_anything_begins(target: str) -> None:
    with pytest.raises(BadInput, match="--notify"):
        sender(target)
