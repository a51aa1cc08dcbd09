"""The ledger of a claim: what its campaign spent until it could be made. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from move37.app.text import counted
from move37.app.views.campaign import CampaignView
from move37.app.views.shapes import Section, section
from move37.app.views.words import ENDED
from move37.lab.records import Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimCost:
    """Everything that was paid in one campaign, and on top for one claim."""

    candidates: int
    failures: int  # failed or rejected among them
    search_seconds: float  # CPU seconds of all candidates' runs
    baseline_seconds: float  # likewise of the lab's own
    claim_seconds: float  # of the claim's trainings
    tokens: int
    dollars: float
    claims: int  # of this campaign: they share what the search cost

    @property
    def core_seconds(self) -> float:
        """All of it."""
        return self.search_seconds + self.baseline_seconds + self.claim_seconds


def cost_of(view: CampaignView, experiment: Experiment) -> ClaimCost | None:
    """What the claim cost; None where none was asked, or the campaign is another one."""
    if experiment.claim is None or all(e.id != experiment.id for e in view.experiments):
        return None
    return ClaimCost(
        candidates=len(view.candidates),
        failures=sum(e.status in ENDED for e in view.candidates),
        search_seconds=math.fsum(m.cpu_seconds for e in view.candidates for m in e.measurements),
        baseline_seconds=math.fsum(m.cpu_seconds for e in view.baselines for m in e.measurements),
        claim_seconds=experiment.claim.core_seconds,
        tokens=view.tokens,
        dollars=view.cost,
        claims=sum(e.claim is not None for e in view.candidates),
    )


def cost_section(view: CampaignView, experiment: Experiment) -> Section:
    """The ledger in words; empty where no claim was asked."""
    cost = cost_of(view, experiment)
    if cost is None:
        return Section(title="What it cost")
    return section(
        "What it cost",
        ("tried", f"{counted(cost.candidates, 'candidate')}, {cost.failures} of them failed or rejected"),
        ("trained", f"{cost.core_seconds:.0f} core-seconds: {cost.search_seconds:.0f} for candidates, "
         f"{cost.baseline_seconds:.0f} for baselines, {cost.claim_seconds:.0f} for the claim's own questions"),
        ("models", f"{cost.tokens:,} tokens, {cost.dollars:.2f} dollars" if cost.tokens else "no language model"),
        ("shared by", f"{cost.claims} claims of this campaign" if cost.claims > 1 else ""),
    )  # fmt: skip
