"""The rivals and the plan of a claim, fixed before its first fresh run: for `move37 confirm` and a campaign's end.

Read `ask` first: the rivals (`claim_rivals.py`) and the plan (which confirmation of the home, which seeds), which are
stored together before the first run, then the questions (`lab/confirming.py`), then the claim. After a kill both are
read back and asking goes on against the same rivals on the same texts, whatever was screened or asked for since;
finished runs are kept (`lab/standings.py`).
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

from move37.agents import claim_rivals
from move37.agents.claim_ground import ClaimGround, ConfirmationRequest
from move37.agents.claim_rivals import ClaimRivals
from move37.agents.errors import NotConfirmable
from move37.lab import halving
from move37.lab.archive.codec import decode
from move37.lab.archive.store import Archive, Campaign
from move37.lab.claims import SEEDS
from move37.lab.confirming import (
    ConfirmationPlan,
    Contender,
    GoOn,
    Setup,
    always,
    confirm_while,
    contenders,
    runs_planned,
)
from move37.lab.measuring import MeasuringContext
from move37.lab.records import Claim, Experiment, ExperimentStatus, Role
from move37.lab.standings import Standings
from move37.lab.tasks.registry import kind_of
from move37.lab.tasks.task import Variant
from move37.lab.verdicts import confirmations

FRESH_BASE = 1_000_000  # fresh seeds of claims start beyond those of campaigns
BEGUN, SETTLED = "claim:begun", "claim"  # stages: plan and rivals are fixed; the claim is stored


async def ask(
    ground: ClaimGround, experiment: Experiment, wanted: ConfirmationRequest, go_on: GoOn = always
) -> Claim | None:
    """Ask the questions and store the claim; None where `go_on` let one wait, and then nothing is settled.

    Raises `NotConfirmable` before anything runs on a fresh seed.
    """
    setup, plan = await _setup(ground, experiment, wanted)
    ground.watch.begins(plan, runs_planned(setup, plan))
    claim = await confirm_while(setup, plan, go_on, everything=wanted.everything)
    if claim is not None:
        status = ExperimentStatus.CONFIRMED if claim.stands else None
        payload = {"claim": claim, "contenders": contenders(setup)}
        ground.archive.finish_stage(experiment.id, SETTLED, payload, status=status)
    return claim


def contenders_of(archive: Archive, ident: str) -> tuple[Contender, ...]:
    """Those that were stored with the claim of an experiment; none where there is no claim, or an older one."""
    stored = archive.stage(ident, SETTLED) or {}
    return tuple(decode(Contender, data) for data in stored.get("contenders", ()))


def check(experiment: Experiment, campaign: Campaign) -> None:
    """Whether this experiment can be confirmed at all. Raises `NotConfirmable` with what to do instead."""
    if experiment.role is not Role.CANDIDATE:
        raise NotConfirmable(f"{experiment.id} is a baseline: candidates are confirmed against it")
    kind = kind_of(campaign.brief.task)
    if not kind.questions:
        raise NotConfirmable(f"a claim has no questions for a {kind.candidate}: fresh seeds are all that confirms it")
    if experiment.status in (ExperimentStatus.FAILED, ExperimentStatus.REJECTED):
        raise NotConfirmable(
            f"{experiment.id} {experiment.status.value}, so that there is nothing to confirm: {experiment.reason}"
        )
    if not any(m.is_sound and m.steps for m in experiment.measurements) or experiment.candidate is None:
        raise NotConfirmable(f"{experiment.id} is not measured yet: let its campaign finish first (`move37 resume`)")
    if experiment.claim is not None:
        which = f"confirmation {experiment.claim.confirmation} of this home"
        raise NotConfirmable(
            f"{experiment.id} was confirmed once ({which}): a second look until it succeeds would be no confirmation. "
            f"See `move37 show {experiment.id}`; `move37 reproduce {experiment.id}` repeats it"
        )


def context_for(cache: Path, context: MeasuringContext, variant: Variant) -> MeasuringContext:
    """Where a question's runs are kept: another corpus has standings of its own."""
    standings = Standings.of(cache, corpus=variant.task.digest, sandbox=context.sandbox.name)
    return replace(context, task=variant.task, standings=standings)


async def _setup(
    ground: ClaimGround, experiment: Experiment, wanted: ConfirmationRequest
) -> tuple[Setup, ConfirmationPlan]:
    """Contenders and plan: those that were begun, or new ones, stored before any run on a fresh seed."""
    begun = ground.archive.stage(experiment.id, BEGUN)
    if begun is not None and "rivals" in begun:
        rivals, plan = decode(ClaimRivals, begun["rivals"]), decode(ConfirmationPlan, begun["plan"])
        second = claim_rivals.second_again(ground, rivals)
        if differs := _differs(rivals, plan, wanted):
            ground.watch.notice(f"this confirmation was begun, and goes on as it began: {differs} changes nothing")
    else:
        rivals, second = await claim_rivals.find(ground, experiment, wanted)
        # Begun by an older version, which stored its plan alone.
        plan = decode(ConfirmationPlan, begun["plan"]) if begun else _planned(ground, experiment, rivals, wanted)
    task, context = ground.task, ground.context
    setup = Setup(
        candidate=rivals.candidate,
        baselines=rivals.baselines,
        families=rivals.families,
        family_why=rivals.family_why,
        ablation=rivals.ablation,
        missing=rivals.missing,
        variant=lambda question: task.variant(question, second=second),
        context=lambda _, variant: context_for(ground.cache, context, variant),
        archive=ground.archive,
        corpus=task.sealed,
        on_answer=lambda comparison: ground.watch.answers(comparison, task.metric),
    )
    return setup, plan


def _differs(known: ClaimRivals, plan: ConfirmationPlan, wanted: ConfirmationRequest) -> str:
    """The options that ask for something else than what was begun."""
    asked = {
        "--seeds": wanted.seeds is not None and wanted.seeds > len(plan.seeds),
        "--trials": wanted.trials is not None and wanted.trials != known.trials,
        "--second-corpus": wanted.second_corpus is not None and claim_rivals.place_of(wanted) != known.second_path,
    }
    return ", ".join(name for name, other in asked.items() if other)


def _planned(
    ground: ClaimGround, experiment: Experiment, rivals: ClaimRivals, wanted: ConfirmationRequest
) -> ConfirmationPlan:
    """A new plan, stored with the rivals: from here on it counts as a confirmation of the home."""
    archive, task = ground.archive, ground.task
    which = confirmations(archive.experiments()) + 1
    able = halving.resolution(
        [experiment.measurements], metric=task.metric, wanted=wanted.seeds or SEEDS, smallest=task.smallest_effect,
        confirmation=which,
    )  # fmt: skip
    if able.refusal:
        raise NotConfirmable(able.refusal)
    base = FRESH_BASE + secrets.randbelow(2**30)
    plan = ConfirmationPlan(confirmation=which, seeds=tuple(range(base, base + able.seeds)), part=rivals.part)
    archive.finish_stage(experiment.id, BEGUN, {"plan": plan, "rivals": rivals})
    return plan
