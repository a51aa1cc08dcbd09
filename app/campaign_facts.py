"""What a campaign is recorded with: its brief, its task's record, versions and machine."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Mapping
from dataclasses import fields

from move37.app import places
from move37.app.exits import BadInput
from move37.app.settings import CampaignSettings, Settings
from move37.lab import machine
from move37.lab.archive.codec import encode
from move37.lab.archive.reader import IDENTITY
from move37.lab.records import Brief
from move37.lab.scale import FACT, as_fact
from move37.lab.tasks.task import Schedule, Task, left_out_of

WATCHED = ("approve", "approval_timeout", "notify", "workers")


def facts_of(task: Task, schedule: Schedule, settings: Settings) -> Mapping[str, object]:
    """What is stored with a campaign when it begins."""
    return {
        IDENTITY: secrets.token_hex(8),
        "metric": encode(task.metric),
        "caveat": task.caveat,
        "shortened": list(schedule.shortened),
        "schedule": encode(schedule),
        "versions": _versions(),
        "base_url": settings.models.base_url,
        **watched(settings),
        "task_digest": task.digest,
        FACT: as_fact(getattr(task, "scale", None)),
        places.DEVICE: getattr(task, "device", "cpu"),
        "corpus_left_out": list(left_out_of(task)),
    }


def watched(settings: Settings) -> Mapping[str, object]:
    """How the user takes part and how much runs at once: what resuming keeps, and the brief does not hold."""
    return {name: getattr(settings.campaign, name) for name in WATCHED}


def environment_of(sandbox: str) -> dict[str, str]:
    """Versions and machine, stored with every experiment."""
    return _versions() | {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": machine.kind(),
        "cores": str(os.cpu_count() or 1),
        "sandbox": sandbox,
    }


def _versions() -> dict[str, str]:
    names = ("move37", "torch", "autogen-agentchat", "qdrant-edge-py", "sentence-transformers", "numpy", "sympy")
    return {name: machine.version_of(name) or machine.ABSENT for name in names}


def brief_of(settings: Settings, schedule: Schedule, text: str) -> Brief:
    """The brief of a new campaign."""
    wanted = settings.campaign
    named_alike = {f.name: getattr(wanted, f.name) for f in fields(Brief) if f.name in CampaignSettings.model_fields}
    different = {
        "text": text,
        "budget": wanted.budget or schedule.candidates,
        "max_seconds": wanted.max_time,
        "model": settings.models.model,
        "corpus": str(wanted.corpus) if wanted.corpus else None,
    }
    return Brief(**named_alike | different)


def direction_of(settings: Settings) -> str:
    """The user's research direction. Raises `BadInput`."""
    path = settings.campaign.brief
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8 text"
        raise BadInput(f"--brief {path} cannot be read ({why}): give a Markdown file") from error
