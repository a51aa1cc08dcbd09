"""Notices to the user's own command or webhook: a campaign ended, or waits for a word.

Sent from a thread of its own, one after the other, each with a limit of seconds: what cannot be reached never slows or
ends a campaign. The first failure is told, later ones are only logged. A webhook gets JSON by POST; a command gets the
sentence as its last argument and the same JSON on its standard input, without a shell.
"""

from __future__ import annotations

import json
import queue
import re
import shlex
import subprocess
import threading
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

import structlog

from move37.agents.events import ApprovalRequested, Event
from move37.app.exits import BadInput
from move37.app.resuming import watching
from move37.app.settings import Settings
from move37.app.text import one_line
from move37.lab.archive.store import Campaign

log = structlog.get_logger()
WITHIN = 10.0  # seconds that one notice may take
AT_THE_END = 15.0  # seconds that the last notices have, all together
WAITING = 50  # notices that may wait; more are dropped
Send = Callable[[dict[str, object]], None]


def sender(target: str) -> Send:
    """How `target` is told: `http(s)://...` by POST, anything else is a command. Raises `BadInput`."""
    if target.startswith(("http://", "https://")):
        if not urlsplit(target).hostname:
            raise BadInput("--notify names an address without a host: write http://HOST/PATH or a command")
        return lambda facts: _post(target, facts)
    if re.match(r"[\w+.-]+://", target):
        raise BadInput("--notify knows http:// and https:// alone: write http://HOST/PATH or a command")
    try:
        argv = shlex.split(target)
    except ValueError as error:
        raise BadInput(f"--notify cannot be read as a command ({error}): mind its quotes") from error
    if not argv:
        raise BadInput("--notify is empty: write http://HOST/PATH or a command")
    return lambda facts: _call(argv, facts)


def sender_of(settings: Settings, again: Campaign | None) -> Send | None:
    """The same for a session, where anybody is to be told: of one that goes on, whoever was told before."""
    notify = (settings if again is None else watching(settings, again.facts)[0]).campaign.notify
    return sender(notify) if notify else None


def _post(address: str, facts: dict[str, object]) -> None:
    import httpx

    httpx.post(address, json=facts, timeout=WITHIN, follow_redirects=False).raise_for_status()


def _call(argv: list[str], facts: dict[str, object]) -> None:
    subprocess.run(
        [*argv, str(facts["text"])],
        input=json.dumps(facts).encode(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=WITHIN,
        check=True,
    )


class Notifier:
    """Takes a campaign's events and tells the user's own command or webhook what needs them."""

    def __init__(self, send: Send, campaign: int, on_failure: Callable[[str], None]) -> None:
        """`on_failure` hears one sentence, once, from another thread."""
        self._send = send
        self._campaign = campaign
        self._on_failure = on_failure
        self._failed = False
        self._queue: queue.Queue[dict[str, object] | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._work, name="notices", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Waits for the last notices, but not for long."""
        self._put(None)
        self._thread.join(AT_THE_END)

    def __call__(self, event: Event) -> None:
        """Somebody has to answer: say so. Never blocks."""
        if isinstance(event, ApprovalRequested):
            until = f", and goes on unanswered in {event.seconds:.0f} s" if event.seconds is not None else ""
            self._tell("waits", f"{event.experiment} waits for your word ({event.kind}){until}", event.experiment)

    def ended(self, status: str, reason: str) -> None:
        """The session is over: finished, stopped, or what broke."""
        self._tell("ended", f"{status}: {one_line(reason, 300)}", "")

    def _tell(self, kind: str, words: str, experiment: str) -> None:
        facts: dict[str, object] = {"kind": kind, "campaign": self._campaign, "experiment": experiment}
        self._put(facts | {"text": f"move37 campaign {self._campaign}: {words}"})

    def _put(self, facts: dict[str, object] | None) -> None:
        try:
            self._queue.put_nowait(facts)
        except queue.Full:
            log.warning("notice_dropped")

    def _work(self) -> None:
        while (facts := self._queue.get()) is not None:
            try:
                self._send(facts)
            except Exception as error:  # whatever a user's own place does, the campaign goes on
                log.info("notice_not_sent", error=type(error).__name__)
                if not self._failed:
                    self._failed = True
                    self._on_failure(f"A notice could not be sent ({type(error).__name__}); the campaign goes on.")
