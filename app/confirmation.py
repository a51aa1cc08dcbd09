"""`move37 confirm` and `reproduce` around `lab/confirming.py`: who takes part, where runs are kept, what is refused.

Read `confirm_experiment` first. Everything that fixes the outcome (which confirmation of the home, which seeds) is in
the archive before the first run; a killed confirmation reads it back and goes on.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from move37.app import places
from move37.app.exits import BadInput
from move37.lab import machine
from move37.lab.archive.codec import decode
from move37.lab.archive.store import Archive, Campaign
from move37.lab.claims import ABLATION, FAMILY, LONGER, QUESTIONS, SECOND_CORPUS, WIDER
from move37.lab.confirming import ConfirmationPlan, Contender, Setup, confirm, contenders, runs_planned
from move37.lab.errors import BadCorpus
from move37.lab.records import Claim, Comparison, Experiment, ExperimentStatus, Role
from move37.lab.tasks.task import SECRET
from move37.lab.training.corpus import check_held_out
from move37.lab.verdicts import confirmations

if TYPE_CHECKING:
    from move37.agents.ablation import Ablation
    from move37.agents.tuning import Tuned
    from move37.app.settings import Settings
    from move37.lab.measuring import MeasuringContext
    from move37.lab.tasks.mixers import MixersTask
    from move37.lab.tasks.task import Variant

SECOND = "scipy"  # whose sources are the second corpus, unless the person names another
FRESH_BASE = 1_000_000  # fresh seeds of claims start beyond those of campaigns
SEEDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationRequest:
    """What the person asked for beyond the experiment."""

    seeds: int | None = None
    trials: int | None = None
    second_corpus: Path | None = None
    everything: bool = False  # go on after the first question that fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is told while it runs."""

    begins: Callable[[ConfirmationPlan, int], None]  # (plan, trainings)
    run: Callable[[str, int, bool], None]  # (name, seed, kept)
    answers: Callable[[Comparison], None]
    notice: Callable[[str], None]


async def confirm_experiment(
    settings: Settings, ident: str, wanted: ConfirmationRequest, watch: Watch
) -> tuple[Experiment, Claim]:
    """Ask the claim's questions of one experiment and store what came out. Raises `BadInput` before anything runs."""
    from move37.app.reading import pick_experiment
    from move37.lab.tasks.mixers import MixersTask

    with Archive.open(settings.home) as archive:
        experiment = pick_experiment(archive, ident)
        campaign = archive.campaign(experiment.campaign)
        check(experiment, campaign)
        settings = places.at_campaign(settings, campaign)
        task = places.of_campaign(settings, campaign)
        if campaign.facts.get("task_digest", task.digest) != task.digest:
            raise BadInput(
                f"the text of campaign {campaign.id} changed since {experiment.id} was measured, so that nothing would "
                "compare: put it back, or measure the candidate in a new campaign"
            )
        before = experiment.environment.get("machine")
        if before is not None and before != machine.kind():
            watch.notice(
                f"{experiment.id} was measured on {before}, this is {machine.kind()}: everything is measured anew here"
            )
        if refusal := task.schedule("quick").refusal:
            raise BadInput(refusal)
        task = task.drawn(campaign.facts.get(SECRET))
        assert isinstance(task, MixersTask)  # `check` has refused every other
        check_held_out(task.corpus)
        async with AsyncExitStack() as stack:
            setup, plan = await _setup(settings, archive, experiment, task, wanted, watch, stack)
            watch.begins(plan, runs_planned(setup, plan))
            claim = await confirm(setup, plan, everything=wanted.everything)
        status = ExperimentStatus.CONFIRMED if claim.stands else None
        payload = {"claim": claim, "contenders": contenders(setup)}
        archive.finish_stage(experiment.id, "claim", payload, status=status)
        return archive.experiment(experiment.id), claim


