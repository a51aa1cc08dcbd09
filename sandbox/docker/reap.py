"""Nothing stays behind: which containers on this machine belong to processes that have ended, and their removal.

Three nets, each for what the one before misses: PID 1 of a member ends when its standard input closes, and the daemon
removes it (`AutoRemove`); `atexit` in `backend`; and the sweep here, at every start, for what a daemon that was itself
killed left over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from sandbox.docker.engine import Engine
from sandbox.docker.isolation import OWNER_LABEL, ROLE_LABEL
from sandbox.owner import Owner, is_dead, parse

log = structlog.get_logger()


def orphans(containers: Iterable[Mapping[str, Any]], dead: Callable[[Owner], bool] = is_dead) -> tuple[str, ...]:
    """Ids of the members whose owner has ended. Pure but for `dead`.

    A label that cannot be read is nobody's; a container without our label is never touched.
    """
    found = []
    for container in containers:
        labels = container.get("Labels") or {}
        if ROLE_LABEL not in labels:
            continue
        owner = parse(labels.get(OWNER_LABEL, ""))
        if owner is None or dead(owner):
            found.append(str(container["Id"]))
    return tuple(found)


async def sweep(engine: Engine) -> int:
    """Remove every member whose owner has ended; how many there were."""
    found = orphans(await engine.containers((ROLE_LABEL,)))
    for container in found:
        await engine.remove(container)
        log.info("orphan_removed", container=container[:12])
    return len(found)


async def remove_all(engine: Engine) -> int:
    """Remove every member on this machine, whoever owns it; for `move37 sandbox clean --all`."""
    found = [str(container["Id"]) for container in await engine.containers((ROLE_LABEL,))]
    for container in found:
        await engine.remove(container)
    return len(found)
