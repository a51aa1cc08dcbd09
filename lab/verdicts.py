"""What may be said about a candidate: measurements -> `Verdict` with one sentence, and leaderboard rows. Pure.

Read in this order: `screen_verdict` (one seed: a lead, never a claim), `confirm_verdict` (fresh seeds: an interval,
corrected for all that was tried), `summarise` and `leaderboard` (what tables and `--json` show).

Nothing here calls anything a discovery: that needs the candidate's own ablation, longer training, twice the width and
held-out text (SCIENCE: "A discovery, then"), none of which exists yet; a verdict that is better says so.
Not covered: choosing who is compared (`lab/ladder.py`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from move37.lab.records import BITS_PER_BYTE, Experiment, ExperimentStatus, Measurement, Metric, Role, Verdict
from move37.lab.statistics.many import adjusted_confidence, luck
from move37.lab.statistics.noise import NOISE, Calibration
from move37.lab.statistics.paired import Interval, interval, paired_interval
from move37.lab.statistics.power import minimum_detectable_effect

# Measured on the pinned corpus, so true there alone: where one measurement is not `calibrated`, intervals rest on the
# seeds at hand.
_RUN = {name: noise.run for name, noise in NOISE.items()}
_ACROSS = {name: noise.across for name, noise in NOISE.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One metric of one experiment, as `list --json` shows it."""

    mean: float
    low: float | None  # 95 % interval of the mean; None with one seed
    high: float | None
    n: int  # seeds
    self_reported: bool  # the candidate could touch the number
    steps: int = 0
    fresh: bool = False  # on seeds that selected nothing
    diverged: bool = False  # at least one of these runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the leaderboard."""

    experiment: str
    name: str
    role: Role
    family: str
    status: ExperimentStatus
    steps: int  # behind the primary metric
    evidence: str  # "5 fresh seeds", "screened on one seed", "diverged", or why there is no number
    metrics: Mapping[str, Summary]
    verdict: Verdict | None


def screen_verdict(
    *,
    metric: Metric,
    candidate: Sequence[Measurement],
    baseline: Sequence[Measurement],
    baseline_id: str,
    baseline_name: str,
    tried: int,
) -> Verdict | None:
    """The lead at the most steps that both were screened at; None where there are none in common.

    A baseline that diverged is no yardstick, and a value that is no number says nothing: neither counts.
    """
    ours = {steps: m for steps, m in _screened(candidate, metric).items() if m.is_number}
    theirs = {steps: m for steps, m in _screened(baseline, metric).items() if m.is_sound}
    common = ours.keys() & theirs.keys()
    if not common:
        return None
    steps = max(common)
    effect = metric.gain(ours[steps].value, theirs[steps].value)
    if ours[steps].diverged:
        text = f"Rejected: training diverged (seed {ours[steps].seed}); one divergence rejects."
    else:
        calibration = _calibration(_RUN, metric, [ours[steps], theirs[steps]])
        text = _screen_text(metric, effect, baseline_name, steps=steps, tried=tried, calibration=calibration)
    return Verdict(baseline=baseline_id, effect=effect, low=None, high=None, tried=tried, text=text)


def _screen_text(
    metric: Metric, effect: float, baseline_name: str, *, steps: int, tried: int, calibration: Calibration | None
) -> str:
    where = f" at {steps} steps" if steps else ""
    lead = "ahead of" if effect > 0 else "level with" if effect == 0 else "behind"
    text = f"Screened on one seed{where}: {abs(effect):.3f} {metric.unit} {lead} {baseline_name}"
    text += "; one seed ranks, it claims nothing"
    if effect > 0 and calibration and tried > 1:
        text += f" (the best of {tried} worthless candidates would lead by {luck(tried, calibration.sd):.3f})"
    return text + "."


