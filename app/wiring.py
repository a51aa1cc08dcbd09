"""The only place that names concrete rooms: settings -> `Room`, and a campaign run or resumed in it.

Order matters: bad input is found before anything is created, the campaign's row is committed before torch is imported,
and only then come the model, the sandbox and the memory. Not here: what is shown (display, chat) and the report.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from move37.app.backends import docker_settings
from move37.app.exits import BadInput
from move37.app.settings import Settings
from move37.lab import machine
from move37.lab.archive.codec import encode
from move37.lab.archive.store import Archive, Campaign
from move37.lab.records import Brief
from move37.lab.tasks import open_task
from move37.lab.tasks.task import Schedule, Task

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

    from move37.agents.campaign import CampaignResult
    from move37.agents.context import CampaignContext
    from move37.agents.events import OnEvent
    from move37.agents.inbox import Inbox
    from move37.memory.recall import Memory

OnReady = Callable[[Campaign, Schedule], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult:
    """A sitting that ended."""

    campaign: int
    ending: CampaignResult


async def run_campaign(
    settings: Settings, *, inbox: Inbox, on_event: OnEvent, on_ready: OnReady | None = None
) -> SessionResult:
    """A new campaign under `settings`. `on_ready` hears its number and schedule once its row is committed.

    Raises `BadInput`, `BadTask`, `BadCorpus` or `BadModel` before anything is created; `ArchiveBusy` when another
    campaign holds the home; later whatever broke, after everything finished is stored.
    """
    _check_model(settings)
    direction = _direction(settings)
    task = _task(settings, settings.campaign.task, settings.campaign.corpus)
    schedule = task.schedule(settings.campaign.preset)
    brief = _brief(settings, schedule, direction)
    with Archive.open(settings.home) as archive:
        campaign = archive.begin_campaign(brief, _facts(task, schedule, settings))
        if on_ready:
            on_ready(campaign, schedule)
        return await _session(settings, archive, campaign, task, inbox, on_event)


async def resume_campaign(
    settings: Settings,
    *,
    inbox: Inbox,
    on_event: OnEvent,
    campaign: int | None = None,
    on_ready: OnReady | None = None,
) -> SessionResult | None:
    """Go on with the home's last campaign (or the one named); None when it has already finished.

    The brief, the model and the task are those it began with. Raises as `run_campaign`.
    """
    with Archive.open(settings.home, readonly=True) as reading:
        campaigns = reading.campaigns()
    if not campaigns:
        raise BadInput(f"no campaign has run in {settings.home} yet: start one with `move37 run`")
    chosen = next((c for c in campaigns if c.id == campaign), None) if campaign is not None else campaigns[-1]
    if chosen is None:
        raise BadInput(f"no campaign {campaign} in {settings.home}: see `move37 list --all`")
    if chosen.status == "finished":
        return None
    brief = chosen.brief
    task = _task(settings, brief.task, Path(brief.corpus) if brief.corpus else None)
    if chosen.facts.get("task_digest", task.digest) != task.digest:
        raise BadInput(
            f"the files of {brief.task} changed since campaign {chosen.id} began, so its numbers would not compare: "
            "put them back, or start a new campaign with `move37 run`"
        )
    with Archive.open(settings.home) as archive:
        sessions = int(chosen.facts.get("sessions", 0)) + 1
        going = archive.update_campaign(chosen.id, status="running", sessions=sessions)
        if on_ready:
            on_ready(going, task.schedule(brief.preset))
        return await _session(settings, archive, going, task, inbox, on_event)


async def _session(
    settings: Settings, archive: Archive, campaign: Campaign, task: Task, inbox: Inbox, on_event: OnEvent
) -> SessionResult:
    from move37.agents import campaign as campaigns

    try:
        async with open_context(settings, archive, campaign, task, inbox, on_event) as room:
            ending = await campaigns.run(room)
    except BaseException:
        archive.update_campaign(campaign.id, status="stopped")
        raise
    return SessionResult(campaign=campaign.id, ending=ending)


@asynccontextmanager
async def open_context(
    settings: Settings, archive: Archive, campaign: Campaign, task: Task, inbox: Inbox, on_event: OnEvent
) -> AsyncIterator[CampaignContext]:
    """Everything around a campaign, opened in order and closed in reverse; heavy imports happen here."""
    from threadpoolctl import threadpool_limits

    from move37.agents.approval import Approvals
    from move37.agents.budget import Budget, Usage
    from move37.agents.clock import Clock
    from move37.agents.context import CampaignContext, ConversationLimits
    from move37.agents.events import Notice
    from move37.agents.models import operators_of, signature
    from move37.agents.roles import MEMBERS
    from move37.memory.recall import open_memory
    from move37.sandbox.factory import open_sandbox
    from move37.sandbox.retrying import RetryingSandbox

    brief = campaign.brief
    schedule = task.schedule(brief.preset)
    workers = settings.campaign.workers or max(1, min(8, os.cpu_count() or 1))
    async with AsyncExitStack() as stack:
        # Every core trains: a second thread of an embedding waits for a core longer than it helps.
        stack.enter_context(threadpool_limits(1, user_api="blas"))
        client = _client(settings, campaign)
        stack.push_async_callback(client.close)
        opened = await open_sandbox(
            settings.sandbox.backend,
            trusted_source="grammar" if brief.model == "designer" else "model",
            workers=workers,
            docker=docker_settings(settings.sandbox),
        )
        stack.push_async_callback(opened.close)
        sandbox = RetryingSandbox(opened, on_wait=lambda text: on_event(Notice(text=text)))
        on_event(Notice(text=f"Candidates run in the {sandbox.name} sandbox."))
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
            models={m.name: client for m in MEMBERS},
            signatures={m.name: signature(client) for m in MEMBERS},
            prices=_prices(settings, brief.model),
            operators_of=operators_of,
            inbox=inbox,
            approvals=Approvals(
                settings.campaign.approve,
                inbox,
                on_event,
                partial(archive.say, campaign.id),
                timeout=settings.campaign.approval_seconds,
            ),
            usage=Usage(tokens, cost),
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
                recollections=conversation.recollections,
                recollection_tokens=conversation.recollection_tokens,
                memory=settings.memory.kinds,
            ),
            workers=workers,
            bench=asyncio.Semaphore(workers),
            environment=_environment(sandbox.name),
        )


def _check_model(settings: Settings) -> None:
    from move37.agents.models import parse
    from move37.agents.models.price import price_of

    model = settings.models
    parse(model.model)
    if settings.campaign.max_cost is not None and price_of(model.model, base_url=model.base_url) is None:
        raise BadInput(f"no price is known for {model.model}: --max-cost cannot be kept; use --max-tokens instead")
    if model.model != "designer":  # a missing key or recording leaves no empty campaign behind
        _open_model(settings, model.model, seed=settings.campaign.seed, base_url=None)


def _client(settings: Settings, campaign: Campaign) -> ChatCompletionClient:
    """The campaign's model; what it answers is recorded, so that `replay:FILE` can repeat the run."""
    from move37.agents.models.replay import Recorder

    client = _open_model(
        settings, campaign.brief.model, seed=campaign.brief.seed, base_url=campaign.facts.get("base_url")
    )
    if campaign.brief.model.startswith("replay:"):
        return client
    folder = settings.home / "recordings"
    folder.mkdir(parents=True, exist_ok=True)
    return Recorder(client, folder / f"c{campaign.id}.jsonl")


