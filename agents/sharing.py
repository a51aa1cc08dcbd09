"""Baselines are trained once a home: a campaign takes over what an earlier one measured under the same conditions.

Shared: gates, probes and screening runs of the same source, on the same task and data, at the same scale and
version, with the same seeds and at the same learning rate, on the same kind of machine. Runs on fresh seeds are never
shared, so that no two claims rest on the same lucky run of a baseline.

A stage's name says no rate: "lm@100" is at its campaign's own, which a calibration changes.
"""

from __future__ import annotations

from collections.abc import Mapping

from move37.agents.context import CampaignContext
from move37.agents.experiment_context import comparable
from move37.agents.results import TrainingResult
from move37.lab.archive.codec import decode
from move37.lab.records import Experiment, ExperimentStatus, Role, StageRecord
from move37.lab.scale import of_facts
from move37.lab.tasks.task import Baseline

SAME = (
    "machine",
    "sandbox",
    "torch",
    "move37",
)  # what an environment must share; an older one without it shares nothing
SHARED = ("candidate", "gates")  # and every rung's stage


def share(campaign: CampaignContext, experiment: Experiment, baseline: Baseline) -> None:
    """Copy the finished stages of the newest equal baseline into `experiment`, as far as it lacks them."""
    twins = [e for e in comparable(campaign) if _equal(campaign, e, experiment, baseline)]
    if not twins:
        return
    twin = twins[-1]
    have = {(r.stage, r.rung, r.seed) for r in experiment.stages}
    for record in twin.stages:
        if (record.stage, record.rung, record.seed) not in have and _shareable(campaign, record):
            measured = bool(record.payload.get("measurements"))
            campaign.archive.finish_stage(
                experiment.id,
                record.stage,
                record.payload,
                rung=record.rung,
                seed=record.seed,
                status=ExperimentStatus.MEASURED if measured else None,
                reached=record.rung,
                environment={"shared_from": twin.id},
            )


def _equal(campaign: CampaignContext, other: Experiment, mine: Experiment, baseline: Baseline) -> bool:
    return (
        other.role is Role.BASELINE
        and other.id != mine.id
        and other.status is not ExperimentStatus.FAILED
        and other.name == baseline.name
        and other.candidate is not None
        and other.candidate.source == baseline.candidate.source
        and all(_same(other.environment, mine.environment, name) for name in SAME)
        and of_facts(campaign.archive.campaign(other.campaign).facts).place == of_facts(campaign.record.facts).place
    )


def _same(one: Mapping[str, str], two: Mapping[str, str], name: str) -> bool:
    return name in one and one[name] == two.get(name)


def _shareable(campaign: CampaignContext, record: StageRecord) -> bool:
    if record.stage in SHARED:
        return True
    rung = next((r for r in campaign.schedule.baseline_rungs if r.name == record.stage), None)
    first = campaign.record.brief.seed
    if rung is None or record.seed not in range(first, first + campaign.schedule.screen_seeds):
        return False
    result = decode(TrainingResult, record.payload)
    # Probes have rates of their own, which no campaign changes.
    at_its_rate = all(m.learning_rate == campaign.schedule.learning_rate for m in result.measurements if rung.steps)
    return at_its_rate and not result.failure and not any(m.fresh for m in result.measurements)
