"""The search as a whole: trials in the order of time, gates, costs with the Pareto front, outcomes, the claim. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from move37.app.views.campaign import CampaignView
from move37.app.views.evidence import height, shown_by
from move37.app.views.leaderboard import ComparisonTerms, summary_at, terms_of
from move37.app.views.state import state_of
from move37.app.views.words import ENDED
from move37.lab.records import Experiment, ExperimentStatus, Metric, Role, Verdict
from move37.lab.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPoint:
    """A candidate where it was first screened, on the terms that every candidate was screened on."""

    experiment: Experiment
    compute: float  # seconds of training and scoring that the campaign had spent by then
    value: float | None  # None: no number
    best: float | None  # best value so far


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCount:
    """What one gate did in a campaign."""

    gate: str
    ended: int  # experiments that it ended
    repaired: int  # refusals that the Debugger repaired


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a candidate costs, beside what it reaches."""

    experiment: Experiment
    value: float  # primary metric at the screening terms
    parameters: float | None  # of the mixer alone
    speed: float | None  # training tokens a CPU second
    memory: float | None  # bytes at the peak of training
    state: float | None = None  # numbers that are carried from token to token, a sequence and a layer


def screening_terms(view: CampaignView) -> ComparisonTerms | None:
    """Where most candidates can be compared: the fewest steps at which any was screened."""
    for group in (view.candidates, view.baselines):
        found = {terms_of(m) for e in group for m in e.measurements if m.metric == view.metric.name and not m.fresh}
        if found:
            return min(found)
    return None


def trials(view: CampaignView) -> list[SearchPoint]:
    """The search, candidate by candidate, in the order in which their first numbers were stored.

    What was spent on other experiments meanwhile counts too: the clock is the campaign's.
    """
    terms = screening_terms(view)
    found: list[SearchPoint] = []
    compute, best, seen = 0.0, None, set()
    for _, e, spent in sorted(spending(view), key=lambda row: row[0]):
        compute += spent
        if e.role is not Role.CANDIDATE or e.id in seen:
            continue
        seen.add(e.id)
        summary = summary_at(e, view.metric, terms) if terms else None
        value = summary.mean if summary else None
        if value is not None and (best is None or view.metric.gain(value, best) > 0):
            best = value
        found.append(SearchPoint(experiment=e, compute=compute, value=value, best=best))
    return found


def spending(view: CampaignView) -> Iterable[tuple[str, Experiment, float]]:
    """When a stage was stored, whose it was, and the seconds behind its measurements."""
    for e in view.experiments:
        for record in e.stages:
            runs = record.payload.get("measurements")
            if isinstance(runs, list) and runs:
                spent = (float(m.get("train_seconds") or 0.0) + float(m.get("eval_seconds") or 0.0) for m in runs)
                yield record.finished_at, e, math.fsum(spent)
            if e.claim is not None and record.payload.get("claim"):
                yield record.finished_at, e, e.claim.core_seconds  # one thread a training: as good as seconds


def best_at(
    experiments: Sequence[Experiment], metric: Metric, terms: ComparisonTerms | None
) -> tuple[Experiment, Summary] | None:
    """The best value on these terms."""
    found = [(e, s) for e in experiments if terms and (s := summary_at(e, metric, terms)) is not None]
    return max(found, key=lambda pair: metric.gain(pair[1].mean, 0.0)) if found else None


def gate_counts(experiments: Sequence[Experiment]) -> list[GateCount]:
    """Which gates refused candidates, and what became of it; most frequent first."""
    ended: Counter[str] = Counter()
    repaired: Counter[str] = Counter()
    for e in experiments:
        if e.role is Role.CANDIDATE:
            last = {g.name for g in e.gates if g.passed is False}
            ended.update(last)
            repaired.update(_refusals(e) - last)
    return [
        GateCount(gate=gate, ended=ended[gate], repaired=repaired[gate]) for gate, _ in (ended + repaired).most_common()
    ]


def _refusals(experiment: Experiment) -> set[str]:
    """The gates that refused any attempt, from the stored attempts of the debugging."""
    found: set[str] = set()
    for record in experiment.stages:
        attempts = record.payload.get("attempts")
        for attempt in attempts if isinstance(attempts, list) else []:
            found |= {str(g["name"]) for g in attempt.get("gates", ()) if g.get("passed") is False}
    return found


