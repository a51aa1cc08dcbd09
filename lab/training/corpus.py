"""The text that rung 2 learns: bytes, split once, verified each time. Runs outside the sandbox only.

Read in this order: `Corpus` (what the rest of the lab sees), `open_corpus` (cache or build), `_pinned_files` (the
default: the sources of the pinned sympy, which torch installs anyway), `_own_files` (the person's own text), `_split`.
The default is split by file, through a hash of the path, so that no file gives both training and validation text.
A person's text is split by file where it has enough files, else by position.

Held-out text is sealed: only `open_held_out` reads it, and whoever calls that logs the opening before
(`lab/archive/openings.py`; `move37 confirm` does).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from move37.lab.checksum import checksum
from move37.lab.errors import BadCorpus

log = structlog.get_logger()

Bytes = NDArray[np.uint8]

PINNED = "sympy"
PINNED_VERSION = "1.14.0"
# Over the path, size and content of every source file, in order: the same on every platform.
PINNED_SHA256 = "0b75b5fdbeaea052b86800507c035911ff5a59a92a0ef0752c0f9cf361579012"

HELD_OUT_SHARE = 0.065
VALIDATION_SHARE = 0.067
LEAST_BYTES = 1_000_000  # a person's own text; one run of 500 steps draws 1.03 MB
LEAST_VALIDATION = 100_000
LARGEST_BYTES = 2_000_000_000
_LAYOUT = 1  # raise when the split changes, so that an old cache is not taken for a new one
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
_SPLITS = ("train", "validation", "held_out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Text as bytes, memory-mapped."""

    name: str  # "sympy 1.14.0", or the person's path
    sha256: str  # of the sources, which decides the split too
    train: Bytes  # [bytes]
    validation: Bytes  # [bytes]
    folder: Path | None = None  # in the cache, where the sealed text lies too
    left_out: tuple[str, ...] = ()  # files of the user's folder that are not in it, each with the reason


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One file of text; `key` decides in which split it lands."""

    key: str
    content: bytes


def open_corpus(cache: Path, path: Path | None = None) -> Corpus:
    """The pinned corpus, or the person's own at `path`; built under `cache` once and verified at every opening.

    Raises `BadCorpus`: unreadable, too small, not text, or the pinned sources differ from their checksum.
    """
    sources, left_out = (_pinned_files(), ()) if path is None else _own_files(path)
    name = f"{PINNED} {PINNED_VERSION}" if path is None else str(path)
    sha256 = checksum((_name(source), source.content) for source in sources)
    if path is None and sha256 != PINNED_SHA256:
        raise BadCorpus(
            f"the sources of {PINNED} {PINNED_VERSION} differ from the pinned checksum: "
            f"reinstall them with `pip install --force-reinstall --no-deps {PINNED}=={PINNED_VERSION}`"
        )
    folder = cache / f"corpus-{_LAYOUT}-{sha256[:16]}"
    if not _intact(folder):
        _write(folder, _split(sources, least_validation=LEAST_VALIDATION), sha256=sha256)
        log.info("corpus_built", corpus=name, sha256=sha256)
    return Corpus(
        name=name,
        sha256=sha256,
        train=_mapped(folder, "train"),
        validation=_mapped(folder, "validation"),
        folder=folder,
        left_out=left_out,
    )


def open_held_out(corpus: Corpus) -> Bytes:
    """The sealed text [bytes]. Log the opening before you call this. Raises as `check_held_out`."""
    check_held_out(corpus)
    assert corpus.folder is not None
    return _mapped(corpus.folder, "held_out")


def check_held_out(corpus: Corpus) -> None:
    """Whether the sealed text is what was sealed; nothing of it is given away.

    Raises `BadCorpus` where it is not: then no number from it may be believed.
    """
    folder = corpus.folder
    if folder is None or not _agrees(folder, "held_out"):
        where = "the cache" if folder is None else str(folder / "held_out.bin")
        raise BadCorpus(
            f"the sealed text in {where} is not what was sealed: numbers from it would not count. Remove "
            f"{folder or 'the cache'}, so that it is built again from the sources"
        )


def _pinned_files() -> list[_Source]:
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
    return [_Source(key=p.relative_to(root.parent).as_posix(), content=_read(p)) for p in sorted(root.rglob("*.py"))]


def _own_files(path: Path) -> tuple[list[_Source], tuple[str, ...]]:
    """The files of text, and what is left out with its reason."""
    try:
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if _is_visible_file(p, path))
        elif path.is_file():
            found = [path]
        else:  # a pipe or a device cannot be read again by `resume`, and may have no end
            what = f"the corpus {path} is no plain file" if path.exists() else f"no such corpus: {path}"
            raise BadCorpus(f"{what}; give --corpus a text file or a folder of text files")
        size = sum(p.stat().st_size for p in found)
    except OSError as error:
        raise BadCorpus(f"cannot read the corpus {path}: {error.strerror}") from error
    if size > LARGEST_BYTES:
        raise BadCorpus(f"the corpus {path} is over {LARGEST_BYTES // 10**9} GB: give a part of it")
    sources = [_Source(key=p.name if p == path else p.relative_to(path).as_posix(), content=_read(p)) for p in found]
    reasons = {s.key: _why_not_text(s.content) for s in sources}
    texts = [s for s in sources if not reasons[s.key]]
    left_out = tuple(f"{key}: {reason}" for key, reason in reasons.items() if reason)
    if sources and not texts:
        shown = "; ".join(left_out[:MOST_NAMED])
        raise BadCorpus(f"the corpus {path} is not text ({shown}): give plain text files, not archives or binaries")
    if left_out:
        log.warning("corpus_files_left_out", corpus=str(path), count=len(left_out), first=left_out[:MOST_NAMED])
    size = sum(len(s.content) for s in texts)
    if size < LEAST_BYTES:
        raise BadCorpus(f"the corpus {path} has {size:,} bytes of text, at least {LEAST_BYTES:,} are needed")
    return texts, left_out


def _is_visible_file(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return path.is_file() and not path.is_symlink() and not hidden


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
            if zeros > len(block) // 4:
                return "it looks like UTF-16 or UTF-32: convert it to UTF-8"
            where = f" at byte {first:,}" if first else ""
            return f"it is not text{where}: {bad} of {len(block)} bytes are control characters"
    return ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCorpus(f"cannot read {path}: {error.strerror}") from error


def _name(source: _Source) -> bytes:
    # The name of a file on Linux is bytes, not always UTF-8.
    return source.key.encode("utf-8", "surrogateescape")


def _split(sources: Sequence[_Source], *, least_validation: int) -> dict[str, bytes]:
    """By file, through a hash of its key; by position where that leaves a split too small to measure with."""
    parts: dict[str, list[bytes]] = {name: [] for name in _SPLITS}
    for source in sources:
        draw = int.from_bytes(hashlib.sha256(_name(source)).digest()[:8], "big") / 2**64
        if draw < HELD_OUT_SHARE:
            parts["held_out"].append(source.content)
        elif draw < HELD_OUT_SHARE + VALIDATION_SHARE:
            parts["validation"].append(source.content)
        else:
            parts["train"].append(source.content)
    split = {name: b"".join(contents) for name, contents in parts.items()}
    total = sum(map(len, split.values()))
    by_file = len(split["validation"]) >= least_validation and len(split["train"]) >= total / 2
    if by_file and len(split["held_out"]) >= total * HELD_OUT_SHARE / 3:
        return split
    return _split_by_position(b"".join(s.content for s in sources), least_validation)


def _split_by_position(text: bytes, least_validation: int) -> dict[str, bytes]:
    held_out = int(len(text) * HELD_OUT_SHARE)
    validation = max(int(len(text) * VALIDATION_SHARE), least_validation)
    cut = len(text) - held_out - validation
    return {"train": text[:cut], "validation": text[cut : cut + validation], "held_out": text[cut + validation :]}


def _write(folder: Path, split: dict[str, bytes], *, sha256: str) -> None:
    """Into a temporary folder first, so that a killed build leaves nothing that looks whole."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix="building-", dir=folder.parent))
        for name, content in split.items():
            (building / f"{name}.bin").write_bytes(content)
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in split.items()}
        (building / "corpus.json").write_text(json.dumps({"sha256": sha256, "splits": digests}))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(building, folder)
    except OSError as error:
        raise BadCorpus(f"cannot write the corpus to {folder}: {error.strerror}") from error


def _intact(folder: Path) -> bool:
    """The splits that are read at every opening still have the digests they were written with."""
    return _agrees(folder, "train") and _agrees(folder, "validation")


def _agrees(folder: Path, name: str) -> bool:
    try:
        digests = json.loads((folder / "corpus.json").read_text())["splits"]
        return bool(hashlib.sha256((folder / f"{name}.bin").read_bytes()).hexdigest() == digests[name])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _mapped(folder: Path, name: str) -> Bytes:
    return np.memmap(folder / f"{name}.bin", dtype=np.uint8, mode="r")
