"""The leaderboard: groups of values that may be compared, best first, each against the same rival at equal seeds. Pure.

Read `board_of` first. A group shares steps, schedule, width, text and whether its seeds are fresh (`ComparisonTerms`);
nothing is ranked across groups. `compact` leaves each experiment once among fresh seeds and once among screens, for a
terminal.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from move37.app.views.words import ENDED, TEXTS, seeds_text
from move37.lab.effects import effect_between
from move37.lab.numbers import DigitScale
from move37.lab.records import HELD_OUT, SCREEN, Effect, Experiment, Measurement, Metric, Role, Verdict
from move37.lab.summary import Summary, summarise


@dataclass(frozen=True, slots=True, order=True)
class ComparisonTerms:
    """What values must share to be compared."""

    fresh: bool
    steps: int
    text: str
    width: int
    total_steps: int  # of the learning-rate schedule
    scale: str = ""
    device: str = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One line: an experiment's number in one group."""

    experiment: Experiment
    summary: Summary
    difference: Effect | None = None  # against the group's rival; None for the rival itself
    verdict: Verdict | None = None  # where it was given in this group
    others: Mapping[str, Summary] = field(default_factory=dict)  # metrics beside the primary one


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Lines that may be compared."""

    terms: ComparisonTerms
    heading: str
    places: tuple[Place, ...]  # best first
    rival: str  # experiment id of the best baseline here, or ""
    full_heading: str  # the same, with what every number here rests on
    rests_on: str  # that, or "" where it differs
    scale: DigitScale


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardView:
    """The whole leaderboard."""

    metric: Metric
    groups: tuple[Group, ...]  # strongest evidence first
    waiting: tuple[Experiment, ...] = ()  # without a number, and not ended
    ended: tuple[Experiment, ...] = ()  # failed or rejected, with or without a number
    claimed: tuple[Experiment, ...] = ()  # of whom more was asked than to beat the baselines

    @property
    def compact(self) -> LeaderboardView:
        """Each experiment once among fresh seeds and once among screens, at the most steps; rivals stay."""
        seen: set[tuple[bool, str]] = set()
        groups = []
        for group in self.groups:
            places = [p for p in group.places if p.experiment.id == group.rival or _key(group, p) not in seen]
            if any(_key(group, p) not in seen for p in group.places):
                groups.append(replace(group, places=tuple(places)))
            seen |= {_key(group, p) for p in group.places}
        return replace(self, groups=tuple(groups))

    @property
    def measured(self) -> tuple[Experiment, ...]:
        """Whoever has a number that counts, in no particular order."""
        return tuple(p.experiment for g in self.groups for p in g.places)

    @property
    def order(self) -> tuple[str, ...]:
        """Every experiment once, strongest evidence and best value first."""
        ranked = [p.experiment.id for g in self.groups for p in g.places]
        return tuple(dict.fromkeys([*ranked, *(e.id for e in (*self.waiting, *self.ended))]))


def board_of(experiments: Sequence[Experiment], metric: Metric) -> LeaderboardView:
    """The leaderboard of `experiments`. What failed or was rejected ranks nowhere: its numbers claim nothing."""
    alive = [e for e in experiments if e.status not in ENDED]
    found: dict[ComparisonTerms, list[tuple[Experiment, Summary]]] = {}
    for e in alive:
        for terms, runs in _by_terms(e.measurements, metric).items():
            found.setdefault(terms, []).append((e, summarise(runs)[metric.name]))
    measured = {e.id for places in found.values() for e, _ in places}
    ordered = sorted(found, key=_strength, reverse=True)
    return LeaderboardView(
        metric=metric,
        groups=tuple(_group(terms, found[terms], metric, ordered) for terms in ordered),
        waiting=tuple(e for e in alive if e.id not in measured),
        ended=tuple(e for e in experiments if e.status in ENDED),
        claimed=tuple(e for e in experiments if e.claim is not None),
    )


def terms_of(measurement: Measurement) -> ComparisonTerms:
    """Under which a value was taken."""
    m = measurement
    return ComparisonTerms(
        fresh=m.fresh, steps=m.steps, text=m.text, width=m.width, total_steps=m.total_steps, scale=m.scale,
        device=m.device,
    )  # fmt: skip


def summary_at(experiment: Experiment, metric: Metric, terms: ComparisonTerms) -> Summary | None:
    """The primary metric under exactly these terms; None without a sound number."""
    runs = _by_terms(experiment.measurements, metric).get(terms)
    summary = summarise(runs)[metric.name] if runs else None
    return summary if summary is not None and math.isfinite(summary.mean) and not summary.diverged else None


def heading(terms: ComparisonTerms, others: Iterable[ComparisonTerms] = (), *, evidence: str = "") -> str:
    """What the values of a group share, in words: also what tells it from `others` on the same page.

    `evidence`: what all of its numbers rest on, where that is known.
    """
    sorts = ("width", "scale", "device", "total_steps")
    differs = [name for name in sorts if any(getattr(o, name) != getattr(terms, name) for o in others)]
    words = {
        "width": f"width {terms.width}",
        "scale": f"scale {terms.scale}" if terms.scale else "scale unknown",
        "device": f"on {terms.device}",
        "total_steps": f"laid out for {terms.total_steps:,} steps",
    }
    parts = [
        f"after {terms.steps:,} steps" if terms.steps else "",
        evidence or ("fresh seeds" if terms.fresh else "screened"),
        TEXTS.get(terms.text, terms.text) if terms.text != SCREEN else "",
        *(words[name] for name in differs),
    ]
    return ", ".join(p for p in parts if p)


def _by_terms(measurements: Iterable[Measurement], metric: Metric) -> dict[ComparisonTerms, list[Measurement]]:
    found: dict[ComparisonTerms, list[Measurement]] = {}
    for m in measurements:
        if m.metric == metric.name:
            found.setdefault(terms_of(m), []).append(m)
    return found


def _strength(terms: ComparisonTerms) -> tuple[bool, bool, int, int]:
    return terms.text == HELD_OUT, terms.fresh, terms.steps, terms.width


def _group(
    terms: ComparisonTerms,
    found: Sequence[tuple[Experiment, Summary]],
    metric: Metric,
    others: Sequence[ComparisonTerms],
) -> Group:
    sound = [(e, s) for e, s in found if math.isfinite(s.mean) and not s.diverged]
    rival = _rival(sound, metric) if sound else None
    places = [
        Place(
            experiment=e,
            summary=s,
            difference=paired_difference(e, rival, metric, terms),
            verdict=_verdict(e, terms),
            others={n: o for n, o in summarise(e.measurements).items() if n != metric.name},
        )
        for e, s in found
    ]
    sound_ids = {e.id for e, _ in sound}
    places.sort(
        key=lambda p: (p.experiment.id in sound_ids and metric.gain(p.summary.mean, 0.0), p.experiment.id), reverse=True
    )
    places.sort(key=lambda p: p.experiment.id not in sound_ids)
    numbers = [n for _, s in sound for n in (s.mean, s.low, s.high)]
    shared = {seeds_text(s) for _, s in found}
    rests_on = shared.pop() if len(shared) == 1 else ""
    return Group(
        terms=terms,
        heading=heading(terms, others),
        full_heading=heading(terms, others, evidence=rests_on),
        rests_on=rests_on,
        places=tuple(places),
        rival=rival.id if rival else "",
        scale=DigitScale.of(numbers),
    )


def _rival(sound: Sequence[tuple[Experiment, Summary]], metric: Metric) -> Experiment | None:
    """Whom the verdicts of this group name most often, else its best baseline."""
    baselines = {e.id: (e, s) for e, s in sound if e.role is Role.BASELINE}
    named = Counter(
        e.verdict.baseline for e, s in sound if e.verdict and s.fresh and e.verdict.baseline in baselines
    ).most_common(1)
    if named:
        return baselines[named[0][0]][0]
    best = max(baselines.values(), key=lambda pair: metric.gain(pair[1].mean, 0.0), default=None)
    return best[0] if best else None


def paired_difference(
    experiment: Experiment, rival: Experiment | None, metric: Metric, terms: ComparisonTerms
) -> Effect | None:
    """The gain under exactly these terms; None against itself, and without a seed in common."""
    if rival is None or rival.id == experiment.id:
        return None
    ours, theirs = (
        replace(e, measurements=tuple(m for m in e.measurements if terms_of(m) == terms)) for e in (experiment, rival)
    )
    effect = effect_between(ours, theirs, metric)
    seeds = [{m.seed for m in e.measurements if m.metric == metric.name} for e in (ours, theirs)]
    return effect if effect is not None and seeds[0] & seeds[1] else None


def _verdict(experiment: Experiment, terms: ComparisonTerms) -> Verdict | None:
    """The newest verdict, where its evidence is this group's: fresh seeds, or the screen at the most steps."""
    verdict = experiment.verdict
    if verdict is None or (verdict.low is not None) != terms.fresh:
        return None
    most = max((m.steps for m in experiment.measurements if m.fresh is terms.fresh and m.text == terms.text), default=0)
    return verdict if terms.steps == most else None


def _key(group: Group, place: Place) -> tuple[bool, str]:
    return group.terms.fresh, place.experiment.id
