"""The text of rung 2 as bytes: split once, verified at every opening. Runs outside the sandbox only.

Read in this order: `Corpus` (what the rest of the lab sees), `open_corpus` (cache or build), `_split`; which files
there are, and which are text, stands in `texts.py`.
The default is split by file, through a hash of the path, so that no file gives both training and validation text.
A user's text is split by file where it has enough files, else by position.

Held-out text is sealed: only `open_held_out` reads it, and its caller logs the opening before
(`lab/archive/openings.py`; `move37 confirm` does).
"""

from __future__ import annotations

import hashlib
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
from move37.lab.training.texts import PINNED, PINNED_SHA256, PINNED_VERSION, Source, name_of, own_files, pinned_files

log = structlog.get_logger()

Bytes = NDArray[np.uint8]

HELD_OUT_SHARE = 0.065
VALIDATION_SHARE = 0.067
LEAST_VALIDATION = 100_000
_LAYOUT = 1  # raise when the split changes, so that an old cache is not taken for a new one
_SPLITS = ("train", "validation", "held_out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Text as bytes, memory-mapped."""

    name: str  # "sympy 1.14.0", or the user's path
    sha256: str  # of the sources, which decides the split too
    train: Bytes  # [bytes]
    validation: Bytes  # [bytes]
    folder: Path | None = None  # in the cache, where the sealed text lies too
    left_out: tuple[str, ...] = ()  # files of the user's folder that are not in it, each with the reason


def open_corpus(cache: Path, path: Path | None = None) -> Corpus:
    """The pinned corpus, or the user's own at `path`; built under `cache` once and verified at every opening.

    Raises `BadCorpus`: unreadable, too small, not text, or the pinned sources differ from their checksum.
    """
    sources, left_out = (pinned_files(), ()) if path is None else own_files(path)
    name = f"{PINNED} {PINNED_VERSION}" if path is None else str(path)
    sha256 = checksum((name_of(source), source.content) for source in sources)
    if path is None and sha256 != PINNED_SHA256:
        raise BadCorpus(
            f"the sources of {PINNED} {PINNED_VERSION} differ from the pinned checksum: "
            f"reinstall them with `pip install --force-reinstall --no-deps {PINNED}=={PINNED_VERSION}`"
        )
    folder = cache / f"corpus-{_LAYOUT}-{sha256[:16]}"
    if not all(_agrees(folder, split) for split in ("train", "validation")):
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
    """Verify the sealed text without returning any of it.

    Raises `BadCorpus` where it is not what was sealed: numbers from it would be invalid.
    """
    folder = corpus.folder
    if folder is None or not _agrees(folder, "held_out"):
        where = "the cache" if folder is None else str(folder / "held_out.bin")
        raise BadCorpus(
            f"the sealed text in {where} is not what was sealed: numbers from it would not count. Remove "
            f"{folder or 'the cache'}, so that it is built again from the sources"
        )


def _split(sources: Sequence[Source], *, least_validation: int) -> dict[str, bytes]:
    """By file, through a hash of its key; by position where that leaves a split too small to measure with."""
    parts: dict[str, list[bytes]] = {name: [] for name in _SPLITS}
    for source in sources:
        draw = int.from_bytes(hashlib.sha256(name_of(source)).digest()[:8], "big") / 2**64
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


def _agrees(folder: Path, name: str) -> bool:
    try:
        digests = json.loads((folder / "corpus.json").read_text())["splits"]
        return bool(hashlib.sha256((folder / f"{name}.bin").read_bytes()).hexdigest() == digests[name])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _mapped(folder: Path, name: str) -> Bytes:
    return np.memmap(folder / f"{name}.bin", dtype=np.uint8, mode="r")
