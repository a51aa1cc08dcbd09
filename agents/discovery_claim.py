"""The rivals and the plan of a claim, fixed before its first fresh run: for `move37 confirm` and a campaign's end.

Read `ask` first: contenders and gates of the ablation, then the plan (which confirmation of the home, which seeds),
which is stored before the first run, then the questions (`lab/confirming.py`), then the claim. After a kill the plan is
read back and asking goes on; finished runs are kept (`lab/standings.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from move37.agents import tuning
from move37.agents.ablation import Ablation, ablated
from move37.agents.errors import NotConfirmable
from move37.lab import halving, measuring
from move37.lab.archive.codec import decode
from move37.lab.archive.store import Archive, Campaign
from move37.lab.claims import ABLATION, FAMILY, SECOND_CORPUS, SEEDS
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
from move37.lab.effects import base_of
from move37.lab.errors import BadCorpus
from move37.lab.measuring import MeasuringContext
from move37.lab.records import Claim, Comparison, Experiment, ExperimentStatus, Metric, Role
from move37.lab.standings import Standings
from move37.lab.tasks.registry import kind_of
from move37.lab.tasks.task import QuestionedTask, Task, Variant, left_out_of
from move37.lab.verdicts import confirmations

SECOND = "scipy"  # whose sources are the second corpus, unless the user names another
FRESH_BASE = 1_000_000  # fresh seeds of claims start beyond those of campaigns
BEGUN, SETTLED = "claim:begun", "claim"  # stages: the plan is fixed; the claim is stored


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationRequest:
    """What the user asked for beyond the experiment."""

    seeds: int | None = None
    trials: int | None = None
    second_corpus: Path | None = None
    everything: bool = False  # go on after the first question that fails


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimWatch:
    """Callbacks while a claim is asked."""

    begins: Callable[[ConfirmationPlan, int], None]  # (plan, trainings)
    run: Callable[[str, int, bool], None]  # (name, seed, kept)
    answers: Callable[[Comparison, Metric], None]
    notice: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimGround:
    """What asking a claim needs: task, sandbox, archive, cache."""

    archive: Archive
    task: QuestionedTask  # with the campaign's own draw of what decides
    context: MeasuringContext
    cache: Path  # of the home
    watch: ClaimWatch


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


def second_task(task: QuestionedTask, cache: Path, path: Path | None, missing: dict[str, str]) -> QuestionedTask | None:
    """The second corpus: `path`, else the sources of scipy; None, with the reason in `missing`, without the latter.

    Raises `BadCorpus` where a `path` was named and cannot be used.
    """
    named = path is not None
    if path is None:
        spec = find_spec(SECOND)
        path = Path(spec.origin).parent if spec is not None and spec.origin else None
    try:
        return None if path is None else task.second(cache=cache, corpus=path)
    except BadCorpus as error:
        if named:
            raise
        missing[SECOND_CORPUS] = str(error)
        return None


async def _setup(
    ground: ClaimGround, experiment: Experiment, wanted: ConfirmationRequest
) -> tuple[Setup, ConfirmationPlan]:
    """Contenders and plan; the plan is stored once all contenders are known and before any run on a fresh seed."""
    task, context = ground.task, ground.context
    everybody = ground.archive.experiments()
    candidate, best = _contender(experiment, task), _best_two(everybody, experiment, task)
    missing: dict[str, str] = {}
    second = second_task(task, ground.cache, wanted.second_corpus, missing)
    if left_out := left_out_of(second):
        ground.watch.notice(f"of the second corpus, {len(left_out)} files are no text and left out: {left_out[0]}")
    ablation = ablated(experiment, base_of(experiment, everybody))
    if ablation is None:
        missing[ABLATION] = "nothing in it is new against what it changes"
    elif shut := [g.name for g in await measuring.gates(context, ablation.candidate, "ablation") if g.passed is False]:
        missing[ABLATION] = f"without it the file fails {', '.join(shut)}"
    family = await _family(ground, experiment, ablation, wanted, missing)
    without = None
    if ablation is not None and ABLATION not in missing:
        without = Contender(
            id=f"{experiment.id}-ablated", name="its ablation", candidate=ablation.candidate, rate=candidate.rate
        )
    setup = Setup(
        candidate=candidate,
        baselines=best,
        family=family,
        ablation=without,
        missing=missing,
        variant=lambda question: task.variant(question, second=second),
        context=lambda _, variant: context_for(ground.cache, context, variant),
        archive=ground.archive,
        corpus=task.sealed,
        on_answer=lambda comparison: ground.watch.answers(comparison, task.metric),
    )
    return setup, _plan(ground, experiment, ablation, wanted)


def _plan(
    ground: ClaimGround, experiment: Experiment, ablation: Ablation | None, wanted: ConfirmationRequest
) -> ConfirmationPlan:
    """The plan that was begun, or a new one, stored: from here on it counts as a confirmation of the home."""
    archive, task = ground.archive, ground.task
    begun = archive.stage(experiment.id, BEGUN)
    if begun is not None:
        return decode(ConfirmationPlan, begun["plan"])
    which = confirmations(archive.experiments()) + 1
    able = halving.resolution(
        [experiment.measurements], metric=task.metric, wanted=wanted.seeds or SEEDS, smallest=task.smallest_effect,
        confirmation=which,
    )  # fmt: skip
    if able.refusal:
        raise NotConfirmable(able.refusal)
    base = FRESH_BASE + secrets.randbelow(2**30)
    part = ablation.part if ablation else experiment.hypothesis.change if experiment.hypothesis else experiment.name
    plan = ConfirmationPlan(confirmation=which, seeds=tuple(range(base, base + able.seeds)), part=part)
    archive.finish_stage(experiment.id, BEGUN, {"plan": plan})
    return plan


async def _family(
    ground: ClaimGround, experiment: Experiment, ablation: Ablation | None, wanted: ConfirmationRequest,
    missing: dict[str, str],
) -> Contender | None:  # fmt: skip
    if experiment.family not in tuning.families():
        missing[FAMILY] = ""  # "": the question does not apply, as no baseline has this family
        ground.watch.notice(f"family {experiment.family} has no baseline to tune: the two best baselines stand for it")
        return None
    tuned = await tuning.tuned_family(
        ground.context, experiment.family, trials=wanted.trials or tuning.TRIALS,
        without=ablation.operators if ablation else (), notice=ground.watch.notice,
    )  # fmt: skip
    if tuned is None:
        missing[FAMILY] = "no variant of its baseline could be measured"
        return None
    return Contender(id=f"{experiment.family}-tuned", name=f"{experiment.family}, tuned", candidate=tuned.candidate,
                     rate=tuned.rate)  # fmt: skip


def _contender(experiment: Experiment, task: Task) -> Contender:
    assert experiment.candidate is not None
    rate = halving.tuned_rate(experiment.measurements, metric=task.metric, default=task.schedule("quick").learning_rate)
    return Contender(id=experiment.id, name=experiment.name or experiment.id, candidate=experiment.candidate, rate=rate)


def _best_two(everybody: tuple[Experiment, ...], experiment: Experiment, task: Task) -> tuple[Contender, ...]:
    own = [e for e in everybody if e.role is Role.BASELINE and e.campaign == experiment.campaign and e.candidate]
    steps = max((m.steps for e in own for m in e.measurements if m.metric == task.metric.name), default=0)
    best = halving.best_baselines({e.id: e.measurements for e in own}, metric=task.metric, steps=steps)
    if not best:
        raise NotConfirmable(f"no baseline of campaign {experiment.campaign} was measured: there is nothing to beat")
    return tuple(_contender(next(e for e in own if e.id == ident), task) for ident in best)