def confirm_verdict(
    *,
    metric: Metric,
    candidate: Sequence[Measurement],
    baseline: Sequence[Measurement],
    baseline_id: str,
    baseline_name: str,
    tried: int,
    missing: Sequence[str] = (),
) -> Verdict | None:
    """The paired interval over the fresh seeds that both have, at the confidence that `tried` demands.

    `missing` adds what the preset left out to the sentence. None without a common fresh seed. Seeds on which the
    baseline diverged are left out, or its accident would be the candidate's gain; a seed on which only the candidate
    has no number leaves all undecided, or one that raises when it does badly would choose its own seeds.
    """
    ours, theirs = _fresh(candidate, baseline, metric)
    broken = next((m for m in ours.values() if m.diverged), None)
    lost = sorted(seed for seed in theirs if seed not in ours or not ours[seed].is_number)
    sound = {seed: m for seed, m in theirs.items() if m.is_sound}
    common = sorted(sound.keys() & ours.keys() - set(lost))
    if not common:
        return None
    gains = {s: metric.gain(ours[s].value, sound[s].value) for s in common}
    used = [*(ours[s] for s in common), *(sound[s] for s in common)]
    calibration = _calibration(_ACROSS, metric, used)
    found = paired_interval(
        gains, dict.fromkeys(gains, 0.0), confidence=adjusted_confidence(max(1, tried)), calibration=calibration
    )
    low, high = (None, None) if found is None or broken is not None or lost else (found.low, found.high)
    if broken is not None:
        text = f"Rejected: training diverged on fresh seed {broken.seed}; one divergence rejects."
    elif lost:
        text = f"Undecided: no number on fresh seed {', '.join(map(str, lost))}, where {baseline_name} has one."
    elif found is None:
        text = f"One fresh seed: {gains[common[0]]:+.3f} {metric.unit} against {baseline_name}; no interval."
    else:
        notes = _notes(metric, baseline_name, left_out=sorted(theirs.keys() - sound.keys()), calibration=calibration)
        text = " ".join([_confirm_text(metric, found, name=baseline_name, tried=tried), *notes, *missing])
    effect = math.fsum(gains.values()) / len(gains)
    return Verdict(baseline=baseline_id, effect=effect, low=low, high=high, tried=tried, text=text)


def _notes(metric: Metric, name: str, *, left_out: Sequence[int], calibration: Calibration | None) -> list[str]:
    """What a reader must know about the pairs and about the noise."""
    notes = []
    if left_out:
        notes.append(f"{name} diverged on fresh seed {', '.join(map(str, left_out))}, which is left out.")
    if metric.name in _ACROSS and calibration is None:
        notes.append("The noise of this text was never calibrated: the interval rests on these seeds alone.")
    return notes


def _confirm_text(metric: Metric, found: Interval, *, name: str, tried: int) -> str:
    bounds = f"[{found.low:+.3f}, {found.high:+.3f}]"
    measured = f"{found.mean:+.3f} {bounds} {metric.unit} on {found.n} fresh seeds, corrected for {tried} tried"
    if found.low > 0:
        return (
            f"Better than {name} at this scale: {measured}. "
            "Not a discovery: its own ablation, more steps and a larger width are still to be shown."
        )
    if found.high < 0:
        return f"Worse than {name}: {measured}."
    floor = minimum_detectable_effect(found.n, sd=found.sd, confidence=found.confidence, df=found.df)
    could = f"; {found.n} seeds find {floor:.3f} or more in four of five cases" if 0.0 < floor < math.inf else ""
    return f"Not distinguishable from {name}: {measured}{could}."


def summarise(measurements: Sequence[Measurement]) -> dict[str, Summary]:
    """Each metric's best evidence: fresh seeds where there are any, else the screening runs; at the most steps.

    Among several learning rates the one with the most seeds counts, then one that did not diverge, then the best: an
    arm stands at its tuned rate. Only fresh seeds carry an interval: screening seeds chose what they measure.
    """
    by_metric: dict[str, list[Measurement]] = defaultdict(list)
    for m in measurements:
        by_metric[m.metric].append(m)
    return {name: _summary(name, runs) for name, runs in by_metric.items()}


