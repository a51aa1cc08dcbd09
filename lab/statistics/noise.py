"""The noise that was measured beforehand, by metric: of one run, and of a paired or unpaired difference. No SciPy.

237 trainings of rung 2 (500 steps, width 64, the pinned corpus); true there alone, so that a measurement says itself
whether it was taken under these conditions (`Measurement.calibrated`). One that was taken at another scale carries the
noise that `move37 calibrate` measured there (`Measurement.noise`). Elsewhere the seeds at hand have to tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from move37.lab.records import BITS_PER_BYTE, Calibration, Measurement, Noise

__all__ = ["NOISE", "Calibration", "Noise", "noise_of"]

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


def noise_of(metric: str, measurements: Sequence[Measurement]) -> Noise | None:
    """The noise known beforehand for all of these together; None where one was taken elsewhere, or they differ."""
    if not measurements or not all(m.calibrated for m in measurements):
        return None
    known = {m.noise or NOISE.get(metric) for m in measurements}
    return known.pop() if len(known) == 1 else None
