"""Every few experiments, and after a generation: principles are revised, stored, and written to memory.

Two authors keep principles. The record keeps them by a rule (lab/principles.py: operator by family, effect against the
parent with an interval); where a language model is the Analyst, it reads the new lessons and rewrites, merges or
strikes its own. Read `reflect`, then `revised` (pure); `Midway` says when within a generation.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection, Sequence
from dataclasses import replace

import structlog

from move37.agents import context_builder, ledger, record
from move37.agents.blocks import ledger_line, line
from move37.agents.context import CampaignContext
from move37.agents.errors import BudgetSpent, ModelReplyInvalid
from move37.agents.events import Notice
from move37.agents.experiment_context import comparable
from move37.agents.open_experiment import Limit, count
from move37.agents.replies import Principles
from move37.agents.roles import RoleContext, member
from move37.agents.search.catalogue import CATALOGUE
from move37.lab.archive import principles as stored
from move37.lab.archive.message import now
from move37.lab.principles import MOST, RECORD, concerns, kept, operator_effects
from move37.lab.records import Experiment, Principle
from move37.memory import records as memory
from move37.memory.errors import MemoryFault

log = structlog.get_logger()
STAGE = "reflection"


async def reflect(campaign: CampaignContext, generation: Sequence[str], limit: Limit, *, key: str = "") -> None:
    """Revise the principles by these experiments' lessons, once under a `key` (their first one's id) in a campaign."""
    done = list(campaign.archive.campaign(campaign.record.id).facts.get("reflected") or [])
    if not campaign.limits.reflect or not generation or (key := key or generation[0]) in done:
        return
    everybody = comparable(campaign)
    standing = stored.standing(campaign.archive)
    foreign = [p for p in standing if not concerns(p, {e.id for e in everybody})]
    before = [p for p in standing if p not in foreign]
    after = await _by_model(campaign, generation, everybody, before, limit)
    effects = operator_effects(record.operator_record(everybody, campaign.task.metric, campaign.operators_of))
    names = {name: words.phrase for name, words in CATALOGUE.items()}
    after = [*[p for p in after if p.struck], *kept(effects, after, metric=campaign.task.metric, names=names)]
    stored.keep(campaign.archive, campaign.record.id, [*after, *foreign])
    campaign.archive.update_campaign(campaign.record.id, reflected=[*done, key])
    await _remembered(campaign, after)
    log.info("reflected", campaign=campaign.record.id, held=sum(not p.struck for p in after))


class Midway:
    """Reflects within a generation, after every `reflect_every` experiments; not at the generation's end."""

    def __init__(self, campaign: CampaignContext, numbers: Sequence[int], limit: Limit) -> None:
        self._campaign, self._numbers, self._limit = campaign, numbers, limit
        self._ended: list[str] = []
        self._one = asyncio.Lock()  # one revision at a time: each reads the one before it

    async def ended(self, experiment: str) -> None:
        """Count one more experiment, and reflect where due; experiments that begin later read the revision."""
        self._ended.append(experiment)
        count, every = len(self._ended), self._campaign.limits.reflect_every
        if every and count % every == 0 and count < len(self._numbers):
            newest = self._ended[-every:]
            async with self._one:
                await reflect(self._campaign, newest, self._limit, key=f"{self._numbers[0]}+{count}")