async def reproduce_claim(
    settings: Settings, ident: str, wanted: ConfirmationRequest, watch: Watch
) -> tuple[Claim, Claim]:
    """The claim as it is stored, and the same comparisons on new seeds, from the archive alone. Nothing is changed.

    Raises `BadInput` where there is no claim.
    """
    from move37.app.measuring import open_context
    from move37.app.reading import pick_experiment
    from move37.lab.tasks.mixers import MixersTask

    with Archive.open(settings.home) as archive:
        experiment = pick_experiment(archive, ident)
        old, stored = experiment.claim, archive.stage(experiment.id, "claim")
        if old is None or stored is None:
            raise BadInput(f"{experiment.id} has no claim to reproduce: `move37 confirm {experiment.id}` makes one")
        campaign = archive.campaign(experiment.campaign)
        settings = places.at_campaign(settings, campaign)
        task = places.of_campaign(settings, campaign)
        assert isinstance(task, MixersTask)
        check_held_out(task.corpus)
        known = {c.id: c for c in (decode(Contender, data) for data in stored["contenders"])}
        asked = {q: tuple(known[c.rival] for c in old.comparisons if c.question == q) for q in QUESTIONS}
        missing = {q: "" for q in QUESTIONS if not asked[q]}
        second = None if SECOND_CORPUS in missing else _second(settings, wanted, missing)
        base = FRESH_BASE + secrets.randbelow(2**30)
        count = wanted.seeds or max((c.seeds for c in old.comparisons), default=SEEDS)
        task = task.drawn(base)
        plan = ConfirmationPlan(confirmation=old.confirmation, seeds=tuple(range(base, base + count)), part=old.part)
        async with open_context(settings, task, written_by="model") as context:
            context = replace(context, on_run=watch.run)
            setup = Setup(
                candidate=known[experiment.id],
                baselines=(),
                family=None,
                ablation=None,
                missing=missing,
                variant=lambda question: task.variant(question, second=second),
                context=lambda question, variant: _context_for(settings, context, question, variant),
                archive=archive,
                corpus=task.corpus.sha256,
                on_answer=watch.answers,
                fixed=asked,
            )
            watch.begins(plan, runs_planned(setup, plan))
            return old, await confirm(setup, plan, everything=True)


def check(experiment: Experiment, campaign: Campaign) -> None:
    """Whether this experiment can be confirmed at all. Raises `BadInput` with what to do instead."""
    if experiment.role is not Role.CANDIDATE:
        raise BadInput(f"{experiment.id} is a baseline: candidates are confirmed against it")
    if campaign.brief.task.startswith("program:"):
        raise BadInput("a claim's questions are asked of mixers; a program's fresh seeds are all that confirms it")
    if experiment.status in (ExperimentStatus.FAILED, ExperimentStatus.REJECTED):
        raise BadInput(
            f"{experiment.id} {experiment.status.value}, so that there is nothing to confirm: {experiment.reason}"
        )
    if not any(m.is_sound and m.steps for m in experiment.measurements) or experiment.candidate is None:
        raise BadInput(f"{experiment.id} is not measured yet: let its campaign finish first (`move37 resume`)")
    if experiment.claim is not None:
        which = f"confirmation {experiment.claim.confirmation} of this home"
        raise BadInput(
            f"{experiment.id} was confirmed once ({which}): a second look until it succeeds would be no confirmation. "
            f"See `move37 show {experiment.id}`; `move37 reproduce {experiment.id}` repeats it"
        )


async def _setup(
    settings: Settings, archive: Archive, experiment: Experiment, task: MixersTask, wanted: ConfirmationRequest,
    watch: Watch, stack: AsyncExitStack,
) -> tuple[Setup, ConfirmationPlan]:  # fmt: skip
    """Who takes part; the plan is stored once everybody is known, and before anybody runs on a fresh seed."""
    from move37.agents.ablation import ablated
    from move37.app.measuring import open_context
    from move37.lab import measuring
    from move37.lab.effects import base_of

    everybody = archive.experiments()
    candidate, best = _contender(experiment, task), _best_two(everybody, experiment, task)
    missing: dict[str, str] = {}
    second = _second(settings, wanted, missing)
    context = await stack.enter_async_context(open_context(settings, task, written_by="model"))
    context = replace(context, on_run=watch.run)
    ablation = ablated(experiment, base_of(experiment, everybody))
    if ablation is None:
        missing[ABLATION] = "nothing in it is new against what it changes"
    elif shut := [g.name for g in await measuring.gates(context, ablation.candidate, "ablation") if g.passed is False]:
        missing[ABLATION] = f"without it the file fails {', '.join(shut)}"
    family = await _family(context, experiment, ablation, wanted, watch, missing)
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
        context=lambda question, variant: _context_for(settings, context, question, variant),
        archive=archive,
        corpus=task.corpus.sha256,
        on_answer=watch.answers,
    )
    return setup, _plan(archive, experiment, ablation, wanted)


def _plan(
    archive: Archive, experiment: Experiment, ablation: Ablation | None, wanted: ConfirmationRequest
) -> ConfirmationPlan:
    """The plan that was begun, or a new one, stored: from here on it counts as a confirmation of the home."""
    from move37.lab import ladder
    from move37.lab.records import BITS_PER_BYTE
    from move37.lab.tasks.mixers import SMALLEST_EFFECT

    begun = archive.stage(experiment.id, "claim:begun")
    if begun is not None:
        return decode(ConfirmationPlan, begun["plan"])
    which = confirmations(archive.experiments()) + 1
    able = ladder.resolution(
        [experiment.measurements], metric=BITS_PER_BYTE, wanted=wanted.seeds or SEEDS, smallest=SMALLEST_EFFECT,
        confirmation=which,
    )  # fmt: skip
    if able.refusal:
        raise BadInput(able.refusal)
    base = FRESH_BASE + secrets.randbelow(2**30)
    part = ablation.part if ablation else experiment.hypothesis.change if experiment.hypothesis else experiment.name
    plan = ConfirmationPlan(confirmation=which, seeds=tuple(range(base, base + able.seeds)), part=part)
    archive.finish_stage(experiment.id, "claim:begun", {"plan": plan})
    return plan


