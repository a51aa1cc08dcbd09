"""A disk that is full or read-only is one sentence, and not taken for damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from move37.lab.archive.controls import ControlKind, Controls
from move37.lab.archive.store import Archive
from move37.lab.errors import ArchiveUnwritable
from move37.lab.records import Brief


def test_a_full_disk_while_writing_loses_nothing_that_was_there(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        campaign = archive.begin_campaign(Brief())
        pages = archive.read("PRAGMA page_count")[0][0]
        archive.read(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(ArchiveUnwritable, match="is the disk full"):
            for _ in range(10_000):
                archive.update_campaign(campaign.id, note="x" * 100_000)
    with Archive.open(tmp_path) as archive:
        assert archive.campaign(campaign.id).brief == Brief()


def test_a_file_that_cannot_be_opened_for_writing_is_not_called_damaged(tmp_path: Path) -> None:
    Archive.open(tmp_path).close()
    (tmp_path / "archive.sqlite").unlink()
    (tmp_path / "archive.sqlite").mkdir()
    with pytest.raises(ArchiveUnwritable, match="cannot be opened"):
        Archive.open(tmp_path)


def test_an_order_that_cannot_be_stored_says_so(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        archive.begin_campaign(Brief())
    with Controls(tmp_path) as controls:
        connection = controls._db
        controls.post(1, ControlKind.PAUSE)
        connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
        with pytest.raises(ArchiveUnwritable, match="is the disk full"):
            for _ in range(1_000):
                controls.post(1, ControlKind.SAY, text="x" * 50_000)
