"""Bytes and names of a person's files as text: marks of byte order, line ends, what old programs wrote."""

from __future__ import annotations

from pathlib import Path

from move37.memory.errors import Unreadable


def printable(name: str) -> str:
    """A file's name as a key: on Linux it is bytes, and may hold lines and what is no UTF-8."""
    plain = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else "_" for c in plain)


def decoded(path: Path) -> str:
    """UTF-8, or UTF-16 or 32 that says so in its first bytes."""
    raw = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8-sig")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path.name} is not UTF-8 text; convert it first.") from error
    return _plain(text)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def by_lines(path: Path) -> tuple[str, str]:
    """A list of references, which years of programs have written into: each line as UTF-8 or else as Windows wrote it;
    and a sentence where it was the latter."""
    try:
        return decoded(path).replace("\ufeff", ""), ""  # joined files have marks of byte order in their middle
    except Unreadable:
        raw = path.read_bytes().replace(b"\xef\xbb\xbf", b"")
        lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return _plain("\n".join(map(_line, lines))), "read as Windows-1252 where it is not UTF-8"


def _line(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")