def _open_model(settings: Settings, uri: str, *, seed: int, base_url: str | None) -> ChatCompletionClient:
    """The model under the person's settings; `base_url` is used where they name none. Raises `BadModel`."""
    from move37.agents.models import open_model, parse

    models = settings.models
    provider = parse(uri).provider
    key = {"openai": models.openai_api_key, "anthropic": models.anthropic_api_key}.get(provider)
    address = models.ollama_host if provider == "ollama" and models.base_url is None else models.base_url
    return open_model(
        uri,
        base_url=address or base_url,
        api_key=key,
        seed=seed,
        reply_tokens=models.reply_tokens,
        reply_seconds=models.reply_seconds,
    )


def _prices(settings: Settings, model: str) -> Callable[[str, int, int], float]:
    from move37.agents.models.price import FREE, price_of

    price = price_of(model, base_url=settings.models.base_url) or FREE
    return lambda role, prompt, completion: (prompt * price.prompt + completion * price.completion) / 1e6


async def _load_papers(memory: Memory, on_event: OnEvent) -> None:
    from move37.agents.events import Notice
    from move37.memory.errors import MemoryFault

    try:
        if added := await memory.load_builtin():
            on_event(Notice(text=f"{added} insights from papers were put into memory."))
    except MemoryFault as error:
        on_event(Notice(text=f"The campaign goes on without the papers: {error}"))


def _task(settings: Settings, name: str, corpus: Path | None) -> Task:
    return open_task(name, cache=settings.home / "cache", corpus=corpus)


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
        "shortened": list(schedule.shortened),
        "schedule": encode(schedule),
        "versions": _versions(),
        "base_url": settings.models.base_url,
        "task_digest": task.digest,
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
