"""Every room's error tree -> the exit statuses of the command, in one place.

    0  done
    1  the answer is no (a gate failed)
    2  wrong use or bad input
    3  an environment fault (no daemon, no GPU, memory server gone, disk full)
    130  interrupted by Ctrl-C

Errors are found by the name of a class in their ancestry, so that mapping one imports no room.
Not covered: `move37 exec` passes its program's own status and knows 124, 125 and 137 itself.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from enum import IntEnum


class Exit(IntEnum):
    """What the shell sees."""

    DONE = 0
    NO = 1
    WRONG_USE = 2
    ENVIRONMENT = 3
    INTERRUPTED = 130


class BadInput(Exception):
    """What the user gave cannot be used; the message is one line that says what to do."""


class EnvironmentFault(Exception):
    """This machine cannot do it now; the message is one line that says what to do."""


# The deepest class that is listed decides, so that a branch may differ from its tree.
STATUS: Mapping[str, Exit] = {
    "move37.app.exits.BadInput": Exit.WRONG_USE,
    "move37.app.exits.EnvironmentFault": Exit.ENVIRONMENT,
    "move37.lab.errors.LabError": Exit.ENVIRONMENT,
    "move37.lab.errors.BadTask": Exit.WRONG_USE,
    "move37.lab.errors.BadCorpus": Exit.WRONG_USE,
    "move37.lab.errors.BadCandidate": Exit.WRONG_USE,
    "move37.lab.errors.ArchiveError": Exit.WRONG_USE,
    "move37.lab.errors.ArchiveBusy": Exit.ENVIRONMENT,
    "move37.lab.errors.ArchiveCorrupt": Exit.ENVIRONMENT,
    "move37.lab.errors.ArchiveUnwritable": Exit.ENVIRONMENT,
    "move37.sandbox.errors.SandboxError": Exit.ENVIRONMENT,
    "move37.sandbox.errors.RefusedRequest": Exit.WRONG_USE,
    "move37.memory.errors.MemoryFault": Exit.ENVIRONMENT,
    "move37.memory.errors.InvalidInput": Exit.WRONG_USE,
    "move37.memory.errors.NotFound": Exit.WRONG_USE,
    "move37.memory.errors.Mismatch": Exit.WRONG_USE,
    "move37.agents.errors.AgentError": Exit.ENVIRONMENT,
    "move37.agents.errors.BadModel": Exit.WRONG_USE,
    "move37.agents.errors.NotConfirmable": Exit.WRONG_USE,
    "move37.agents.models.local.fetch.FetchFailed": Exit.ENVIRONMENT,
    "move37.agents.external.turn_files.NoSuchTurn": Exit.WRONG_USE,
    "move37.agents.external.turn_files.BadAnswer": Exit.WRONG_USE,
}


FULL = (errno.ENOSPC, errno.EDQUOT)


def status_of(error: BaseException) -> Exit | None:
    """The status for an error of one of our trees; None for a fault that nobody has translated.

    Whatever could not be written because the disk is full is the machine's fault, under any name.
    """
    for kind in type(error).__mro__:
        known = STATUS.get(f"{kind.__module__}.{kind.__qualname__}")
        if known is not None:
            return Exit.ENVIRONMENT if _is_full_disk(error) else known
    return None


def _is_full_disk(error: BaseException | None) -> bool:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # an error may have been raised from itself
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        seen.add(id(error))
        error = error.__cause__
    return False
