"""Reads the files of a corpus: the pinned sources or the user's own files, with a reason for each that is left out.

Read `pinned_files` (the default: the sources of the pinned sympy, which torch installs anyway), then `own_files`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from move37.lab.errors import BadCorpus

log = structlog.get_logger()

PINNED = "sympy"
PINNED_VERSION = "1.14.0"
# Over the path, size and content of every source file, in order: the same on every platform.
PINNED_SHA256 = "0b75b5fdbeaea052b86800507c035911ff5a59a92a0ef0752c0f9cf361579012"

LEAST_BYTES = 1_000_000  # a user's own text; one run of 500 steps draws 1.03 MB
LARGEST_BYTES = 2_000_000_000
MOST_NAMED = 3  # files that a message names
_BLOCK = 65_536  # bytes that are judged at once
_CONTROL = np.isin(np.arange(256), [code for code in range(32) if code not in (9, 10, 12, 13, 27)])
_MAGIC = {
    b"\xff\xfe\x00\x00": "it is UTF-32: convert it to UTF-8",
    b"\xff\xfe": "it is UTF-16: convert it to UTF-8",
    b"\xfe\xff": "it is UTF-16: convert it to UTF-8",
    b"\x1f\x8b": "it is compressed (gzip): unpack it",
    b"BZh": "it is compressed (bzip2): unpack it",
    b"\xfd7zXZ": "it is compressed (xz): unpack it",
    b"\x28\xb5\x2f\xfd": "it is compressed (zstd): unpack it",
    b"PK\x03\x04": "it is an archive (zip): unpack it",
    b"7z\xbc\xaf\x27\x1c": "it is an archive (7z): unpack it",
    b"%PDF-": "it is a PDF: extract its text",
    b"\x93NUMPY": "it is an array (NumPy), not text",
    b"PAR1": "it is a table (Parquet): export it as text",
    b"\x7fELF": "it is a program, not text",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of text; `key` decides in which split it lands."""

    key: str
    content: bytes


def pinned_files() -> list[Source]:
    try:
        version = importlib.metadata.version(PINNED)
        spec = importlib.util.find_spec(PINNED)  # does not import it
    except (importlib.metadata.PackageNotFoundError, ValueError):
        version, spec = "", None
    if version != PINNED_VERSION or spec is None or spec.origin is None:
        raise BadCorpus(
            f"the default corpus is {PINNED} {PINNED_VERSION}, found {version or 'none'}: run `make install`"
        )
    root = Path(spec.origin).parent
    return [Source(key=p.relative_to(root.parent).as_posix(), content=_read(p)) for p in sorted(root.rglob("*.py"))]


def own_files(path: Path) -> tuple[list[Source], tuple[str, ...]]:
    """The files of text, and what is left out with its reason."""
    try:
        passed: dict[str, str] = {}
        if path.is_dir():
            seen = sorted(p for p in path.rglob("*") if not _is_hidden(p, path))
            reasons_by_path = {p: _why_passed_over(p) for p in seen}
            passed = {p.relative_to(path).as_posix(): why for p, why in reasons_by_path.items() if why}
            found = [p for p, why in reasons_by_path.items() if not why and p.is_file()]
        elif path.is_file():
            found = [path]
        else:  # a pipe or a device cannot be read again by `resume`, and may have no end
            what = f"the corpus {path} is no plain file" if path.exists() else f"no such corpus: {path}"
            raise BadCorpus(f"{what}; name a text file or a folder of text files")
        size = sum(p.stat().st_size for p in found)
    except OSError as error:
        raise BadCorpus(f"cannot read the corpus {path}: {error.strerror}") from error
    if size > LARGEST_BYTES:
        raise BadCorpus(f"the corpus {path} is over {LARGEST_BYTES // 10**9} GB: give a part of it")
    sources, reasons = [], passed
    first: dict[bytes, str] = {}  # digest -> key: a copy under another name could land in another split
    for file in found:
        key = file.name if file == path else file.relative_to(path).as_posix()
        try:
            sources.append(Source(key=key, content=_read(file)))
            content = sources[-1].content
            reasons[key] = _why_not_text(content)
            twin = first.setdefault(hashlib.sha256(content).digest(), key) if content else key
            if twin != key and not reasons[key]:
                reasons[key] = f"it is the same text as {twin}"
        except BadCorpus as error:
            if file == path:
                raise
            reasons[key] = str(error)
    texts = [s for s in sources if not reasons[s.key]]
    left_out = tuple(f"{key}: {reason}" for key, reason in reasons.items() if reason)
    if left_out and not texts:
        shown = "; ".join(left_out[:MOST_NAMED])
        raise BadCorpus(f"the corpus {path} is not text ({shown}): give plain text files, not archives or binaries")
    if left_out:
        log.info("corpus_files_left_out", corpus=str(path), count=len(left_out), first=left_out[:MOST_NAMED])
    size = sum(len(s.content) for s in texts)
    if size < LEAST_BYTES:
        raise BadCorpus(f"the corpus {path} has {size:,} bytes of text, at least {LEAST_BYTES:,} are needed")
    return texts, left_out


def _is_hidden(path: Path, root: Path) -> bool:
    """Whether it is hidden, or a cache of compiled Python."""
    return any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(root).parts)


def _why_passed_over(path: Path) -> str:
    """Why a path is skipped; empty for files that are read and folders. Links are, as they may leave the folder."""
    try:
        mode = path.lstat().st_mode
    except OSError as error:  # in a folder that may be listed and not entered
        return f"it cannot be looked at ({error.strerror})"
    if stat.S_ISLNK(mode):
        return "it is a link: put the file itself there"
    if stat.S_ISDIR(mode):
        return "" if os.access(path, os.R_OK | os.X_OK) else "it is a folder that is closed to you"
    return "" if stat.S_ISREG(mode) else "it is no plain file"


def _why_not_text(content: bytes) -> str:
    """Why a file is no text that bytes can be learned from; empty where it is.

    Any encoding that extends ASCII passes. Every block of it is looked at: control characters, NUL among them, may be
    one in a hundred, so that a stray one refuses no book and noise behind a readable head is found.
    """
    kind = next((what for magic, what in _MAGIC.items() if content.startswith(magic)), "")
    if kind:
        return kind
    codes = np.frombuffer(content, dtype=np.uint8)
    for first in range(0, len(codes), _BLOCK):
        block = codes[first : first + _BLOCK]
        bad = int(_CONTROL[block].sum())
        if bad > max(1, len(block) // 100):
            zeros = int((block == 0).sum())
            where = f" at byte {first:,}" if first else ""
            if zeros == bad > len(block) * 3 // 4:  # UTF-32 of plain text, or nothing at all
                return f"it is not text{where}: mostly NUL bytes (a sparse file, or UTF-32: convert it to UTF-8)"
            if zeros > len(block) // 4:
                return "it looks like UTF-16 or UTF-32: convert it to UTF-8"
            return f"it is not text{where}: {bad} of {len(block)} bytes are control characters"
    return ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCorpus(f"cannot read {path}: {error.strerror}") from error


def name_of(source: Source) -> bytes:
    # The name of a file on Linux is bytes, not always UTF-8.
    return source.key.encode("utf-8", "surrogateescape")
