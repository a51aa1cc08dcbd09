"""Principles keep their history, also in a home that an older version wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from move37.lab.archive import principles
from move37.lab.archive.store import Archive
from move37.lab.records import Brief, Principle

CONV = Principle(id="conv@gla", text="A convolution helps.", supports=("c1-001",), author="record", strength=3.0)
GATE = Principle(id="gate@gla", text="A gate helps.", author="record", strength=5.0)


def test_the_strongest_stands_first_and_what_is_struck_stays_in_the_history(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        campaign = archive.begin_campaign(Brief()).id
        principles.keep(archive, campaign, (CONV, GATE))
        principles.keep(archive, campaign, (replace(CONV, struck="it lost"), GATE))
    with Archive.open(tmp_path, readonly=True) as archive:
        assert principles.standing(archive) == (GATE,)
        assert [p.struck for p in principles.history(archive)[-1].principles] == ["it lost", ""]
        assert principles.history(archive)[0].principles == (CONV, GATE)


def test_the_same_twice_is_one_revision(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        campaign = archive.begin_campaign(Brief()).id
        principles.keep(archive, campaign, (CONV,))
        principles.keep(archive, campaign, (CONV,))
        assert len(principles.history(archive)) == 1


def test_an_older_home_that_is_only_read_has_none(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        archive.begin_campaign(Brief())
        with archive.write() as db:
            db.execute("DROP TABLE principles")
    with Archive.open(tmp_path, readonly=True) as archive:
        assert principles.history(archive) == () and principles.standing(archive) == ()
