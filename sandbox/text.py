"""A program's output made harmless before a terminal or a page sees it: pure, a piece at a time.

Bytes that are not UTF-8 become the replacement character; control characters become visible signs (ESC is shown as the
picture of ESC, so a sequence can be read but does nothing); what turns the direction of writing or hides text is
replaced. Newlines and tabs stay, and a lone carriage return becomes a newline: a progress bar stays legible and
nothing can be overwritten. Markup is not this file's matter: HTML and Rich have their own escaping where they print.
"""

from __future__ import annotations

import codecs

REPLACEMENT = "\ufffd"
_TURNS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_HIDDEN = (*range(0xE0000, 0xE0080), 0xFEFF, 0xFFF9, 0xFFFA, 0xFFFB)  # tags, byte order mark, interlinear marks
_SHOWN: dict[int, str] = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
_SHOWN |= {0x7F: "\u2421", 0x2028: "\n", 0x2029: "\n"}
_SHOWN |= dict.fromkeys((*range(0x80, 0xA0), *_TURNS, *_HIDDEN), REPLACEMENT)


class Harmless:
    """Takes a stream of bytes cut anywhere, gives text that can be printed."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._after_return = False  # a carriage return at the end of a piece may be half of a line's end

    def feed(self, data: bytes, *, last: bool = False) -> str:
        """The harmless text of `data`; `last` also gives what was held back."""
        text = self._decoder.decode(data, final=last)
        if self._after_return:
            text = "\r" + text
        self._after_return = text.endswith("\r") and not last
        if self._after_return:
            text = text[:-1]
        return text.replace("\r\n", "\n").replace("\r", "\n").translate(_SHOWN)


def harmless(data: bytes) -> str:
    """All of it at once."""
    return Harmless().feed(data, last=True)
