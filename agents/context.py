"""Everything that a cycle needs around it, built by app/surroundings.py and used by the stages. No logic here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from move37.agents.approval import Approvals
from move37.agents.budget import Budget, CampaignUsage
from move37.agents.clock import Clock
from move37.agents.events import OnEvent
from move37.agents.inbox import Inbox
from move37.agents.research_memory import ResearchMemory
from move37.agents.roles import Scientist
from move37.lab.archive.store import Archive, Campaign
from move37.lab.tasks.task import Schedule, Task
from move37.sandbox.sandbox import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationLimits:
    """The limits of the conversation; settings."""

    negotiation_rounds: int = 2  # objections that the Researcher may answer
    debug_attempts: int = 3
    ideas: int = 3  # hypotheses at once, of a language model
    context_tokens: int | None = None  # of one role's context; None: by the model
    plans: bool = False  # a language model may propose a plan of the grammar in place of the Engineer's file
    reflect: bool = True  # the principles are revised after every generation
    reflect_every: int = 4  # and within it, when so many more of its experiments have ended; 0: never
    refusals_tried: float = 0.1  # share of what the Critic refuses that is tried all the same, to measure the Critic
    recollections: int = 6
    recollection_tokens: int = 2400
    memory: tuple[Literal["cognition", "analysis", "principle"], ...] = (
        "cognition",
        "analysis",
        "principle",
    )  # which kinds are recalled


@dataclass(slots=True, kw_only=True)
class CampaignContext:
    """One campaign's surroundings. Limits may change while it runs (`agents/extending.py`); nothing else does."""

    archive: Archive
    record: Campaign
    task: Task
    schedule: Schedule
    sandbox: Sandbox
    memory: ResearchMemory
    scientists: Mapping[str, Scientist]  # role -> who fills it
    prices: Callable[[str, int, int, int], float]  # (role, prompt, completion, cached prompt tokens) -> US dollars
    operators_of: Callable[[str], Sequence[str]]  # source -> operators of the grammar that it uses
    inbox: Inbox
    approvals: Approvals
    usage: CampaignUsage
    budget: Budget
    on_event: OnEvent
    clock: Clock
    workdir: Path  # checkpoints
    limits: ConversationLimits = field(default_factory=ConversationLimits)
    workers: int = 2  # experiments that run at once
    talking: int = 0  # further ones that may talk meanwhile, without a place at the bench
    bench: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))  # one place a worker: gates, rungs
    environment: Mapping[str, str] = field(default_factory=dict)
