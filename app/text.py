"""Foreign text made harmless: what commands a terminal, turns the writing or cannot be seen is shown. Pure.

The one sanitizer of `app`: terminal, HTML, Markdown and the page pass foreign text through `harmless`, `bare` or
`one_line`. Escape sequences, bells, direction marks, zero-width and tag characters and lone surrogates become visible
signs, so that code or words of a model cannot move a cursor, set a title, disguise or smuggle what they say. HTML is
escaped besides by the templates; Rich markup is never read (`rich.text.Text`).
"""

from __future__ import annotations

import re
import unicodedata

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|\x9b[0-?]*[ -/]*[@-~]")
_SIGN = "\ufffd"
_CONTROLS = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
_CONTROLS |= {0x7F: "\u2421", **dict.fromkeys(range(0x80, 0xA0), _SIGN), 0x85: "\n", 0x2028: "\n", 0x2029: "\n"}
_TURNS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
# Joiners (U+200C, U+200D) and the first variation selectors stay: scripts and emoji are written with them.
_UNSEEN = (
    0x00AD,  # soft hyphen
    0x034F,  # grapheme joiner
    *(0x115F, 0x1160, 0x3164, 0xFFA0),  # Hangul fillers, drawn as nothing
    *(0x17B4, 0x17B5, 0x180E),
    0x200B,
    *range(0x2060, 0x2066),
    *range(0x206A, 0x2070),
    0xFEFF,
    *range(0xFFF0, 0xFFFC),
    *range(0x1D173, 0x1D17B),
    *range(0xE0000, 0xE1000),  # tags and further variation selectors
)
_SHOWN = _CONTROLS | dict.fromkeys((*_TURNS, *_UNSEEN, *range(0xD800, 0xE000)), _SIGN)
_BLOCKS = "▁▂▃▄▅▆▇█"


def harmless(text: str) -> str:
    """The same text with every control and unseen character visible; line ends become newlines, tabs stay."""
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


def in_markdown(text: str, width: int = 600) -> str:
    """One line that Markdown takes for text: no tag and no code."""
    return one_line(text, width).replace("<", "&lt;").replace("`", "'")


def counted(number: int, noun: str) -> str:
    """1 candidate, 2 candidates."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def columns(text: str) -> int:
    """Terminal columns that a harmless text takes."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)


def spark(values: list[float]) -> str:
    """A row of blocks, low to high, of the last 16 finite values."""
    finite = [v for v in values if abs(v) < 1e30][-16:]  # nan compares false
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    span = high - low
    return "".join(_BLOCKS[int((v - low) / span * 7) if span else 0] for v in finite)
