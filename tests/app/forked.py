"""`move37` as a process of its own, forked off one that has imported it: the start of an interpreter is spared (.7 s).

Streams, folder, environment, signals and exit are real, as is everything that the command does. What a start alone
shows (encodings, closed streams, no import too many) is tested by starting an interpreter.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from move37.app.__main__ import run

PATIENCE = 300.0  # seconds
ROOT = Path(__file__).parents[2]


def serve(channel: socket.socket) -> int:
    """Fork once a request; in the child, the status to leave with."""
    import move37.app.running.request
    import move37.app.settings
    import move37.sandbox.process.backend  # noqa: F401

    while True:
        request, streams, _, _ = socket.recv_fds(channel, 1 << 20, 3)
        if not request:
            return 0
        child = os.fork()
        if child == 0:
            channel.close()
            return _asked(json.loads(request), streams)
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        channel.send(str(os.waitstatus_to_exitcode(status)).encode())


def _asked(request: Mapping[str, object], streams: Sequence[int]) -> int:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(str(request["cwd"]))
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload]
    sys.argv = ["move37", *request["arguments"]]  # type: ignore[misc]
    return run(sys.argv[1:])


@cache
def _server() -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE)
    with theirs:
        command = [sys.executable, "-m", "tests.app.forked", str(theirs.fileno())]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
        quiet = subprocess.DEVNULL  # and no terminal: buffered like a pipe
        server = subprocess.Popen(
            command, cwd=ROOT, env=environment, pass_fds=[theirs.fileno()], stdin=quiet, stdout=quiet, stderr=quiet
        )
    return server, ours


def forked(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: bytes = b"", stdout: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    """`move37 ARGUMENTS`, with `stdin` from a pipe; its output goes to the descriptor, if one is given."""
    _, channel = _server()
    request = json.dumps({"arguments": arguments, "cwd": str(cwd), "env": dict(env)}).encode()
    end, begin = os.pipe()
    feeder = threading.Thread(target=_feed, args=(begin, stdin))
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        socket.send_fds(channel, [request], [end, out.fileno() if stdout is None else stdout, err.fileno()])
        os.close(end)
        feeder.start()
        status = int(channel.recv(16))
        feeder.join()
        out.seek(0), err.seek(0)
        return subprocess.CompletedProcess(("move37", *arguments), status, out.read(), err.read())


def _feed(pipe: int, content: bytes) -> None:
    try:
        with os.fdopen(pipe, "wb") as stream:
            stream.write(content)
    except BrokenPipeError:  # it was not read, which a command may do
        pass


if __name__ == "__main__":
    sys.exit(serve(socket.socket(fileno=int(sys.argv[1]))))
