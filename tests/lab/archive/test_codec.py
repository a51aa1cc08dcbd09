"""Records to JSON and back, across versions of the records."""

from __future__ import annotations

from move37.lab.archive.codec import decode, encode
from move37.lab.records import Measurement
from tests.builders import a_measurement


def test_a_field_that_was_renamed_is_read_under_its_old_name() -> None:
    old = encode(a_measurement(self_reported=True))
    old["witness"] = old.pop("self_reported")
    assert decode(Measurement, old).self_reported is True