def outcomes(experiments: Iterable[Experiment]) -> dict[str, int]:
    """Experiments by status, in the order of the ladder."""
    counts = Counter(e.status for e in experiments)
    return {status.value: counts[status] for status in ExperimentStatus if counts[status]}


def cost_terms(view: CampaignView) -> list[ComparisonTerms]:
    """Where at least two arms can be compared, at the screen's own width and scale, for which parameters are known.

    The screen of all stands first, then more steps, then fresh seeds.
    """
    first = screening_terms(view)
    if first is None:
        return []
    arms = Counter(
        terms
        for e in view.experiments
        for terms in {terms_of(m) for m in e.measurements if m.metric == view.metric.name}
        if (terms.width, terms.scale, terms.device) == (first.width, first.scale, first.device)
        and summary_at(e, view.metric, terms) is not None
    )
    return [first, *sorted(t for t, count in arms.items() if count > 1 and t != first)]


def shared_terms(experiments: Sequence[Experiment], metric: Metric) -> ComparisonTerms | None:
    """The most steps on which all of them have a number; None where they share none."""
    each = [{terms_of(m) for m in e.measurements if m.metric == metric.name} for e in experiments]
    shared = set.intersection(*each) if each else set()
    return max(shared, key=lambda t: (t.steps, t), default=None)


def parameters_of(experiment: Experiment) -> float | None:
    """Of the mixer alone, as the gate counted them."""
    return next((g.value for g in experiment.gates if g.name == "parameters" and g.value), None)


def costs_of(experiments: Sequence[Experiment], metric: Metric, terms: ComparisonTerms | None) -> list[Cost]:
    """The same for whoever was measured on `terms`."""
    found = []
    for e in experiments:
        summary = summary_at(e, metric, terms) if terms else None
        if summary is None:
            continue
        runs = [m for m in e.measurements if m.metric == metric.name and terms_of(m) == terms]
        fast = [m.tokens_seen / m.cpu_seconds for m in runs if m.cpu_seconds > 0 and m.tokens_seen]
        peak = max((m.peak_memory_bytes for m in runs), default=0)
        found.append(
            Cost(
                experiment=e,
                value=summary.mean,
                parameters=parameters_of(e),
                speed=fast[0] if fast else None,
                memory=float(peak) if peak else None,
                state=state_of(e),
            )
        )
    return found


def front(points: Sequence[tuple[float, float]], *, more_is_dear: bool) -> list[tuple[float, float]]:
    """The Pareto front of (cost, gain): nothing else is at least as good in both; in the order of cost."""
    ordered = sorted(points, key=lambda p: (p[0] if more_is_dear else -p[0], -p[1]))
    best = -math.inf
    kept = []
    for cost, gain in ordered:
        if gain > best:
            best = gain
            kept.append((cost, gain))
    return sorted(kept)


def seconds_measured(view: CampaignView) -> float:
    """Wall seconds that training and scoring took, all runs together."""
    return math.fsum(m.train_seconds + m.eval_seconds for e in view.experiments for m in e.measurements)


def claim(view: CampaignView) -> str:
    """What this campaign shows, in its strongest verdict's own words; never more."""
    if not view.candidates:
        return "No candidate has been tried yet."
    judged = [e for e in view.candidates if e.verdict is not None and e.status not in ENDED]
    if not judged:
        ended = ", ".join(f"{n} {status}" for status, n in outcomes(view.candidates).items())
        return f"No candidate has a verdict: {ended}. Failures are results too; each says below why it ended."
    standing = [e for e in judged if e.claim is not None and e.claim.stands]
    chosen = standing or [max(judged, key=lambda e: (height(e), _strength(e.verdict)))]
    return " ".join(f"{e.id} {e.name}: {shown_by(e, view.metric)}" for e in chosen)


def _strength(verdict: Verdict | None) -> float:
    if verdict is None or not math.isfinite(verdict.effect):
        return -math.inf
    return verdict.low if verdict.low is not None else verdict.effect
