"""The only place that names concrete rooms: settings -> `Room`, and a campaign run or resumed in it.

Order matters: bad input is found before anything is created, then the sandbox opens and each language model is asked
once, so that neither a missing daemon nor a wrong key leaves a campaign behind; then comes the campaign's row, and only
then torch and the memory. Not here: what is shown (display, chat) and the report.
"""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING

from move37.app import models, places, resuming
from move37.app.backends import docker_settings
from move37.app.exits import BadInput
from move37.app.settings import Settings
from move37.lab import machine
from move37.lab.archive.codec import encode
from move37.lab.archive.store import Archive, Campaign
from move37.lab.records import Analysis, Brief
from move37.lab.scale import FACT, as_fact
from move37.lab.tasks.task import SECRET, SECRET_BITS, Schedule, Task

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

    from move37.agents.campaign import CampaignResult
    from move37.agents.context import CampaignContext
    from move37.agents.events import OnEvent
    from move37.agents.inbox import Inbox
    from move37.agents.roles import Scientist
    from move37.agents.seat.desk import SeatDesk
    from move37.app.models import OpenedModels
    from move37.memory.recall import Memory
    from move37.sandbox.sandbox import Sandbox

TALKING = 2  # experiments whose language models may talk while others hold the training places
OnReady = Callable[[Campaign, Schedule], None]
OnOpen = Callable[["CampaignContext"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult:
    """A sitting that ended."""

    campaign: int
    ending: CampaignResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a campaign needs of the world; opened, and proved to answer, before the campaign exists."""

    models: OpenedModels
    sandbox: Sandbox
    desk: SeatDesk | None = None  # where turns of a seat wait; None: in files of the home


async def run_campaign(
    settings: Settings,
    *,
    inbox: Inbox,
    on_event: OnEvent,
    on_ready: OnReady | None = None,
    on_open: OnOpen | None = None,
    desk: SeatDesk | None = None,
) -> SessionResult:
    """A new campaign under `settings`. `on_ready` hears its number and schedule once its row is committed.

    `on_open` gets the campaign's surroundings when they are there; turns of a `seat` lie on `desk`, else in files.

    Raises `BadInput`, `BadTask`, `BadCorpus`, `BadModel`, `ModelUnavailable` or a `SandboxError` before anything is
    created; `ArchiveBusy` when another campaign holds the home; later whatever broke, after everything finished is
    stored.
    """
    models.checked(settings)
    direction = _direction(settings)
    task = places.opened(settings)
    schedule = task.schedule(settings.campaign.preset)
    brief = _brief(settings, schedule, direction)
    async with AsyncExitStack() as stack:
        outside = await _outside(settings, brief, {}, stack, on_event, desk)
        with Archive.open(settings.home) as archive:
            facts = {**_facts(task, schedule, settings), "sandbox": _kind(outside.sandbox)}
            facts[SECRET] = secrets.randbits(SECRET_BITS)
            task = task.drawn(int(str(facts[SECRET])))
            campaign = archive.begin_campaign(brief, facts)
            if on_ready:
                on_ready(campaign, schedule)
            return await _session(settings, archive, campaign, task, outside, inbox, on_event, on_open)


async def resume_campaign(
    settings: Settings,
    *,
    inbox: Inbox,
    on_event: OnEvent,
    campaign: int | None = None,
    on_ready: OnReady | None = None,
    on_open: OnOpen | None = None,
    desk: SeatDesk | None = None,
) -> SessionResult | None:
    """Go on with the home's last campaign (or the one named); None when it has finished and nothing extends it.

    Task, seed and corpus are those it began with; what else of the brief the user names anew (limits, budget, model)
    replaces what it had, and is stored. Raises as `run_campaign`.
    """
    with Archive.open(settings.home, readonly=True) as reading:
        campaigns = reading.campaigns()
        if not campaigns:
            raise BadInput(f"no campaign has run in {settings.home} yet: start one with `move37 run`")
        chosen = next((c for c in campaigns if c.id == campaign), None) if campaign is not None else campaigns[-1]
        if chosen is None:
            raise BadInput(f"no campaign {campaign} in {settings.home}: see `move37 list --all`")
        spent = resuming.spent_so_far(reading, chosen)
    brief = resuming.revised(chosen.brief, settings, spent)
    if chosen.status == "finished" and not resuming.extends(brief, chosen.brief):
        return None
    settings = resuming.with_model(settings, brief)
    models.checked(settings)
    task = places.of_campaign(settings, chosen)
    if chosen.facts.get("task_digest", task.digest) != task.digest:
        raise BadInput(
            f"the files of {brief.task} changed since campaign {chosen.id} began, so its numbers would not compare: "
            "put them back, or start a new campaign with `move37 run`"
        )
    task = task.drawn(chosen.facts.get(SECRET))
    backend, why = resuming.sandbox(settings, chosen.facts)
    settings = replace(settings, sandbox=replace(settings.sandbox, backend=backend))
    async with AsyncExitStack() as stack:
        outside = await _outside(settings, brief, chosen.facts, stack, on_event, desk)
        with Archive.open(settings.home) as archive:
            facts = {
                "sessions": int(chosen.facts.get("sessions", 0)) + 1,
                "sandbox": _kind(outside.sandbox),
                "base_url": settings.models.base_url or chosen.facts.get("base_url"),
            }
            going = archive.update_campaign(chosen.id, status="running", brief=brief, **facts)
            if on_ready:
                on_ready(going, task.schedule(brief.preset))
            for sentence in (*resuming.changes(brief, chosen.brief), why):
                _tell(on_event, sentence)
            return await _session(settings, archive, going, task, outside, inbox, on_event, on_open)


async def _session(
    settings: Settings,
    archive: Archive,
    campaign: Campaign,
    task: Task,
    outside: Outside,
    inbox: Inbox,
    on_event: OnEvent,
    on_open: OnOpen | None = None,
) -> SessionResult:
    from move37.agents import campaign as campaigns

    try:
        async with open_context(settings, archive, campaign, task, inbox, on_event, outside) as context:
            if on_open is not None:
                on_open(context)
            ending = await campaigns.run(context)
    except BaseException:
        archive.update_campaign(campaign.id, status="stopped")
        raise
    return SessionResult(campaign=campaign.id, ending=ending)


async def _outside(
    settings: Settings,
    brief: Brief,
    facts: Mapping[str, object],
    stack: AsyncExitStack,
    on_event: OnEvent,
    desk: SeatDesk | None = None,
) -> Outside:
    """Models and sandbox, closed with the stack. A language model has answered once when this returns."""
    from move37.sandbox.factory import open_sandbox

    assignment = models.checked(replace(settings, models=replace(settings.models, model=brief.model)))
    # A missing key is heard of before a missing daemon: it costs nothing to find.
    opened = await models.opened(
        settings,
        assignment,
        stack,
        seed=brief.seed,
        base_url=str(facts["base_url"]) if facts.get("base_url") else None,
        on_wait=partial(_tell, on_event),
    )
    written_by_a_model = any(uri != "designer" for uri in assignment.uris)
    sandbox = await open_sandbox(
        settings.sandbox.backend,
        trusted_source="model" if written_by_a_model else "grammar",
        workers=_workers(settings),
        docker=docker_settings(settings.sandbox),
    )
    stack.push_async_callback(sandbox.close)
    return Outside(models=opened, sandbox=sandbox, desk=desk)


def _workers(settings: Settings) -> int:
    return settings.campaign.workers or max(1, min(8, os.cpu_count() or 1))


def _kind(sandbox: Sandbox) -> str:
    return sandbox.name.split()[0]


def _tell(on_event: OnEvent, text: str) -> None:
    from move37.agents.events import Notice

    if text:
        on_event(Notice(text=text))


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
    """Everything around a campaign, opened in order and closed in reverse; heavy imports happen here.

    `outside` is opened here, too, where the caller has not done it.
    """
    from threadpoolctl import threadpool_limits

    from move37.agents.approval import Approvals
    from move37.agents.budget import Budget, CampaignUsage
    from move37.agents.clock import Clock
    from move37.agents.context import CampaignContext, ConversationLimits
    from move37.agents.search import operators_of
    from move37.memory.recall import open_memory
    from move37.sandbox.retrying import RetryingSandbox

    brief = campaign.brief
    schedule = task.schedule(brief.preset)
    workers = _workers(settings)
    async with AsyncExitStack() as stack:
        # Every core trains: a second thread of an embedding waits for a core longer than it helps.
        stack.enter_context(threadpool_limits(1, user_api="blas"))
        if outside is None:
            outside = await _outside(settings, brief, campaign.facts, stack, on_event)
        clients = _recorded(settings, campaign, outside.models)
        sandbox = RetryingSandbox(outside.sandbox, on_wait=partial(_tell, on_event))
        _tell(on_event, f"Candidates run in the {sandbox.name} sandbox.")
        memory = open_memory(
            settings.home,
            url=settings.memory.url,
            api_key=settings.memory.api_key,
            embedding_model=settings.memory.embedding_model,
        )
        stack.push_async_callback(memory.close)
        await _load_papers(memory, on_event)
        tokens, cost = archive.spent(campaign.id)
        conversation = settings.conversation
        yield CampaignContext(
            archive=archive,
            record=campaign,
            task=task,
            schedule=schedule,
            sandbox=sandbox,
            memory=memory,
            scientists=await _scientists(
                settings, brief, outside, clients, lambda ident: archive.experiment(ident).analysis, stack
            ),
            prices=_prices(outside.models),
            operators_of=operators_of,
            inbox=inbox,
            approvals=Approvals(
                settings.campaign.approve,
                inbox,
                on_event,
                partial(archive.say, campaign.id),
                timeout=settings.campaign.approval_seconds,
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
            limits=ConversationLimits(
                negotiation_rounds=conversation.negotiation_rounds,
                debug_attempts=conversation.debug_attempts,
                ideas=conversation.ideas,
                context_tokens=conversation.context_tokens,
                reflect=conversation.reflect,
                refusals_tried=conversation.refusals_tried,
                recollections=conversation.recollections,
                recollection_tokens=conversation.recollection_tokens,
                memory=settings.memory.kinds,
            ),
            workers=workers,
            talking=TALKING if any(clients.values()) else 0,
            bench=asyncio.Semaphore(workers),
            environment=_environment(sandbox.name),
        )


async def _scientists(
    settings: Settings,
    brief: Brief,
    outside: Outside,
    clients: Mapping[str, ChatCompletionClient | None],
    earlier: Callable[[str], Analysis | None],
    stack: AsyncExitStack,
) -> dict[str, Scientist]:
    """Role -> who fills it. A seat without a desk of the caller's gets one whose turns are carried through files."""
    from move37.agents.models import SEAT, assigned
    from move37.agents.scientists import scientist
    from move37.agents.seat.desk import SeatDesk
    from move37.agents.seat.mailbox import carry
    from move37.agents.seat.prompt import prompt_of
    from move37.agents.seat.scientist import Outsider

    models_of = assigned(brief.model).models
    found: dict[str, Scientist] = {role: scientist(clients.get(role)) for role in models_of}
    outsiders = [role for role, uri in models_of.items() if uri == SEAT]
    if outsiders and outside.desk is not None:
        found |= dict.fromkeys(outsiders, Outsider(outside.desk, signature="seat (over MCP)", earlier=earlier))
    elif outsiders:
        desk = SeatDesk()
        carrier = asyncio.create_task(carry(desk, settings.home, prompt_of))
        stack.callback(carrier.cancel)
        found |= dict.fromkeys(outsiders, Outsider(desk, signature="seat", earlier=earlier, every_role=True))
    return found


def _recorded(settings: Settings, campaign: Campaign, opened: OpenedModels) -> dict[str, ChatCompletionClient]:
    """Role -> model; what models answer is recorded, so that `replay:FILE` can repeat the run."""
    from move37.agents.models.replay import RecordingClient

    folder = settings.home / "recordings"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"c{campaign.id}.jsonl"
    recorders = {id(client): RecordingClient(client, file) for client in opened.unique if not _is_recording(client)}
    return {role: recorders.get(id(client), client) for role, client in opened.clients.items()}


def _is_recording(client: ChatCompletionClient) -> bool:
    from move37.agents.models.replay import Replay

    return isinstance(client, Replay)


def _prices(opened: OpenedModels) -> Callable[[str, int, int, int], float]:
    from move37.agents.models.price import cost

    return lambda role, prompt, completion, cached: cost(opened.prices[role], prompt, completion, cached)


async def _load_papers(memory: Memory, on_event: OnEvent) -> None:
    from move37.agents.events import Notice
    from move37.memory.errors import MemoryFault

    try:
        if added := await memory.load_builtin():
            on_event(Notice(text=f"{added} insights from papers were put into memory."))
    except MemoryFault as error:
        on_event(Notice(text=f"The campaign goes on without the papers: {error}"))


def _direction(settings: Settings) -> str:
    path = settings.campaign.brief
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--brief {path} cannot be read ({error}): give a Markdown file") from error


def _brief(settings: Settings, schedule: Schedule, text: str) -> Brief:
    wanted = settings.campaign
    return Brief(
        task=wanted.task,
        text=text,
        preset=wanted.preset,
        budget=wanted.budget or schedule.candidates,
        seed=wanted.seed,
        max_seconds=wanted.max_seconds,
        max_tokens=wanted.max_tokens,
        max_cost=wanted.max_cost,
        model=settings.models.model,
        corpus=str(wanted.corpus) if wanted.corpus else None,
    )


def _facts(task: Task, schedule: Schedule, settings: Settings) -> Mapping[str, object]:
    return {
        "metric": encode(task.metric),
        "caveat": task.caveat,
        "shortened": list(schedule.shortened),
        "schedule": encode(schedule),
        "versions": _versions(),
        "base_url": settings.models.base_url,
        "task_digest": task.digest,
        FACT: as_fact(getattr(task, "scale", None)),
        places.DEVICE: getattr(task, "device", "cpu"),
    }


def _versions() -> dict[str, str]:
    names = ("move37", "torch", "autogen-agentchat", "qdrant-edge-py", "sentence-transformers", "numpy", "sympy")
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def _environment(sandbox: str) -> dict[str, str]:
    return _versions() | {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": machine.kind(),
        "cores": str(os.cpu_count() or 1),
        "sandbox": sandbox,
    }
