"""Nothing stays behind: which containers on this machine belong to processes that have ended, and their removal.

Three nets, each for what the one before misses: PID 1 of a container ends when its standard input closes, and the
daemon removes it (`AutoRemove`); `atexit` in `backend`; and the sweep here, at every start, for what a
daemon that was itself killed left over.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import structlog

from move37.sandbox.docker.confinement import OWNER_LABEL, ROLE_LABEL
from move37.sandbox.docker.engine import Engine
from move37.sandbox.errors import SandboxBroken
from move37.sandbox.process_identity import is_dead, parse

log = structlog.get_logger()


def orphans(containers: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names of the containers whose owner has ended.

    A label that cannot be read counts as one whose owner has ended; a container without our label is never touched.
    """
    found = []
    for container in containers:
        labels = container.get("Labels") or {}
        if ROLE_LABEL not in labels:
            continue
        owner = parse(labels.get(OWNER_LABEL, ""))
        if owner is None or is_dead(owner):
            found.append(name_of(container))
    return tuple(found)


def name_of(container: Mapping[str, Any]) -> str:
    """The container's name as the listing gives it, without its slash."""
    return str(container["Names"][0]).lstrip("/")


async def sweep(engine: Engine) -> int:
    """Remove every container whose owner has ended; how many went. One that the daemon cannot remove is no reason to
    run nothing."""
    removed = 0
    for container in orphans(await engine.containers((ROLE_LABEL,))):
        try:
            await engine.remove(container)
        except SandboxBroken as error:
            log.warning("container_not_removed", container=container, error=str(error))
        else:
            removed += 1
            log.info("orphan_removed", container=container)
    return removed


async def remove_all(engine: Engine) -> int:
    """Remove every container on this machine, whoever owns it; for `move37 sandbox clean --all`."""
    found = [name_of(container) for container in await engine.containers((ROLE_LABEL,))]
    for container in found:
        await engine.remove(container)
    return len(found)


async def remove_images(engine: Engine) -> int:
    """Remove our images and the leftovers of their builds; how many there were."""
    found = await engine.images_of_ours()
    for image in found:
        await engine.remove_image(image)
    return len(found)


def remove_wheels(cache: Path) -> None:
    """Remove every folder of wheels that a build kept there; what else lies in `cache`, models too, is not ours."""
    for folder in cache.glob("wheels-*"):
        shutil.rmtree(folder, ignore_errors=True)
