"""What went wrong with one call of a model, and what follows from it. Pure.

    overflow   the prompt is over the context: the same call with less of it
    outage     the server is away, busy or limits our rate: wait, until the campaign's own end
    hiccup     the server failed at this call: a few times again, then this call is lost
    call       the server refuses this request: this call is lost, and its experiment at most
    refused    no call can succeed (key, credit, name, address): final at once

`diagnose` decides from the exception and the exchange; `pause` says how long to wait; `sentence` what the user reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from time import time

from move37.agents.models.wire import Exchange, is_overflow

OUTAGE = (408, 425, 429, 502, 503, 504, 521, 522, 523, 524, 529)
REFUSED = {
    401: "check the API key",
    402: "the account has no credit left: add some, or name another --model",
    403: "check the API key and what it may use",
    404: "check the model's name and --base-url",
    405: "check --base-url: the address takes no such request",
}
_LOST = {"APIConnectionError", "TransportError", "ConnectError", "ConnectionError", "ReadError", "RemoteProtocolError"}
_SLOW = {"APITimeoutError", "TimeoutError", "TimeoutException"}
_NO_CREDIT = re.compile(r"insufficient_quota|exceeded your current quota|credit balance|billing", re.I)


class Kind(Enum):
    """See the module."""

    OVERFLOW = "overflow"
    OUTAGE = "outage"
    HICCUP = "hiccup"
    CALL = "call"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One failed call."""

    kind: Kind
    status: int  # 0: no answer
    words: str  # one line: the server's own where it said any
    after: float | None = None  # seconds that the server asked us to wait


def diagnose(error: Exception, seen: Exchange) -> Fault:
    """The fault behind an exception of an SDK; `seen`: what the endpoint's last answer to this call said."""
    status, words = _status(error) or (seen.status if seen.status >= 300 else 0), seen.words or _line(error)
    if status and is_overflow(words) and status not in (*OUTAGE, *REFUSED):
        return Fault(kind=Kind.OVERFLOW, status=status, words=words)
    return Fault(
        kind=_kind(error, status, words), status=status, words=words, after=retry_after(seen.retry_after, words)
    )


def _kind(error: Exception, status: int, words: str) -> Kind:
    names = {kind.__name__ for kind in type(error).__mro__}
    if not status and isinstance(error.__cause__, Exception):
        names |= {kind.__name__ for kind in type(error.__cause__).__mro__}
    if status == 429 and _NO_CREDIT.search(words):
        return Kind.REFUSED
    if status in OUTAGE:
        return Kind.HICCUP if status == 502 and words.startswith(("an answer", "a completion")) else Kind.OUTAGE
    if status in REFUSED:
        return Kind.REFUSED
    if 400 <= status < 500:
        return Kind.CALL
    if status >= 500:
        return Kind.HICCUP
    slow = names & _SLOW and "ConnectTimeout" not in names
    return Kind.OUTAGE if names & _LOST and not slow else Kind.HICCUP


def pause(fault: Fault, failures: int, *, first: float, longest: float) -> float:
    """Seconds until the next try: what the server asked for, else doubling up to `longest`."""
    if fault.after is not None:
        return max(fault.after, first)
    return float(min(first * 2.0 ** min(failures, 30), longest))


def sentence(signature: str, fault: Fault) -> str:
    """What the user reads when the fault is final."""
    words = fault.words[:300]
    said = f"{fault.status}: {words}" if fault.status else words
    if fault.kind is Kind.REFUSED:
        advice = REFUSED.get(fault.status, REFUSED[402] if fault.status == 429 else "name another --model")
        return f"{signature} refuses us ({said}): {advice}"
    if fault.kind is Kind.CALL:
        return f"{signature} refused this request ({said})"
    if fault.kind is Kind.OVERFLOW:
        return f"{signature} cannot take a prompt of this length ({said})"
    if fault.kind is Kind.HICCUP:
        return f"{signature} failed at this request, several times ({said})"
    return f"{signature} does not answer ({said}): {_outage_advice(fault)}"


def _outage_advice(fault: Fault) -> str:
    if fault.status == 429:
        return "it limits how often it is asked; wait, or use a plan that allows more"
    if fault.status:
        return "the server is up and cannot serve now; try again later"
    return "check that the endpoint runs and that --base-url names it"


def retry_after(header: str, words: str) -> float | None:
    """Seconds from a Retry-After header (seconds, ms or a date), else from words like "try again in 6m0s"."""
    if (header := header.strip()).endswith("ms") and _number(header[:-2]) is not None:
        return (_number(header[:-2]) or 0.0) / 1000
    if (value := _number(header)) is not None:
        return value
    if header:
        try:
            return max(0.0, parsedate_to_datetime(header).timestamp() - time())
        except (ValueError, TypeError, OverflowError):
            pass
    found = re.search(
        r"(?:try again|retry|wait)\D{0,24}?"
        r"((?:\d+(?:\.\d+)?\s*(?:ms|hours?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])\s*)+)",
        words,
        re.I,
    )
    return _spelled(found[1]) if found else None


def _spelled(text: str) -> float:
    units = {"ms": 0.001, "h": 3600.0, "m": 60.0, "s": 1.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(ms|[hms])", text.lower())
    return sum(float(number) * units[unit] for number, unit in parts)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text) else None


def _status(error: Exception) -> int:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and status > 0 else 0


def _line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:300]}" if text else type(error).__name__
