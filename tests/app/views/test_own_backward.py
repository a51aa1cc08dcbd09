"""A number whose gradients went unchecked says so wherever it is shown."""

from __future__ import annotations

from move37.app.views.experiment import measurements_table
from move37.app.views.words import seeds_text
from move37.lab.records import Measurement
from move37.lab.summary import summarise

OWN = Measurement(metric="bits_per_byte", value=2.5, rung=2, seed=0, steps=100, custom_backward="straight-through")


def test_what_a_number_rests_on_names_an_own_backward() -> None:
    assert seeds_text(summarise([OWN])["bits_per_byte"]) == "screened on one seed, gradients unchecked"


def test_every_run_names_the_backward_that_was_declared() -> None:
    (row,) = measurements_table([OWN]).rows
    assert "own backward: straight-through" in str(row)
