"""Foreign text made harmless for a terminal: control characters shown, never obeyed. Pure.

Escape sequences, bells, and the marks that turn the direction of writing are replaced by visible signs, so that code
or words of a model cannot move the cursor, set a title or disguise what they say. Rich markup is not read at all:
everything foreign is printed as `rich.text.Text`. HTML has its own escaping in `app/report/`.
"""

from __future__ import annotations

import re
import unicodedata

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|\x9b[0-?]*[ -/]*[@-~]")
_TURNS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C], "\ufffd")
_CONTROLS = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
_CONTROLS |= {0x7F: "\u2421", **dict.fromkeys(range(0x80, 0xA0), "\ufffd"), 0x2028: "\n", 0x2029: "\n"}
_SHOWN = _CONTROLS | _TURNS
_BLOCKS = "▁▂▃▄▅▆▇█"


def harmless(text: str) -> str:
    """The same text with every control character visible; newlines and tabs stay."""
    return text.replace("\r\n", "\n").translate(_SHOWN)


def bare(text: str) -> str:
    """Like `harmless`, with whole escape sequences taken out: for pages that nobody reads in a terminal."""
    return harmless(_SEQUENCE.sub("", text))


def one_line(text: str, width: int | None = None) -> str:
    """Harmless, without line breaks, cut at `width` characters with an ellipsis."""
    flat = " ".join(harmless(text).split())
    if width is None or len(flat) <= width:
        return flat
    return flat[: max(0, width - 1)].rstrip() + "…"


def counted(number: int, noun: str) -> str:
    """1 candidate, 2 candidates."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def columns(text: str) -> int:
    """Terminal columns that a harmless text takes."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)


def spark(values: list[float], width: int = 16) -> str:
    """A row of blocks, low to high, of the last `width` finite values."""
    finite = [v for v in values if abs(v) < 1e30][-width:]  # nan compares false
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    span = high - low
    return "".join(_BLOCKS[int((v - low) / span * 7) if span else 0] for v in finite)
