"""Everything that a cycle needs around it, built by app/surroundings.py and used by the stages. No logic here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from move37.agents.approval import Approvals
from move37.agents.budget import Budget, CampaignUsage
from move37.agents.clock import Clock
from move37.agents.events import OnEvent
from move37.agents.inbox import Inbox
from move37.agents.limits import ConversationLimits
from move37.agents.research_memory import ResearchMemory
from move37.agents.roles import Scientist
from move37.lab.archive.store import Archive, Campaign
from move37.lab.tasks.task import Schedule, Task
from move37.memory.records import MEMORY_KINDS, MemoryKind
from move37.sandbox.sandbox import Sandbox


@dataclass(slots=True, kw_only=True)
class CampaignContext:
    """What all stages of one campaign share. Only limits change while it runs (`agents/extending.py`)."""

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
    recalled: Sequence[MemoryKind] = MEMORY_KINDS  # which kinds of memory's items a conversation is given
    workers: int = 2  # gates and trainings at once
    places: int | None = None  # experiments under way at once, those that talk as well; None: as many as train
    job_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))  # for gates and trainings
    environment: Mapping[str, str] = field(default_factory=dict)
