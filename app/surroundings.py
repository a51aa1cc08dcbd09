"""Settings -> `CampaignContext`: memory, scientists, limits, clock. Heavy: `wiring.py` imports it last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from autogen_core.models import ChatCompletionClient
from threadpoolctl import threadpool_limits

from move37.agents.approval import Approvals
from move37.agents.budget import Budget, CampaignUsage
from move37.agents.clock import Clock
from move37.agents.context import CampaignContext
from move37.agents.events import Notice, OnEvent
from move37.agents.external.prompt import prompt_of
from move37.agents.external.scientist import ExternalScientist
from move37.agents.external.turn_files import exchange
from move37.agents.external.turns import PendingTurns
from move37.agents.inbox import Inbox
from move37.agents.models import SEAT, assigned, provider_of
from move37.agents.models.assignment import OVER_MCP
from move37.agents.models.price import cost
from move37.agents.models.provider import Provider
from move37.agents.models.replay import RecordingClient, Replay
from move37.agents.roles import Scientist
from move37.agents.scientists import scientist
from move37.agents.search import operators_of
from move37.app.campaign_facts import environment_of
from move37.app.home_memory import memory_of
from move37.app.models import OpenedModels, too_small
from move37.app.outside import Outside, open_outside, tell, workers_of
from move37.app.settings import Settings
from move37.lab.archive.store import Archive, Campaign
from move37.lab.records import Analysis, Brief
from move37.lab.tasks.task import Task
from move37.memory.errors import MemoryFault
from move37.memory.recall import Memory
from move37.sandbox.retrying import RetryingSandbox

TALKING = 2  # experiments that may talk, or wait for somebody outside, while others hold the training places
TURNS = 2  # experiments where one model answers call by call: one talks, one trains; more would learn less


@asynccontextmanager
async def open_context(
    settings: Settings,
    archive: Archive,
    campaign: Campaign,
    task: Task,
    inbox: Inbox,
    on_event: OnEvent,
    outside: Outside | None = None,
) -> AsyncIterator[CampaignContext]:
    """Everything around a campaign, opened in order and closed in reverse.

    `outside` is opened here, too, where the caller has not done it.
    """
    brief = campaign.brief
    schedule = task.schedule(brief.preset)
    workers = workers_of(settings)
    async with AsyncExitStack() as stack:
        # Every core trains: a second thread of an embedding waits for a core longer than it helps.
        stack.enter_context(threadpool_limits(1, user_api="blas"))
        if outside is None:
            outside = await open_outside(settings, brief, campaign.facts, stack, on_event)
        clients = _recorded(settings, campaign, outside.models)
        sandbox = RetryingSandbox(outside.sandbox, on_wait=partial(tell, on_event))
        tell(on_event, f"Candidates run in the {sandbox.name} sandbox.")
        assignment = assigned(brief.model)
        tell(on_event, too_small(assignment, brief.task))
        memory = memory_of(settings)
        stack.push_async_callback(memory.close)
        await _load_papers(memory, on_event)
        tokens, cost = archive.spent(campaign.id)

        def earlier(ident: str) -> Analysis | None:
            return archive.experiment(ident).analysis

        say = partial(tell, on_event)
        scientists = await _scientists(settings, brief, outside, clients, earlier, say, stack)
        yield CampaignContext(
            archive=archive,
            record=campaign,
            task=task,
            schedule=schedule,
            sandbox=sandbox,
            memory=memory,
            scientists=scientists,
            prices=_prices(outside.models),
            operators_of=operators_of,
            inbox=inbox,
            approvals=Approvals(
                settings.campaign.approve,
                inbox,
                on_event,
                partial(archive.say, campaign.id),
                timeout=settings.campaign.approval_timeout,
            ),
            usage=CampaignUsage(tokens + outside.models.trial_tokens, cost),
            budget=Budget(seconds=brief.max_seconds, tokens=brief.max_tokens, cost=brief.max_cost),
            on_event=on_event,
            clock=Clock(
                before=float(campaign.facts.get("seconds", 0.0)),
                soft=schedule.max_seconds,
                hard=brief.max_seconds,
                pauses=inbox.pauses,
            ),
            workdir=settings.home / "checkpoints",
            limits=settings.conversation,
            recalled=settings.memory.kinds,
            workers=workers,
            places=places(scientists, workers, [provider_of(uri) for uri in assignment.uris]),
            job_slots=asyncio.Semaphore(workers),
            environment=environment_of(sandbox.name),
        )


def places(scientists: Mapping[str, Scientist], workers: int, providers: Sequence[Provider | None] = ()) -> int:
    """Experiments that may be under way: beside those whose jobs run none where a search answers everything at once."""
    if not any(s.uses_language for s in scientists.values()):
        return workers
    return TURNS if any(p is not None and p.at_once == 1 for p in providers) else workers + TALKING


async def _scientists(
    settings: Settings,
    brief: Brief,
    outside: Outside,
    clients: Mapping[str, ChatCompletionClient | None],
    earlier: Callable[[str], Analysis | None],
    say: Callable[[str], None],
    stack: AsyncExitStack,
) -> dict[str, Scientist]:
    """Role -> who fills it. Without `pending` of the caller's, turns of external agents are exchanged as files."""
    models_of = assigned(brief.model).models
    found: dict[str, Scientist] = {role: scientist(clients.get(role)) for role in models_of}
    external = [role for role, uri in models_of.items() if uri == SEAT]
    if external and outside.pending is not None:
        over_mcp = ExternalScientist(outside.pending, signature=OVER_MCP, earlier=earlier)
        found |= dict.fromkeys(external, over_mcp)
    elif external:
        pending = PendingTurns()
        carrier = asyncio.create_task(exchange(pending, settings.home, prompt_of, say))
        stack.callback(carrier.cancel)
        by_files = ExternalScientist(pending, signature="seat", earlier=earlier, every_role=True)
        found |= dict.fromkeys(external, by_files)
    return found


def _recorded(settings: Settings, campaign: Campaign, opened: OpenedModels) -> dict[str, ChatCompletionClient]:
    """Role -> model; what models answer is recorded, so that `replay:FILE` can repeat the run."""
    folder = settings.home / "recordings"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"c{campaign.id}.jsonl"
    recorders = {id(c): RecordingClient(c, file) for c in opened.unique if not isinstance(c, Replay)}
    return {role: recorders.get(id(client), client) for role, client in opened.clients.items()}


def _prices(opened: OpenedModels) -> Callable[[str, int, int, int], float]:
    return lambda role, prompt, completion, cached: cost(opened.prices[role], prompt, completion, cached)


async def _load_papers(memory: Memory, on_event: OnEvent) -> None:
    try:
        if added := await memory.load_builtin():
            on_event(Notice(text=f"{added} insights from papers were put into memory."))
    except MemoryFault as error:
        on_event(Notice(text=f"The campaign goes on without the papers: {error}"))
