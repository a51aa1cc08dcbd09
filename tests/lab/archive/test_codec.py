"""Records to JSON and back, across versions of the records."""

from __future__ import annotations

from move37.lab.archive.codec import decode, encode
from move37.lab.records import DECIDE, SCREEN, Measurement
from tests.builders import a_measurement


def test_a_field_that_was_renamed_is_read_under_its_old_name() -> None:
    old = encode(a_measurement(self_reported=True))
    old["witness"] = old.pop("self_reported")
    assert decode(Measurement, old).self_reported is True


def test_a_measurement_of_an_older_archive_is_given_the_conditions_of_its_time() -> None:
    for fresh, text in ((False, SCREEN), (True, DECIDE)):
        old = encode(a_measurement(fresh=fresh))
        for name in ("text", "total_steps", "width"):
            del old[name]
        found = decode(Measurement, old)
        assert (found.text, found.total_steps, found.width) == (text, 500, 64)
