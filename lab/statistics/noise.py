"""The noise that was measured beforehand, by metric: of one run, and of a paired or unpaired difference. No SciPy.

237 trainings of rung 2 (500 steps, width 64, the pinned corpus); true there alone, so that a measurement says itself
whether it was taken under these conditions (`Measurement.calibrated`). Elsewhere the seeds at hand have to tell.
"""

from __future__ import annotations

from dataclasses import dataclass

from move37.lab.records import BITS_PER_BYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A standard deviation that was measured beforehand."""

    sd: float  # in the metric's unit
    df: float  # how many degrees of freedom it is trusted for


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What one metric's values scatter by between seeds."""

    run: Calibration  # one run around its arm's mean
    across: Calibration  # a difference by seed, arms of different families
    relatives: Calibration  # a difference by seed, arms of one family


# The trust of four degrees of freedom is a choice: the calibration is outvoted by the sample from six seeds on.
# `relatives` is for effects alone, never for a claim: who is a relative is the author's own word. Its value is that of
# unpaired runs (paired .0141), on the safe side.
NOISE = {
    BITS_PER_BYTE.name: Noise(
        run=Calibration(sd=0.018, df=4.0),
        across=Calibration(sd=0.0243, df=4.0),
        relatives=Calibration(sd=0.0177, df=4.0),
    )
}
