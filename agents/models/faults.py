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
from enum import Enum

from move37.agents.models.waits import retry_after
from move37.agents.models.wire import Exchange, is_overflow

OUTAGE = (408, 425, 429, 498, 502, 503, 504, 521, 522, 523, 524, 529)
GAVE_UP = (408, 502, 504, 524)  # of those: a gateway's patience, or a server that fell over what it was asked
HICCUP = (409, 421, 423, 499)
REFUSED = {
    301: "the address has moved: check --base-url",
    401: "check the API key",
    402: "the account has no credit left: add some, or name another --model",
    403: "check the API key and what it may use",
    404: "check the model's name and --base-url",
    405: "check --base-url: the address takes no such request",
    407: "the proxy of HTTP_PROXY or HTTPS_PROXY wants a password",
    410: "check the model's name and --base-url",
    451: "the provider does not serve this place: name another --model",
    495: "check --base-url (http or https) and the server's certificate (SSL_CERT_FILE names the one to trust)",
}
_TLS = re.compile(r"certificate verify failed|WRONG_VERSION_NUMBER|record layer failure|hostname mismatch", re.I)
_BY_WORDS = (  # what some servers answer with 400, 403, 422 or 429
    (
        402,
        r"insufficient[_ ](?:quota|balance|credit)|credit balance is too low|billing hard limit|arrearage"
        r"|good standing",
    ),
    (401, r"api.?key (?:is )?(?:not valid|invalid|expired)|(?:incorrect|invalid|no|missing) api.?key|api_key_invalid"),
    (
        404,
        r"model_(?:not_found|decommissioned|not_exist)|not a valid model|invalid model\b|unknown model\b"
        r"|model\b.{0,60}(?:does not exist|not exist\b|not found|decommissioned|no longer (?:supported|available))",
    ),
)
_LOST = {"APIConnectionError", "TransportError", "ConnectError", "ConnectionError", "ReadError", "RemoteProtocolError"}
_CUT = {"ReadError", "RemoteProtocolError", "WriteError"}  # a connection that stood
_SLOW = {"APITimeoutError", "TimeoutError", "TimeoutException"}
_ALONE_TOO_LARGE = re.compile(r"request too large|tokens must be reduced", re.I)  # for a minute's tokens: never passes
_QUOTA = re.compile(r"exceeded your current quota|credit balance|billing", re.I)


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
    its_own: bool = False  # of an outage: it may be this request that a server or its gateway cannot bear


def diagnose(error: Exception, seen: Exchange) -> Fault:
    """The fault behind an exception of an SDK; `seen`: what the endpoint's last answer to this call said."""
    status, words = _status(error) or (seen.status if seen.status >= 300 else 0), seen.words or _line(error)
    after = retry_after(seen.retry_after, words)
    if status == 413 or (
        status and is_overflow(words) and (status not in (*OUTAGE, *REFUSED) or _ALONE_TOO_LARGE.search(words))
    ):
        return Fault(kind=Kind.OVERFLOW, status=status, words=words)
    names = {kind.__name__ for one in _causes(error) for kind in type(one).__mro__}
    its_own = status in GAVE_UP or (not status and bool(names & _CUT))
    return Fault(kind=_kind(names, status, words, after), status=status, words=words, after=after, its_own=its_own)


def _kind(names: set[str], status: int, words: str, after: float | None) -> Kind:
    if _final(status, words, after) is not None:
        return Kind.REFUSED
    if status in OUTAGE:
        return Kind.HICCUP if status == 502 and words.startswith(("an answer", "a completion")) else Kind.OUTAGE
    if 400 <= status < 500 and status not in HICCUP:
        return Kind.CALL
    if status >= 400:
        return Kind.HICCUP
    slow = names & _SLOW and "ConnectTimeout" not in names
    return Kind.OUTAGE if names & _LOST and not slow else Kind.HICCUP


def _final(status: int, words: str, after: float | None) -> int | None:
    """The status whose advice helps where no patience does; None where it may."""
    if not status:
        return 495 if _TLS.search(words) else 301 if "redirect" in words.lower() else None
    if status in (400, 403, 422, 429):
        meant = next((meant for meant, pattern in _BY_WORDS if re.search(pattern, words, re.I)), None)
        if meant is not None:
            return meant
    if status == 429:  # a limit of the minute links to the plans that have a higher one; it says how long it holds
        return 402 if _QUOTA.search(words) and after is None else None
    if 300 <= status < 400:
        return 301
    return status if status in REFUSED else None


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
        final = _final(fault.status, fault.words, fault.after)
        advice = REFUSED.get(final or fault.status, "name another --model")
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


def _status(error: Exception) -> int:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and status > 0 else 0


def _line(error: Exception) -> str:
    """The words of the innermost cause: what an SDK wraps around them says only that the connection failed."""
    said = [one for one in _causes(error) if str(one).strip()]
    if not said:
        return type(error).__name__
    return f"{type(said[-1]).__name__}: {str(said[-1]).strip().splitlines()[0][:300]}"


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found and len(found) < 10:
        found.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return found
