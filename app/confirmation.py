"""`move37 confirm` and `reproduce` around `agents/discovery_claim.py`: archive, task and sandbox, and what is refused.

Read `confirm_experiment` first. A campaign of the full preset asks the same of its own candidates at its end
(`agents/campaign_claims.py`).
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from move37.agents import claim_rivals, discovery_claim, remembering
from move37.agents.claim_ground import ClaimGround, ClaimWatch, ConfirmationRequest
from move37.agents.discovery_claim import FRESH_BASE
from move37.agents.experiment_context import comparable_with
from move37.agents.search import operators_of
from move37.app import places, resuming
from move37.app.exits import BadInput
from move37.app.home_memory import memory_of
from move37.app.measuring import open_context
from move37.app.reading import pick_experiment, reading
from move37.lab import machine
from move37.lab.archive.store import Archive, Campaign
from move37.lab.claims import MORE_SEEDS, QUESTIONS, SECOND_CORPUS, SEEDS, against
from move37.lab.confirming import ConfirmationPlan, Setup, confirm, runs_planned
from move37.lab.records import Claim, Comparison, Experiment, Metric
from move37.lab.tasks.task import SECRET, QuestionedTask
from move37.memory.errors import MemoryFault

if TYPE_CHECKING:
    from move37.app.settings import Settings


async def confirm_experiment(
    settings: Settings, ident: str, wanted: ConfirmationRequest, watch: ClaimWatch
) -> tuple[Experiment, Claim, Metric]:
    """Ask the claim's questions of one experiment and store what came out; the metric stands beside.

    Raises `BadInput` or `NotConfirmable` before anything runs.
    """
    ident = _found(settings.home, ident)
    with Archive.open(settings.home) as archive:
        experiment = archive.experiment(ident)
        campaign = archive.campaign(experiment.campaign)
        discovery_claim.check(experiment, campaign)
        settings, task = _opened(settings, campaign)
        settings = _where_it_ran(settings, campaign, watch)
        _check_text(task, campaign, experiment)
        _say_machine(experiment, watch, "everything is measured anew here")
        if refusal := task.schedule("quick").refusal:
            raise BadInput(refusal)
        task = task.drawn(campaign.facts.get(SECRET))
        task.check_sealed()
        async with open_context(settings, task, written_by="model") as context:
            ground = ClaimGround(
                archive=archive, task=task, context=replace(context, on_run=watch.run), cache=settings.home / "cache",
                watch=watch,
            )  # fmt: skip
            claim = await discovery_claim.ask(ground, experiment, wanted)
        assert claim is not None  # nothing lets a question wait here
        found = archive.experiment(experiment.id)
        await keep_lesson(settings, archive, found, task, watch)
        return found, claim, task.metric


async def keep_lesson(
    settings: Settings, archive: Archive, experiment: Experiment, task: QuestionedTask, watch: ClaimWatch
) -> None:
    """The experiment's lesson again, with what its claim added. A memory that is away costs a sentence, no claim."""
    if experiment.analysis is None:
        return
    others = comparable_with(archive, archive.campaign(experiment.campaign))  # its base may be an earlier campaign's
    lesson = remembering.lesson_of(experiment, others, task=task.name, metric=task.metric, operators_of=operators_of)
    memory = memory_of(settings)
    try:
        await memory.remember(lesson)
    except MemoryFault as error:
        watch.notice(f"the archive keeps what the claim taught, memory does not: {error}")
    finally:
        await memory.close()


