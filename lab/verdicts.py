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

from lab.records import BITS_PER_BYTE, Experiment, ExperimentStatus, Measurement, Metric, Role, Verdict
from lab.statistics.many import adjusted_confidence, luck
from lab.statistics.paired import ACROSS_FAMILIES, AMONG_RELATIVES, Calibration, interval, paired_interval
from lab.statistics.power import minimum_detectable_effect

# One run at learning rate 1e-2, between seeds, in bits per byte.
_RUN = {BITS_PER_BYTE.name: Calibration(sd=0.018, df=4.0)}
_ACROSS = {BITS_PER_BYTE.name: ACROSS_FAMILIES}
_RELATIVES = {BITS_PER_BYTE.name: AMONG_RELATIVES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One metric of one experiment, as `list --json` shows it."""

    mean: float
    low: float | None  # 95 % interval of the mean; None with one seed
    high: float | None
    n: int  # seeds
    witness: bool  # the candidate could touch the number
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
    """The lead at the most steps that both were screened at; None where there are none in common."""
    ours, theirs = _screened(candidate, metric), _screened(baseline, metric)
    common = ours.keys() & theirs.keys()
    if not common:
        return None
    steps = max(common)
    effect = metric.gain(ours[steps].value, theirs[steps].value)
    if ours[steps].diverged:
        text = f"Rejected: training diverged (seed {ours[steps].seed}); one divergence rejects."
    else:
        text = _screen_text(metric, effect, baseline_name=baseline_name, steps=steps, tried=tried)
    return Verdict(baseline=baseline_id, effect=effect, low=None, high=None, tried=tried, text=text)


def _screen_text(metric: Metric, effect: float, *, baseline_name: str, steps: int, tried: int) -> str:
    where = f" at {steps} steps" if steps else ""
    lead = "ahead of" if effect > 0 else "level with" if effect == 0 else "behind"
    text = f"Screened on one seed{where}: {abs(effect):.3f} {metric.unit} {lead} {baseline_name}"
    text += "; one seed ranks, it claims nothing"
    calibration = _RUN.get(metric.name)
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
    relatives: bool = False,
    missing: Sequence[str] = (),
) -> Verdict | None:
    """The paired interval over the fresh seeds that both have, at the confidence that `tried` demands.

    `relatives`: both are of one family, whose paired differences vary less. `missing` adds what the preset left out
    to the sentence. None without a common fresh seed, unless the candidate diverged.
    """
    ours, theirs = _fresh(candidate, metric), _fresh(baseline, metric)
    broken = next((m for m in ours.values() if m.diverged), None)
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        return None
    gains = {s: metric.gain(ours[s].value, theirs[s].value) for s in common}
    if broken is not None:
        text = f"Rejected: training diverged on fresh seed {broken.seed}; one divergence rejects."
        effect = math.fsum(gains.values()) / len(gains)
        return Verdict(baseline=baseline_id, effect=effect, low=None, high=None, tried=tried, text=text)
    confidence = adjusted_confidence(max(1, tried))
    calibration = (_RELATIVES if relatives else _ACROSS).get(metric.name)
    found = paired_interval(gains, dict.fromkeys(gains, 0.0), confidence=confidence, calibration=calibration)
    if found is None:
        effect = gains[common[0]]
        text = f"One fresh seed: {effect:+.3f} {metric.unit} against {baseline_name}; no interval."
        return Verdict(baseline=baseline_id, effect=effect, low=None, high=None, tried=tried, text=text)
    text = _confirm_text(
        metric, found.mean, found.low, found.high, n=found.n, sd=found.sd, name=baseline_name, tried=tried
    )
    text = " ".join([text, *missing])
    return Verdict(baseline=baseline_id, effect=found.mean, low=found.low, high=found.high, tried=tried, text=text)


def _confirm_text(
    metric: Metric, mean: float, low: float, high: float, *, n: int, sd: float, name: str, tried: int
) -> str:
    measured = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}] {metric.unit} on {n} fresh seeds, corrected for {tried} tried"
    if low > 0:
        return (
            f"Better than {name} at this scale: {measured}. "
            "Not a discovery: its own ablation, more steps and a larger width are still to be shown."
        )
    if high < 0:
        return f"Worse than {name}: {measured}."
    floor = minimum_detectable_effect(n, sd=sd, confidence=adjusted_confidence(max(1, tried)))
    could = f"; {n} seeds find {floor:.3f} or more in four of five cases" if 0.0 < floor < math.inf else ""
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
    values = [m.value for m in chosen]
    found = interval(values, calibration=_RUN.get(name)) if len(values) > 1 else None
    return Summary(
        mean=math.fsum(values) / len(values),
        low=found.low if found else None,
        high=found.high if found else None,
        n=len(values),
        witness=any(m.witness for m in chosen),
        steps=most,
        fresh=all(m.fresh for m in chosen),
        diverged=any(m.diverged for m in chosen),
    )


def _standing(name: str, runs: Sequence[Measurement]) -> tuple[int, bool, float]:
    mean = math.fsum(m.value for m in runs) / len(runs)
    sound = math.isfinite(mean) and not any(m.diverged for m in runs)
    return len(runs), sound, (-mean if name == BITS_PER_BYTE.name else mean) if sound else 0.0


def leaderboard(experiments: Sequence[Experiment], *, metric: Metric) -> tuple[Row, ...]:
    """Best first among equal steps; more steps before fewer; without a number last, in the order they were tried."""
    rows = [_row(e, metric) for e in experiments]

    def order(row: Row) -> tuple[int, int, float]:
        summary = row.metrics.get(metric.name)
        if summary is None or not math.isfinite(summary.mean):
            return (1, 0, 0.0)
        return (0, -summary.steps, -metric.gain(summary.mean, 0.0))

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
    """The screening run at each step count, at the arm's best rate."""
    best: dict[int, Measurement] = {}
    for m in measurements:
        if m.metric != metric.name or m.fresh:
            continue
        held = best.get(m.steps)
        if held is None or metric.gain(m.value, held.value) > 0:
            best[m.steps] = m
    return best


def _fresh(measurements: Sequence[Measurement], metric: Metric) -> dict[int, Measurement]:
    """The fresh run of each seed at the most steps."""
    runs = [m for m in measurements if m.metric == metric.name and m.fresh]
    most = max((m.steps for m in runs), default=0)
    return {m.seed: m for m in runs if m.steps == most}
