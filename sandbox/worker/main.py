"""PID 1 of a container: imports torch once, then runs one job after another, each in a forked child.

It is started as root with four capabilities, and becomes the supervisor's user before it imports anything.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path[0] = str(Path(__file__).absolute().parents[3])

from move37.sandbox.worker import identity  # noqa: E402
from move37.sandbox.worker.cleaning import Leftover  # noqa: E402
from move37.sandbox.worker.container import ContainerIsolation  # noqa: E402
from move37.sandbox.worker.jobs import serve  # noqa: E402
from move37.sandbox.worker.warm_up import forget_ourselves, hide, warm_up  # noqa: E402
from move37.sandbox.worker.wire import take_channel  # noqa: E402

LEFTOVER = 70  # exit status: a trace of a job could not be removed


def main(arguments: list[str]) -> None:
    os.umask(0o022)  # whatever the daemon's is: the job is another user, and reads what we write for it
    wire = take_channel()
    forget_ourselves()
    if os.getuid() == 0 and os.getpid() == 1:
        identity.leave_root()
    scratch = Path(arguments[0] if arguments else tempfile.gettempdir())
    hide()
    greeting = warm_up(scratch / "job", compiler=False)
    try:
        isolation = ContainerIsolation(scratch)
        wire.tell(b"R", **greeting, report={})
        serve(wire, isolation)
    except Leftover as leftover:
        sys.stderr.write(f"{leftover}\n")
        sys.stderr.flush()
        os._exit(LEFTOVER)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