def revised(
    before: Sequence[Principle],
    reply: Principles,
    *,
    author: str,
    experiments: Collection[str],
    taken: Collection[str] = (),
) -> tuple[Principle, ...]:
    """The author's next principles beside those of others; what it left out is struck, with its reason. Pure.

    Experiments that do not exist support nothing, and a principle that none supports is not taken. `taken` are the ids
    that ever stood in this home: a struck one's is not given again. Raises `ModelReplyInvalid` where all would be
    struck and not each for a reason: an answer that holds nothing is rather none.
    """
    own = {p.id: p for p in before if p.author == author and not p.struck}
    fresh = (f"P{n}" for n in itertools.count(1) if f"P{n}" not in {*taken, *(p.id for p in before)})
    found: dict[str, Principle] = {}
    for place, said in enumerate(reply.principles[:MOST]):
        supports = tuple(dict.fromkeys(e for e in said.supports if e in experiments))
        if not supports:
            continue
        ident = said.id if said.id in own and said.id not in found else next(fresh)
        found[ident] = Principle(
            id=ident,
            text=" ".join(said.text.split()),
            supports=supports,
            contradicts=tuple(dict.fromkeys(e for e in said.contradicts if e in experiments)),
            author=author,
            strength=float(MOST - place),
        )
    if not found and any(not reply.struck.get(ident) for ident in own):
        raise ModelReplyInvalid(f"it holds no principle, and gives no reason against each of the {len(own)} that stand")
    struck = [
        replace(p, struck=reply.struck.get(ident, "") or "left out of the revision")
        for ident, p in own.items()
        if ident not in found
    ]
    return (*(p for p in before if p.author != author), *found.values(), *struck)


async def _by_model(
    campaign: CampaignContext,
    generation: Sequence[str],
    everybody: Sequence[Experiment],
    before: Sequence[Principle],
    limit: Limit,
) -> list[Principle]:
    """The Analyst's revision, where a language model is one; else what was held."""
    analyst = campaign.scientists["Analyst"]
    rows = [r for r in ledger.ledger(everybody, campaign.task.metric) if r.experiment in generation]
    lessons = [ledger_line(row) for row in rows]
    if not analyst.uses_language or not lessons:
        return list(before)
    try:
        reply = await analyst.reflect(
            _role_context(campaign, limit), principles=[told(p) for p in before], lessons=lessons
        )
        ever = {p.id for revision in stored.history(campaign.archive) for p in revision.principles}
        known = {e.id for e in everybody if e.gates or e.measurements}  # who was never tried shows nothing
        return list(revised(before, reply, author=analyst.signature, experiments=known, taken=ever))
    except (ModelReplyInvalid, BudgetSpent) as error:
        campaign.on_event(Notice(text=f"The Analyst revised no principle: {error}"))
        return list(before)


def told(principle: Principle) -> str:
    """One principle as a line of the Analyst's prompt."""
    against = f"; against: {', '.join(principle.contradicts)}" if principle.contradicts else ""
    whose = "kept by the record, leave it" if principle.author == RECORD else "yours"
    return f"- [{principle.id}] ({whose}) {line(principle.text)} (for: {', '.join(principle.supports)}{against})"


def _role_context(campaign: CampaignContext, limit: Limit) -> RoleContext:
    async def before() -> None:
        await campaign.inbox.while_paused()
        if reason := limit():
            raise BudgetSpent(reason)

    analyst = member("Analyst")
    return RoleContext(
        member=analyst,
        number=0,
        task=context_builder.task_card(campaign),
        stage=lambda: STAGE,
        before=before,
        after=lambda used: count(campaign, None, analyst, used),
        failed=lambda error: log.warning("reflection_failed", error=str(error)),
    )


async def _remembered(campaign: CampaignContext, principles: Sequence[Principle]) -> None:
    task, data = campaign.task.name, campaign.record.comparable_by[1]
    try:
        for p in principles:
            if p.struck:
                await campaign.memory.forget_principle(p.id, task=task, data=data)
                continue
            operator, _, family = p.id.partition("@") if p.author == RECORD else ("", "", "")
            await campaign.memory.remember_principle(
                memory.RecordedPrinciple(
                    id=p.id,
                    text=p.text,
                    task=task,
                    data=data,
                    supports=p.supports,
                    contradicts=p.contradicts,
                    operators=(operator,) if operator else (),
                    families=(family,) if family else (),
                    updated_at=now(),
                )
            )
    except MemoryFault as error:
        campaign.on_event(Notice(text=f"The principles are in the archive, but not in memory: {error}"))
