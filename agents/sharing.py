"""Baselines are trained once a home: a campaign takes over what an earlier one measured under the same conditions.

Shared: gates, probes and screening runs of the same source, on the same task and data, at the same scale and
version, with the same seeds, on the same kind of machine. Runs on fresh seeds are never
shared, so that no two claims rest on the same lucky run of a baseline.
"""

from __future__ import annotations

from collections.abc import Mapping

from move37.agents.context import CampaignContext
from move37.agents.experiment_context import comparable
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
    rungs = {r.name for r in campaign.schedule.baseline_rungs}
    first = campaign.record.brief.seed
    seeds = range(first, first + campaign.schedule.screen_seeds)
    for record in twin.stages:
        if (record.stage, record.rung, record.seed) not in have and _shareable(record, rungs, seeds):
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


def _shareable(record: StageRecord, rungs: set[str], seeds: range) -> bool:
    if record.stage in SHARED:
        return True
    measurements = record.payload.get("measurements")
    fresh = isinstance(measurements, list) and any(m.get("fresh") for m in measurements)
    failed = bool(record.payload.get("failure"))
    return record.stage in rungs and record.seed in seeds and not fresh and not failed
