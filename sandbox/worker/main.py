"""PID 1 of a container: imports torch once, then runs one job after another, each in a forked child."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path[0] = str(Path(__file__).absolute().parents[3])

from move37.sandbox.worker.container import ContainerIsolation  # noqa: E402
from move37.sandbox.worker.jobs import serve  # noqa: E402
from move37.sandbox.worker.warm_up import forget_ourselves, hide, warm_up  # noqa: E402
from move37.sandbox.worker.wire import take_channel  # noqa: E402


def main(arguments: list[str]) -> None:
    wire = take_channel()
    forget_ourselves()
    scratch = Path(arguments[0] if arguments else tempfile.gettempdir())
    hide()
    greeting = warm_up(scratch / "job")
    isolation = ContainerIsolation(scratch)
    wire.tell(b"R", **greeting, report={})
    serve(wire, isolation)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
