"""The noise that was measured beforehand, by metric: of one run, and of a paired or unpaired difference. No SciPy.

From 237 trainings of rung 2 (500 steps, width 64, the pinned corpus), and valid under these conditions only, which
`Measurement.calibrated` says of a measurement. One that was taken at another scale has the noise that `move37
calibrate` measured there (`Measurement.noise`). Elsewhere the noise is estimated from the seeds at hand.

`effect_noise` is what a search may assume of any metric before there are seeds; no verdict uses it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from move37.lab.records import BITS_PER_BYTE, Calibration, Measurement, Noise

__all__ = ["NOISE", "Calibration", "Noise", "effect_noise", "noise_of"]

# Four degrees of freedom are a choice: from six seeds on the sample weighs more than the calibration.
# `relatives` is for effects alone, never for a claim, because the family is stated by the author. Its value is that of
# unpaired runs (paired .0141), which overestimates it.
NOISE = {
    BITS_PER_BYTE.name: Noise(
        run=Calibration(sd=0.018, df=4.0),
        across=Calibration(sd=0.0243, df=4.0),
        relatives=Calibration(sd=0.0177, df=4.0),
    )
}

UNKNOWN_NOISE = 0.05  # in the unit of a metric of which nothing is known at all
SHARE = 0.25  # of an effect's usual size that is taken for noise where the noise was never measured


def noise_of(metric: str, measurements: Sequence[Measurement]) -> Noise | None:
    """The noise known beforehand for all of these together; None where one was taken elsewhere, or they differ."""
    if not measurements or not all(m.calibrated for m in measurements):
        return None
    known = {m.noise or NOISE.get(metric) for m in measurements}
    return known.pop() if len(known) == 1 else None


def effect_noise(metric: str, effects: Sequence[float] = ()) -> float:
    """The standard deviation of a screened effect without a cause, in the metric's unit.

    As it was measured beforehand. For any other metric a share of how far `effects` lie from zero, so that a search
    behaves the same for accuracy, for a loss of 400 and for the same loss in other units.
    """
    if (known := NOISE.get(metric)) is not None:
        return known.across.sd
    sound = [e for e in effects if math.isfinite(e)]
    usual = math.sqrt(math.fsum((e / len(sound)) * e for e in sound)) if sound else 0.0
    return SHARE * usual if usual > 0 and math.isfinite(usual) else UNKNOWN_NOISE