def _second(settings: Settings, wanted: ConfirmationRequest, missing: dict[str, str]) -> MixersTask | None:
    from move37.lab.tasks.mixers import MixersTask

    path = wanted.second_corpus
    if path is None:
        spec = find_spec(SECOND)
        path = Path(spec.origin).parent if spec is not None and spec.origin else None
    try:
        return None if path is None else MixersTask.open(
            cache=settings.home / "cache", corpus=path, scale=settings.campaign.scale,
            device=places.device_of(settings),
        )  # fmt: skip
    except BadCorpus as error:
        if wanted.second_corpus is not None:
            raise
        missing[SECOND_CORPUS] = str(error)
        return None


async def _family(
    context: MeasuringContext, experiment: Experiment, ablation: Ablation | None, wanted: ConfirmationRequest,
    watch: Watch, missing: dict[str, str],
) -> Contender | None:  # fmt: skip
    from move37.agents import tuning

    if experiment.family not in tuning.families():
        missing[FAMILY] = ""  # a family of its own has no other member
        watch.notice(f"family {experiment.family} has no baseline to tune: the two best baselines stand for it")
        return None
    tuned = await tuned_family(
        context, experiment.family, trials=wanted.trials, without=ablation.operators if ablation else (), watch=watch
    )
    if tuned is None:
        missing[FAMILY] = "no variant of its baseline could be measured"
        return None
    return Contender(id=f"{experiment.family}-tuned", name=f"{experiment.family}, tuned", candidate=tuned.candidate,
                     rate=tuned.rate)  # fmt: skip


async def tuned_family(
    context: MeasuringContext, family: str, *, trials: int | None, without: tuple[str, ...] = (), watch: Watch
) -> Tuned | None:
    """The best of a family after as many trials as the quick preset has candidates."""
    from move37.agents import tuning
    from move37.lab import baselines

    own = next(
        b.candidate for b in context.task.baselines if baselines.FAMILIES.get(b.name, b.candidate.family) == family
    )
    schedule = context.task.schedule("quick")
    watch.notice(f"tuning {family}, {trials or tuning.TRIALS} trials; what is kept is not trained again")
    return await tuning.tune(
        context, family, own, screen=schedule.rungs[0], top=schedule.rungs[-1], without=without,
        trials=trials or tuning.TRIALS,
    )  # fmt: skip


def _contender(experiment: Experiment, task: MixersTask) -> Contender:
    from move37.lab import ladder

    assert experiment.candidate is not None
    rate = ladder.tuned_rate(experiment.measurements, metric=task.metric, default=task.schedule("quick").learning_rate)
    return Contender(id=experiment.id, name=experiment.name or experiment.id, candidate=experiment.candidate, rate=rate)


def _best_two(everybody: tuple[Experiment, ...], experiment: Experiment, task: MixersTask) -> tuple[Contender, ...]:
    from move37.lab import ladder

    own = [e for e in everybody if e.role is Role.BASELINE and e.campaign == experiment.campaign and e.candidate]
    steps = max((m.steps for e in own for m in e.measurements if m.metric == task.metric.name), default=0)
    best = ladder.best_baselines({e.id: e.measurements for e in own}, metric=task.metric, steps=steps)
    if not best:
        raise BadInput(f"no baseline of campaign {experiment.campaign} was measured: there is nothing to beat")
    return tuple(_contender(next(e for e in own if e.id == ident), task) for ident in best)


def _context_for(settings: Settings, context: MeasuringContext, question: str, variant: Variant) -> MeasuringContext:
    """Runs on another corpus, or of another schedule, are kept in places of their own."""
    from move37.lab.standings import Standings

    same = question not in (SECOND_CORPUS, LONGER, WIDER)
    return replace(
        context,
        task=variant.task,
        standings=Standings.of(settings.home / "cache", corpus=variant.task.digest, sandbox=context.sandbox.name),
        workdir=context.workdir if same else context.workdir / question,
    )


def told_on_stderr() -> Watch:
    """One line an event: for pipes, logs and whoever reads along."""

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    from move37.lab.claims import against
    from move37.lab.records import BITS_PER_BYTE

    return Watch(
        begins=lambda plan, count: say(
            f"confirmation {plan.confirmation} of this home: {len(plan.seeds)} fresh seeds, {count} runs at most"
        ),
        run=lambda name, seed, kept: say(f"  {name}, seed {seed}: {'kept from earlier' if kept else 'training'}"),
        answers=lambda c: say(f"{'holds' if c.holds else 'fails'}: {c.question}, {against(c, BITS_PER_BYTE)}"),
        notice=say,
    )
