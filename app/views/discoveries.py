"""How many candidates stood at each height of evidence, against the compute that was spent by then. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from move37.app.views.campaign import CampaignView
from move37.app.views.evidence import better_on_fresh_seeds
from move37.app.views.search import spending
from move37.lab.archive.codec import decode
from move37.lab.records import Experiment, ExperimentStatus, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateEvidence:
    """How many candidates stood at each height of evidence when so much had been spent."""

    compute: float  # seconds of training and scoring
    screened: int
    ahead: int  # of the best baseline on one seed
    shown: int  # better on fresh seeds, the interval above zero
    confirmed: int  # the whole claim stands


def evidence_over_compute(view: CampaignView) -> list[CandidateEvidence]:
    """Each time a candidate reached more, in the order of time."""
    candidates = {e.id for e in view.candidates}
    spent = sorted(spending(view), key=lambda row: row[0])
    found: list[CandidateEvidence] = []
    screened: set[str] = set()
    ahead: set[str] = set()
    shown: set[str] = set()
    confirmed: set[str] = set()
    for at, e in sorted(_standings(view), key=lambda row: row[0]):
        if e.id not in candidates:
            continue
        if e.measurements:
            screened.add(e.id)
        if e.verdict is not None:
            (ahead.add if e.verdict.effect > 0 else ahead.discard)(e.id)
        (shown.add if better_on_fresh_seeds(e) else shown.discard)(e.id)
        if e.status is ExperimentStatus.CONFIRMED:
            confirmed.add(e.id)
        compute = math.fsum(seconds for when, _, seconds in spent if when <= at)
        counts = [len(s) for s in (screened, ahead, shown, confirmed)]
        found.append(
            CandidateEvidence(
                compute=compute, screened=counts[0], ahead=counts[1], shown=counts[2], confirmed=counts[3]
            )
        )
    return found


def binomial_range(count: int) -> tuple[int, int]:
    """Between how many heads `count` fair coins end in at least 95 % of all cases, the same to both sides."""
    tail, below, least = 0.025, 0.0, 0
    for heads in range(count + 1):
        below += math.comb(count, heads) / 2**count
        if below > tail:
            least = heads
            break
    return least, count - least


def _standings(view: CampaignView) -> Iterable[tuple[str, Experiment]]:
    """When evidence was stored, and the experiment as far as it was measured, judged and asked by then."""
    for e in view.experiments:
        then = replace(e, measurements=(), verdict=None, claim=None, status=ExperimentStatus.RUNNING)
        for place, record in enumerate(e.stages):
            payload, last = record.payload, place == len(e.stages) - 1
            if payload.get("measurements"):
                then = replace(then, measurements=e.measurements)
            if payload.get("verdict"):
                then = replace(then, verdict=decode(Verdict, payload["verdict"]))
            if payload.get("claim"):
                then = replace(then, claim=e.claim)
            if last:
                then = replace(then, status=e.status)
            yield record.finished_at, then
