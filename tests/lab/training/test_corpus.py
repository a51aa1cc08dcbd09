"""The pinned text, the person's own, and every way in which text can be unusable."""

from __future__ import annotations

import gzip
import os
import re
import tempfile
from pathlib import Path

import pytest

from move37.lab.errors import BadCorpus
from move37.lab.training.corpus import open_corpus
from move37.lab.training.texts import LEAST_BYTES, PINNED_SHA256, own_files
from tests.somebody import as_somebody, needs_root

LINE = b"It was a bright cold day in April, and the clocks were striking thirteen.\n"


def write_text(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((LINE * (size // len(LINE) + 1))[:size])
    return path


def test_the_pinned_corpus_is_the_measured_one(tmp_path: Path) -> None:
    corpus = open_corpus(tmp_path)
    assert corpus.sha256 == PINNED_SHA256
    assert 22.0e6 < len(corpus.train) < 23.0e6
    assert 1.9e6 < len(corpus.validation) < 2.4e6


def test_no_file_gives_both_training_and_validation_text(tmp_path: Path) -> None:
    root = tmp_path / "text"
    for i in range(200):
        write_text(root / f"{i:03d}.txt", 20_000)
        (root / f"{i:03d}.txt").write_bytes(f"<file {i:03d}>\n".encode() * 1500)
    corpus = open_corpus(tmp_path / "cache", root)
    train, validation = bytes(corpus.train), bytes(corpus.validation)
    names = [f"<file {i:03d}>".encode() for i in range(200)]
    assert not [n for n in names if n in train and n in validation]
    assert sum(n in validation for n in names) > 3


def test_a_copy_under_another_name_is_left_out_so_that_no_text_is_in_two_splits(tmp_path: Path) -> None:
    root = tmp_path / "text"
    for i in range(120):
        write_text(root / f"{i:03d}.txt", 1).write_bytes(f"<file {i:03d}>\n".encode() * 1500)
        for copy in (f"copy of {i:03d}.txt", f"z/{i:03d}.txt"):
            write_text(root / copy, 1).write_bytes((root / f"{i:03d}.txt").read_bytes())
    os.link(root / "000.txt", root / "hard link.txt")
    for name in ("one", "two"):
        write_text(root / f"empty {name}.txt", 0)
    corpus = open_corpus(tmp_path / "cache", root)
    splits = [bytes(part) for part in (corpus.train, corpus.validation)]
    splits.append((corpus.folder / "held_out.bin").read_bytes())  # type: ignore[operator]
    for i in range(120):
        assert sorted(split.count(f"<file {i:03d}>".encode()) for split in splits) == [0, 0, 1500]
    assert len(corpus.left_out) == 241 and "hard link.txt: it is the same text as 000.txt" in corpus.left_out


def test_a_single_file_is_split_by_position(tmp_path: Path) -> None:
    path = write_text(tmp_path / "book.txt", 2_000_000)
    corpus = open_corpus(tmp_path / "cache", path)
    assert bytes(corpus.train) == path.read_bytes()[: len(corpus.train)]
    assert len(corpus.validation) >= 100_000
    assert len(corpus.train) + len(corpus.validation) < 2_000_000, "held-out text stays closed"


def test_a_second_opening_uses_the_cache_and_a_damaged_cache_is_built_again(tmp_path: Path) -> None:
    path = write_text(tmp_path / "book.txt", LEAST_BYTES)
    first = bytes(open_corpus(tmp_path / "cache", path).validation)
    stored = next((tmp_path / "cache").glob("corpus-*/validation.bin"))
    before = stored.stat().st_ino
    open_corpus(tmp_path / "cache", path)
    assert stored.stat().st_ino == before
    stored.write_bytes(b"x" * len(first))
    assert bytes(open_corpus(tmp_path / "cache", path).validation) == first


def test_changed_text_is_another_corpus(tmp_path: Path) -> None:
    path = write_text(tmp_path / "book.txt", LEAST_BYTES)
    first = open_corpus(tmp_path / "cache", path).sha256
    write_text(path, LEAST_BYTES + 1)
    assert open_corpus(tmp_path / "cache", path).sha256 != first


def test_text_that_is_not_utf8_is_text(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes("Ein schöner Tag für große Wörter.\n".encode("latin-1") * 40_000)
    assert len(open_corpus(tmp_path / "cache", path).train) > 500_000


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCorpus, match="no such corpus"):
        open_corpus(tmp_path / "cache", tmp_path / "nothing")


def test_too_little_text_is_refused_with_the_size_needed(tmp_path: Path) -> None:
    with pytest.raises(BadCorpus, match="1,000,000 are needed"):
        open_corpus(tmp_path / "cache", write_text(tmp_path / "note.txt", 5000))


def test_an_empty_folder_is_too_little_text(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadCorpus, match="0 bytes"):
        open_corpus(tmp_path / "cache", tmp_path / "empty")


def test_a_binary_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "archive.bin").write_bytes(os.urandom(LEAST_BYTES))
    with pytest.raises(BadCorpus, match="not text"):
        open_corpus(tmp_path / "cache", tmp_path / "archive.bin")


def test_binaries_hidden_files_and_links_in_a_folder_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "text"
    write_text(root / "a.txt", LEAST_BYTES)
    (root / "picture.png").write_bytes(b"\x89PNG\0" * 1000)
    write_text(root / ".git" / "secret", 500_000)
    (root / "link.txt").symlink_to(write_text(tmp_path / "elsewhere.txt", 700_000))
    write_text(root / "__pycache__" / "a.cpython-311.pyc", 1_000).write_bytes(b"\0" * 1_000)
    corpus = open_corpus(tmp_path / "cache", root)
    assert {named.partition(":")[0] for named in corpus.left_out} == {"picture.png", "link.txt"}
    assert len(corpus.train) + len(corpus.validation) < LEAST_BYTES


def test_links_and_pipes_in_a_folder_are_named_with_why_they_were_passed_over(tmp_path: Path) -> None:
    root = tmp_path / "text"
    write_text(root / "a.txt", LEAST_BYTES)
    (root / "sub").mkdir()
    (root / "sub" / "circle").symlink_to(root)
    (root / "link.txt").symlink_to(root / "a.txt")
    os.mkfifo(root / "pipe")
    (root / "sparse").write_bytes(bytes(100_000))
    left_out = dict(line.split(": ", 1) for line in open_corpus(tmp_path / "cache", root).left_out)
    assert left_out.keys() == {"link.txt", "pipe", "sparse", "sub/circle"}
    assert "link" in left_out["link.txt"] and "plain file" in left_out["pipe"] and "NUL" in left_out["sparse"]
    only_links = tmp_path / "links"
    only_links.mkdir()
    (only_links / "a.txt").symlink_to(root / "a.txt")
    with pytest.raises(BadCorpus, match="link"):
        open_corpus(tmp_path / "cache", only_links)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = write_text(tmp_path / "book.txt", LEAST_BYTES)
    path.chmod(0)
    with pytest.raises(BadCorpus, match="cannot read"):
        open_corpus(tmp_path / "cache", path)


@needs_root
def test_what_is_closed_in_a_folder_is_named_and_refuses_no_corpus() -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        root.chmod(0o755)
        write_text(root / "a.txt", LEAST_BYTES)
        for name, mode in (("shut", 0), ("listed", 0o744), ("open", 0o755)):
            write_text(root / name / "b.txt", 10)
            (root / name).chmod(mode)
        write_text(root / "c.txt", 20).chmod(0)
        texts, left_out = as_somebody(own_files, root)
    assert [text.key for text in texts] == ["a.txt", "open/b.txt"]
    assert {line.partition(":")[0] for line in left_out} >= {"shut", "listed", "c.txt"}


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    path = write_text(tmp_path / "book.txt", LEAST_BYTES)
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(BadCorpus, match="cannot write"):
        open_corpus(tmp_path / "cache", path)


def test_a_device_or_a_pipe_is_no_corpus(tmp_path: Path) -> None:
    """/dev/zero has no end, and a pipe cannot be read again when the campaign is resumed."""
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(BadCorpus, match="no plain file"):
            open_corpus(tmp_path / "cache", path)


@pytest.mark.skipif(os.name != "posix" or os.uname().sysname == "Darwin", reason="names are UTF-8 there")
def test_a_name_that_is_not_utf8_is_a_name(tmp_path: Path) -> None:
    root = tmp_path / "text"
    write_text(root / os.fsdecode(b"caf\xe9.txt"), LEAST_BYTES)
    assert len(open_corpus(tmp_path / "cache", root).train) > LEAST_BYTES / 2


GOOD = (LINE * 40_000)[: 2 * LEAST_BYTES]
STRANGE = {
    "UTF-16": (GOOD.decode().encode("utf-16"), "UTF-16: convert"),
    "UTF-16 without a mark": (GOOD.decode().encode("utf-16-le"), "UTF-16"),
    "UTF-32": (GOOD.decode().encode("utf-32"), "UTF-32: convert"),
    "gzip": (gzip.compress(os.urandom(2 * LEAST_BYTES)), "gzip"),
    "zip": (b"PK\x03\x04" + os.urandom(2 * LEAST_BYTES), "zip"),
    "a PDF": (b"%PDF-1.7\n" + os.urandom(2 * LEAST_BYTES), "PDF"),
    "noise behind a readable head": (GOOD[:900_000] + os.urandom(LEAST_BYTES), "not text at byte"),
    "many zeros": (GOOD + bytes(70_000), "not text|UTF-16"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_text_is_named_alone_and_left_out_of_a_folder_with_its_reason(tmp_path: Path, kind: str) -> None:
    content, words = STRANGE[kind]
    root = tmp_path / "text"
    write_text(root / "good.txt", 2 * LEAST_BYTES)
    (root / "strange.txt").write_bytes(content)
    with pytest.raises(BadCorpus, match=words):
        open_corpus(tmp_path / "cache", root / "strange.txt")
    (reason,) = open_corpus(tmp_path / "cache", root).left_out
    assert reason.startswith("strange.txt: ") and re.search(words, reason)


@pytest.mark.parametrize("place", [0, 70_000, 900_000])
def test_a_stray_zero_refuses_no_book_wherever_it_stands(tmp_path: Path, place: int) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(GOOD[:place] + b"\0" + GOOD[place:])
    assert open_corpus(tmp_path / "cache", path).left_out == ()
