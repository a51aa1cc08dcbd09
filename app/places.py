"""Where a task's trainings take place: settings -> scale and device -> the opened task, for every command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from move37.app.choices import Device
from move37.app.exits import BadInput
from move37.app.settings import Settings
from move37.lab.scale import CPU, of_facts
from move37.lab.tasks import open_task
from move37.lab.tasks.registry import kind_of
from move37.lab.tasks.task import ScaledTask
from move37.sandbox import gpus

if TYPE_CHECKING:
    from move37.lab.archive.store import Campaign
    from move37.lab.tasks.task import Task

DEVICE = "device"  # the fact of a campaign that says what its trainings lease


def opened(settings: Settings, name: str | None = None, corpus: Path | None = None) -> Task:
    """The settings' task at their scale and device. Raises `BadInput`, `BadTask` and `BadCorpus`."""
    wanted = settings.campaign
    task = name or wanted.task
    device = device_of(settings) if kind_of(task).scales else wanted.device.replace("auto", "cpu")
    text = corpus if name else wanted.corpus
    return open_task(task, cache=settings.home / "cache", corpus=text, scale=wanted.scale, device=device)


def of_campaign(settings: Settings, campaign: Campaign) -> tuple[Settings, Task]:
    """Settings at a campaign's scale and device, and its task there at its rate.

    Raises as `at_campaign` and `opened`.
    """
    brief, found = campaign.brief, at_campaign(settings, campaign)
    task = opened(found, brief.task, Path(brief.corpus) if brief.corpus else None)
    rate = campaign.facts.get("schedule", {}).get("learning_rate")
    if isinstance(task, ScaledTask) and rate is not None:  # a calibration since then may have found another
        task = task.at_rate(float(rate))
    return found, task


def at_campaign(settings: Settings, campaign: Campaign) -> Settings:
    """Settings at the campaign's own scale and kind of device. Raises `BadInput` where flags ask for another."""
    began, asked = of_facts(campaign.facts), settings.campaign.scale
    if "scale" in settings.flags and asked.place != began.place:
        raise BadInput(
            f"campaign {campaign.id} runs at scale {began.words}, and numbers of another one do not compare: leave "
            f"--scale out to go on, or start a new campaign at {asked.name} with `move37 run --scale {asked.name}`"
        )
    device = str(campaign.facts.get(DEVICE, "cpu"))
    kind: Device = "cpu" if device == "cpu" else "cuda"
    if "device" in settings.flags and settings.campaign.device not in ("auto", kind):
        raise BadInput(f"campaign {campaign.id} trains on {device}: leave --device out, numbers of two do not compare")
    found = replace(settings, campaign=settings.campaign.changed(scale=began, device=kind))
    if kind == "cuda" and device_of(found) != device:
        raise BadInput(f"campaign {campaign.id} trains on {device}, this is {device_of(found)}: numbers do not compare")
    return found


def device_of(settings: Settings) -> str:
    """ "cpu", or "cuda" and the card's name. Raises `BadInput` where a GPU is asked for and none is here."""
    wanted, scale = settings.campaign.device, settings.campaign.scale
    if wanted == "cpu" or (wanted == "auto" and scale.place == CPU.place):
        return "cpu"
    found = gpus.list_gpus()
    if not found:
        if wanted == "cuda":
            raise BadInput("--device cuda: NVIDIA's driver shows no GPU here; leave it out, or see `move37 doctor`")
        return "cpu"
    return f"cuda {found[0].name}"
