"""What the presets of `mixers` do at a scale, after 237 measured trainings: rungs, seeds, limits, what is left out."""

from __future__ import annotations

from dataclasses import replace

from move37.lab.errors import BadTask
from move37.lab.scale import Scale
from move37.lab.tasks.task import Rung, Schedule

OFTEN = 2.0  # passes over the text in one training from which on tables say so
QUICK_SECONDS = 570.0
SMALLEST_EFFECT, QUICK_EFFECT = 0.05, 0.1  # bits per byte that a confirmation must be able to find

PROBE_RUNG, ALL_PROBES_RUNG = Rung(number=1, name="probes"), Rung(number=1, name="all probes")
_QUICK_CONFIRMS = (
    "One finalist is confirmed against the two best baselines, at one learning rate and on as many fresh seeds as "
    "the time holds: even with five, differences under about .04 bits/byte cannot be told from noise."
)
_NO_DISCOVERY = (
    "No ablation, no longer training, no larger width, no held-out text: nothing here is a discovery "
    "before `move37 confirm` has asked for them."
)
_OTHER_TEXT = (
    "Fresh seeds are scored on other validation text: their values do not compare with those of screened rows."
)


def schedule(
    preset: str, *, scale: Scale, learning_rate: float, by_the_lab: bool, refusal: str, reading: float
) -> Schedule:
    """Quick: ten minutes on two cores. Full: no time limit; half are kept at the first rung, rates are tuned, and
    claims are asked of candidates that beat their rivals on fresh seeds.

    Where the noise was not measured `by_the_lab` the rungs are the same shares of the scale's steps, and quick has no
    time limit of its own. `reading`: passes over the text in one training. Raises `BadTask`.
    """
    found = _preset(preset, scale, learning_rate, by_the_lab)
    if by_the_lab:
        return found
    notes = [f"Scale {scale.words}: values of another scale do not compare."]
    notes += [f"{refusal[:1].upper()}{refusal[1:]}."] if refusal else []
    notes += [f"A training reads the text {reading:.1f} times."] if reading > OFTEN else []
    return replace(found, max_seconds=None, refusal=refusal, shortened=(*found.shortened, *notes))


def _preset(preset: str, scale: Scale, learning_rate: float, by_the_lab: bool) -> Schedule:
    steps = scale.steps
    if preset == "quick":
        screens = _screens(steps, keep_first=3, keep_second=2)
        return Schedule(
            preset=preset,
            candidates=12,
            generation=12,
            rungs=(screens[0], PROBE_RUNG, *screens[1:]),
            baseline_rungs=(*screens, PROBE_RUNG),
            learning_rate=learning_rate,
            screen_seeds=2,
            finalists=1,
            confirm_seeds=5,
            most_seeds=8,
            smallest_effect=QUICK_EFFECT,
            max_seconds=QUICK_SECONDS,
            shortened=(*_quick_notes(scale, learning_rate, by_the_lab), _OTHER_TEXT),
        )
    if preset != "full":
        raise BadTask(f"unknown preset {preset!r}: use quick or full")
    screens = _screens(steps, keep_first=6, keep_second=3)
    return Schedule(
        preset=preset,
        candidates=120,
        generation=12,
        rungs=(screens[0], ALL_PROBES_RUNG, *screens[1:]),
        baseline_rungs=(*_screens(steps), ALL_PROBES_RUNG),
        learning_rate=learning_rate,
        finalist_rates=(learning_rate / 2, 2 * learning_rate),
        screen_seeds=2,
        finalists=3,
        confirm_seeds=8,
        most_seeds=20,
        smallest_effect=SMALLEST_EFFECT,
        claims=True,
        shortened=(
            "Ablation, longer training, larger width, a second corpus and held-out text are asked only of who beat "
            "both baselines on fresh seeds, as far as the time reaches (`move37 confirm` asks them of any other).",
            _OTHER_TEXT,
        ),
    )


def _quick_notes(scale: Scale, learning_rate: float, by_the_lab: bool) -> tuple[str, ...]:
    first, whole = max(1, scale.steps // 5), scale.steps
    return (
        f"Quick preset: candidates are screened on one seed at rate {learning_rate:.0e}; three of "
        f"four stop at {first} of {whole} steps, and so do four of the seven baselines.".replace("e-0", "e-"),
        "Probes (overwrite recall and parity, one seed) only for those, baselines too, who were kept.",
        *((_QUICK_CONFIRMS,) if by_the_lab else ()),
        _NO_DISCOVERY,
    )


def _screens(steps: int, *, keep_first: int | None = None, keep_second: int | None = None) -> tuple[Rung, ...]:
    """A fifth, two fifths and all of a scale's steps."""
    ends = sorted({max(1, steps // 5), max(1, 2 * steps // 5), steps})
    keeps = (keep_first, keep_second)[: len(ends) - 1]
    return tuple(
        Rung(number=2, name=f"lm@{end}", steps=end, keep=keep) for end, keep in zip(ends, (*keeps, None), strict=True)
    )