async def reproduce_claim(
    settings: Settings, ident: str, wanted: ConfirmationRequest, watch: ClaimWatch
) -> tuple[Claim, Claim, Metric]:
    """The claim as it is stored, and the same comparisons on new seeds, from the archive alone. Nothing is changed.

    One that was cut short is taken up again on its seeds, so that none of its runs is trained twice.

    Raises `BadInput` where there is no claim.
    """
    cache = settings.home / "cache"
    ident = _found(settings.home, ident)
    with Archive.open(settings.home) as archive:
        experiment = archive.experiment(ident)
        old = experiment.claim
        known = {c.id: c for c in discovery_claim.contenders_of(archive, experiment.id)}
        if old is None or not known:
            raise BadInput(f"{experiment.id} has no claim to reproduce: `move37 confirm {experiment.id}` makes one")
        campaign = archive.campaign(experiment.campaign)
        settings, task = _opened(settings, campaign)
        _check_text(task, campaign, experiment)
        _say_machine(experiment, watch, "old and new gains are compared all the same, each between runs of one kind")
        task.check_sealed()
        asked = {q: tuple(known[c.rival] for c in old.comparisons if c.question == q) for q in QUESTIONS}
        missing = {q: "" for q in QUESTIONS if not asked[q]}
        second = None
        if SECOND_CORPUS not in missing:
            second = claim_rivals.second_task(task, cache, wanted.second_corpus, missing)
            if second is None or second.digest not in {c.corpus for c in old.comparisons}:
                missing[SECOND_CORPUS] = "its text is not at hand"
                watch.notice(
                    "the second corpus is not the claim's own text, so that its comparison is not repeated: name that "
                    "text with --second-corpus"
                )
        count = wanted.seeds or max((c.seeds // MORE_SEEDS.get(c.question, 1) for c in old.comparisons), default=SEEDS)
        with fresh_seeds(cache / "repetitions" / experiment.id, watch) as base:
            task = task.drawn(base)
            seeds = tuple(range(base, base + count))
            plan = ConfirmationPlan(confirmation=old.confirmation, seeds=seeds, part=old.part)
            async with open_context(settings, task, written_by="model") as context:
                context = replace(context, on_run=watch.run)
                setup = Setup(
                    candidate=known[experiment.id],
                    baselines=(),
                    families=(),
                    family_why=old.family,
                    ablation=None,
                    missing=missing,
                    variant=lambda question: task.variant(question, second=second),
                    context=lambda _, variant: discovery_claim.context_for(cache, context, variant),
                    archive=archive,
                    corpus=task.sealed,
                    on_answer=lambda comparison: watch.answers(comparison, task.metric),
                    fixed=asked,
                )
                watch.begins(plan, runs_planned(setup, plan))
                return old, await confirm(setup, plan, everything=True), task.metric


@contextmanager
def fresh_seeds(begun: Path, watch: ClaimWatch) -> Iterator[int]:
    """The first of a repetition's seeds; it stands in the file `begun` until the repetition has ended well."""
    try:
        base = int(begun.read_text())
    except (OSError, ValueError):  # not begun, or the file is damaged
        base = FRESH_BASE + secrets.randbelow(2**30)
        begun.parent.mkdir(parents=True, exist_ok=True)
        begun.write_text(str(base))
    else:
        watch.notice("taken up where it was cut short: its runs are kept")
    yield base
    begun.unlink(missing_ok=True)


def _found(home: Path, ident: str) -> str:
    """The experiment's id, looked up before anything is opened to be written: a mistyped home is not made."""
    with reading(home) as archive:
        return pick_experiment(archive, ident).id


def _opened(settings: Settings, campaign: Campaign) -> tuple[Settings, QuestionedTask]:
    """Settings at the campaign's scale and device, and its task there."""
    settings, task = places.of_campaign(settings, campaign)
    assert isinstance(task, QuestionedTask)  # of every other no claim is made
    return settings, task


def _check_text(task: QuestionedTask, campaign: Campaign, experiment: Experiment) -> None:
    """Raises `BadInput` where the campaign's text is another one now."""
    if campaign.facts.get("task_digest", task.digest) != task.digest:
        raise BadInput(
            f"the text of campaign {campaign.id} changed since {experiment.id} was measured, so that nothing would "
            "compare: put it back, or measure the candidate in a new campaign"
        )


def _say_machine(experiment: Experiment, watch: ClaimWatch, then: str) -> None:
    """A sentence where the experiment was measured on another kind of machine."""
    before = experiment.environment.get("machine")
    if before is not None and before != machine.kind():
        watch.notice(f"{experiment.id} was measured on {before}, this is {machine.kind()}: {then}")


def _where_it_ran(settings: Settings, campaign: Campaign, watch: ClaimWatch) -> Settings:
    """In the sandbox of the campaign, unless the user names another; said where that decides something."""
    backend, _ = resuming.sandbox(settings, campaign.facts)
    began = campaign.facts.get("sandbox")
    if began is not None and backend != began:
        watch.notice(f"campaign {campaign.id} ran in the {began} sandbox; this runs in {backend}, which you named")
    elif began is not None:
        watch.notice(f"in the {began} sandbox, as campaign {campaign.id} was; --sandbox names another")
    return replace(settings, sandbox=settings.sandbox.changed(backend=backend))


def told_on_stderr() -> ClaimWatch:
    """One line an event: for pipes, logs and whoever reads along."""

    done, most = 0, ""

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def begins(plan: ConfirmationPlan, count: int) -> None:
        nonlocal done, most
        done, most = 0, f" of {count} at most"
        say(f"confirmation {plan.confirmation} of this home: {len(plan.seeds)} fresh seeds, {count} runs at most")

    def run(name: str, seed: int, kept: bool) -> None:
        nonlocal done
        done += 1
        say(f"  run {done}{most}: {name}, seed {seed}: {'kept from earlier' if kept else 'training'}")

    def answers(c: Comparison, metric: Metric) -> None:
        say(f"{'holds' if c.holds else 'fails'}: {c.question}, {against(c, metric)}")

    return ClaimWatch(
        begins=begins,
        run=run,
        answers=answers,
        notice=say,
    )
