"""How long a server asks us to wait, in every form that servers use. Pure, but for the clock that dates are read by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from time import time


def waits_for(headers: Mapping[str, str]) -> str:
    """How long the server asks us to wait, by whichever header it uses; of several limits the one that is spent."""
    if milliseconds := headers.get("retry-after-ms"):
        return f"{milliseconds}ms"
    if seconds := headers.get("retry-after"):
        return seconds
    resets = [name.lower() for name in headers if re.search(r"ratelimit\b.*-reset\b", name.lower())]
    spent = [name for name in resets if headers.get(name.replace("-reset", "-remaining")) in (None, "0")]
    return max((headers[name] for name in spent), key=lambda value: retry_after(value, "") or 0.0, default="")


def retry_after(stated: str, words: str) -> float | None:
    """Seconds, stated as a number, 1m30s, a date or an epoch, else from words like "try again in 6m0s"."""
    stated = stated.strip()
    if (value := _number(stated)) is not None:
        if value > 1e9:  # a point in time, in seconds or milliseconds
            return max(0.0, (value / 1000 if value > 1e11 else value) - time())
        return value
    if re.fullmatch(rf"(?:{_SPAN})+", stated, re.I):
        return _spelled(stated)
    if stated and (moment := _moment(stated)) is not None:
        return max(0.0, moment - time())
    found = re.search(rf"(?:again|retry|wait|available)\D{{0,24}}?((?:{_SPAN})+)", words, re.I)
    return _spelled(found[1]) if found else None


_SPAN = r"\d+(?:\.\d+)?\s*(?:ms|hours?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])\s*"


def _moment(text: str) -> float | None:
    """A date as HTTP or ISO writes it, in seconds of the epoch."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return read(text).timestamp()
        except (ValueError, TypeError, OverflowError):
            continue
    return None


def _spelled(text: str) -> float:
    units = {"ms": 0.001, "h": 3600.0, "m": 60.0, "s": 1.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(ms|[hms])", text.lower())
    return sum(float(number) * units[unit] for number, unit in parts)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,14}(?:\.\d{1,9})?", text) else None