def _summary(name: str, runs: Sequence[Measurement]) -> Summary:
    fresh = [m for m in runs if m.fresh] or list(runs)
    most = max(m.steps for m in fresh)
    groups: dict[float, dict[int, Measurement]] = defaultdict(dict)
    for m in fresh:
        if m.steps == most:
            groups[m.learning_rate][m.seed] = m
    chosen = list(max(groups.values(), key=lambda runs: _standing(name, tuple(runs.values()))).values())
    values = [m.value for m in chosen if m.is_number]
    calibration = _RUN.get(name) if all(m.calibrated for m in chosen) else None
    found = interval(values, calibration=calibration) if len(values) > 1 else None
    return Summary(
        mean=math.fsum(values) / len(values) if values else math.nan,
        low=found.low if found else None,
        high=found.high if found else None,
        n=len(chosen),
        self_reported=any(m.self_reported for m in chosen),
        steps=most,
        fresh=all(m.fresh for m in chosen),
        diverged=not all(m.is_sound for m in chosen),
    )


def _standing(name: str, runs: Sequence[Measurement]) -> tuple[int, bool, float]:
    if not all(m.is_sound for m in runs):
        return len(runs), False, 0.0
    mean = math.fsum(m.value for m in runs) / len(runs)
    return len(runs), True, -mean if name == BITS_PER_BYTE.name else mean


def leaderboard(experiments: Sequence[Experiment], *, metric: Metric) -> tuple[Row, ...]:
    """Best first among equal steps; more steps before fewer, and fresh seeds before screened ones (mixers score
    them on other text, so that their values do not compare); without a number last, in the order they were tried."""
    rows = [_row(e, metric) for e in experiments]

    def order(row: Row) -> tuple[int, int, bool, float]:
        summary = row.metrics.get(metric.name)
        if summary is None or not math.isfinite(summary.mean):
            return (1, 0, False, 0.0)
        return (0, -summary.steps, not summary.fresh, -metric.gain(summary.mean, 0.0))

    return tuple(sorted(rows, key=order))


def _row(experiment: Experiment, metric: Metric) -> Row:
    metrics = summarise(experiment.measurements)
    primary = metrics.get(metric.name)
    return Row(
        experiment=experiment.id,
        name=experiment.name or experiment.id,
        role=experiment.role,
        family=experiment.family,
        status=experiment.status,
        steps=primary.steps if primary else 0,
        evidence=_evidence(experiment, primary),
        metrics=metrics,
        verdict=experiment.verdict,
    )


def _evidence(experiment: Experiment, primary: Summary | None) -> str:
    if primary is None:
        return experiment.reason or "not measured"
    if primary.diverged:
        return "diverged"
    if primary.fresh:
        return f"{primary.n} fresh seeds" if primary.n > 1 else "one fresh seed"
    seeds = "one seed" if primary.n == 1 else f"{primary.n} seeds"
    return f"screened on {seeds}"


def _screened(measurements: Sequence[Measurement], metric: Metric) -> dict[int, Measurement]:
    """The screening run at each step count, at the arm's best rate; one that diverged only where there is no other."""
    best: dict[int, Measurement] = {}
    for m in measurements:
        if m.metric != metric.name or m.fresh:
            continue
        held = best.get(m.steps)
        ahead = held is None or (m.is_sound, metric.gain(m.value, held.value) > 0) > (held.is_sound, False)
        if ahead:
            best[m.steps] = m
    return best


def _fresh(
    ours: Sequence[Measurement], theirs: Sequence[Measurement], metric: Metric
) -> tuple[dict[int, Measurement], dict[int, Measurement]]:
    """Both arms' fresh runs by seed, at the most steps that both have."""
    arms = [[m for m in arm if m.metric == metric.name and m.fresh] for arm in (ours, theirs)]
    steps = {m.steps for m in arms[0]} & {m.steps for m in arms[1]}
    most = max(steps, default=-1)
    one, two = ({m.seed: m for m in arm if m.steps == most} for arm in arms)
    return one, two


def _calibration(known: Mapping[str, Calibration], metric: Metric, used: Sequence[Measurement]) -> Calibration | None:
    """The noise measured beforehand, where every number in use was taken under its conditions."""
    return known.get(metric.name) if all(m.calibrated for m in used) else None
