"""The zygote: imports torch once, then runs one job after another, each in a forked child.

This file and `program.py` beside it need the standard library (and torch, where there is torch) and nothing of ours:
they are copied side by side into the image, where `python worker.py` is PID 1 with its standard input and output
attached, and `sandbox/process/` builds its own zygote from the same parts. `sandbox/channel.py` is the other end.

Read in this order: the wire, `Seat` (a child forked ahead of its job), `attend` (what happens while it runs),
`gather` (what it left in $MOVE37_OUT), `serve` (the loop), `Contained` (how a container holds a job), `main`.

The wire. A frame is one byte of kind, four bytes of length (big endian), then the payload (<= 16 MiB).
    host -> worker   J  {"id", "argv", "env", "collect", "writable", "limits": {...}, "files": [[path, size], ...]}
                     D  content of those files, in order, cut anywhere
                     C  {"id"}: kill this job; ignored when it has ended
    worker -> host   R  {"pid", "python", "torch", "warm_seconds", "report"}: once, when warm
                     S  {"id"}: the program starts now
                     1  2  bytes of stdout, stderr
                     E  {"id", "exit_code", "signal", "reason", "out_of_memory", "wall_seconds", "cpu_seconds",
                         "peak_memory_bytes", "truncated", "refused", "broken", "files": [[name, size], ...]}
                         reason: null, "timeout", "cancelled" or "memory"; broken: why the program never started
                     D  content of those files, in order, cut anywhere
The worker serves one job at a time and exits when its standard input ends. Names and sizes of results are judged
again by the host (`sandbox/collect.py`); what is written here is what a program beside the candidate can promise.

Not covered: Windows; a second channel for control; jobs that read standard input (theirs is /dev/null).
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fnmatch
import gc
import json
import logging
import multiprocessing.util
import os
import resource
import select
import signal
import socket
import stat
import struct
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

if __package__:
    from move37.sandbox.image import program
else:  # in the image the two files lie side by side
    import program  # type: ignore[import-not-found,no-redef]

Spec = dict[str, Any]  # one job, as the J frame carries it

HEADER = struct.Struct(">cI")
MAX_FRAME = 16 * 1024 * 1024
CHUNK = 64 * 1024
PAGE = 4096
MAX_RESULT_FILES = 4096
LINUX = sys.platform == "linux"
QUIET_SECONDS = 0.25  # without a job before a worker tidies its memory


class Gone(Exception):
    """The other end of the channel has closed."""


class Wire:
    """Frames over two file descriptors, blocking."""

    def __init__(self, reader: int, writer: int) -> None:
        self.reader = reader
        self.writer = writer

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            part = os.read(self.reader, min(size, CHUNK * 16))
            if not part:
                raise Gone
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def receive(self) -> tuple[bytes, bytes]:
        kind, length = HEADER.unpack(self._exactly(HEADER.size))
        if length > MAX_FRAME:
            raise Gone
        return kind, self._exactly(length)

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        data = memoryview(HEADER.pack(kind, len(payload)) + payload)
        try:
            while data:
                data = data[os.write(self.writer, data) :]
        except BrokenPipeError as error:
            raise Gone from error

    def tell(self, kind: bytes, **fields: Any) -> None:
        self.send(kind, json.dumps(fields).encode())


class Seat(Protocol):
    """A child that waits for its job. `wake` becomes readable when it may have ended."""

    control: socket.socket  # takes the spec, gives back why the program could not start
    stdout: int
    stderr: int
    wake: int

    def poll(self) -> tuple[int, Any] | None:
        """Wait status and resource usage, once the child has ended."""
        ...


class Cage(Protocol):
    """What holds a job: a container, or namespaces."""

    root: Path  # holds work/ (the job's cwd), out/, tmp/, home/

    def take(self, limits: Spec) -> Seat:
        """A fresh root and a seat, with these limits on both."""
        ...

    def give(self, folder: Path) -> None:
        """Let the job own everything below `folder`."""
        ...

    def watch(self) -> str | None:
        """Asked every 50 ms; "memory" ends the job."""
        ...

    def sweep(self, seat: Seat) -> tuple[int, Any]:
        """Kill whatever is left, the program included, and give its wait status and resource usage."""
        ...

    def usage(self) -> Spec:
        """out_of_memory, and where the kernel counts it for all processes: cpu_seconds, peak_memory_bytes."""
        ...

    def clear(self) -> None:
        """Remove every trace of the job, and get ready for the next one."""
        ...

    def idle(self, reader: int) -> None:
        """Between jobs; to be left as soon as `reader` is readable."""
        ...


def send_spec(seat: Seat, spec: Spec) -> None:
    """Hand a waiting child its job."""
    data = json.dumps(spec).encode()
    seat.control.sendall(struct.pack(">I", len(data)) + data)


def trouble(seat: Seat) -> str | None:
    """Why the program could not start; None when it did. Only to be asked after the child has ended."""
    seat.control.setblocking(False)
    with contextlib.suppress(OSError):
        return seat.control.recv(4096).decode("utf-8", "replace") or None
    return None


class Attention:
    """Streams what a running job writes, until it ends, its time is over, or the host cancels it."""

    def __init__(self, wire: Wire, job: Spec, seat: Seat, cage: Cage) -> None:
        self.wire, self.job, self.seat, self.cage = wire, job, seat, cage
        self.room = int(job["limits"]["output_bytes"])
        self.truncated = False
        self.open = {seat.stdout: b"1", seat.stderr: b"2"}

    def run(self) -> str | None:
        """The reason why the job must end now; None when it ended by itself."""
        deadline = time.monotonic() + float(self.job["limits"]["wall_seconds"])
        while self.seat.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return "timeout"
            waiting = [*self.open, self.seat.wake, self.wire.reader]
            ready, _, _ = select.select(waiting, [], [], min(left, 0.05))
            for descriptor in ready:
                if descriptor == self.wire.reader and self._cancelled():
                    return "cancelled"
                if descriptor in self.open:
                    self.pass_on(descriptor)
            if reason := self.cage.watch():
                return reason
        return None

    def _cancelled(self) -> bool:
        kind, payload = self.wire.receive()
        if kind != b"C":
            raise Gone  # the host speaks nonsense: give up rather than guess
        return bool(json.loads(payload)["id"] == self.job["id"])

    def pass_on(self, descriptor: int) -> bool:
        """One read from a pipe of the job; what is over the limit is read and dropped, so the job never blocks."""
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return False
        if not data:
            del self.open[descriptor]
            return False
        kept = data[: self.room]
        self.truncated |= len(kept) < len(data)
        self.room -= len(kept)
        if kept:
            self.wire.send(self.open[descriptor], kept)
        return True

    def rest(self) -> None:
        """What still stands in the pipes once everybody is dead; survivors that we cannot kill are not awaited."""
        for descriptor in list(self.open):
            os.set_blocking(descriptor, False)
            while descriptor in self.open and self.pass_on(descriptor):
                pass


class Refused(Exception):
    """A result broke a rule."""


def walk(folder: int, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, int, os.stat_result]]:
    """(name, descriptor of its folder, stat) of everything below a folder, never through a link."""
    if depth > 16:
        raise Refused("folders are nested too deeply")
    with os.scandir(folder) as entries:
        found = sorted(entry.name for entry in entries)
    for name in found:
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                yield from walk(inner, f"{prefix}{name}/", depth + 1)
            finally:
                os.close(inner)
        else:
            yield prefix + name, folder, info


Result = tuple[str, int, int]  # name, size, open descriptor


def gather(root: Path, job: Spec) -> list[Result]:
    """The results that a job asked to be brought back. Raises `Refused` with a sentence."""
    cap = int(job["limits"]["result_bytes"])
    sent = set() if job["writable"] else {name for name, _ in job["files"]}
    here = [pattern.removeprefix("./") for pattern in job["collect"] if pattern.startswith("./")]
    found: dict[str, Result] = {}
    try:
        gather_folder(root / "out", [p for p in job["collect"] if not p.startswith("./")], set(), cap, found)
        gather_folder(root / "work", here, sent, cap, found)
    except (Refused, OSError) as error:
        for _, _, descriptor in found.values():
            os.close(descriptor)
        raise error if isinstance(error, Refused) else Refused(f"the results cannot be read: {error}") from error
    return list(found.values())


def gather_folder(path: Path, wanted: list[str], skipped: set[str], cap: int, found: dict[str, Result]) -> None:
    """Open the files below `path` that match; one that is there already, by name, is kept."""
    if not wanted:
        return
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name, parent, info in walk(folder):
            if name in skipped or name in found or not any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted):
                continue
            check_result(name, info)
            if sum(size for _, size, _ in found.values()) + info.st_size > cap:
                raise Refused(f"the results are larger than {cap} bytes, at {name!a}")
            if len(found) == MAX_RESULT_FILES:
                raise Refused(f"there are more than {MAX_RESULT_FILES} results")
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            found[name] = name, info.st_size, os.open(name.rpartition("/")[2], flags, dir_fd=parent)
    finally:
        os.close(folder)


def check_result(name: str, info: os.stat_result) -> None:
    shown = ascii(name)
    if any(0xD800 <= ord(letter) < 0xE000 for letter in name):
        raise Refused(f"the name {shown} is not UTF-8")
    if not stat.S_ISREG(info.st_mode):
        raise Refused(f"the result {shown} is not a regular file")
    if info.st_nlink != 1:
        raise Refused(f"the result {shown} has a second name (hard link)")


def send_file(wire: Wire, descriptor: int, size: int) -> None:
    """Exactly `size` bytes, padded with zeros should the file have shrunk."""
    while size:
        part = os.read(descriptor, min(size, CHUNK * 4)) or b"\0" * min(size, CHUNK)
        wire.send(b"D", part)
        size -= len(part)


def receive_files(wire: Wire, job: Spec, cage: Cage) -> None:
    """Write the job's files below its folder: read-only, or its own. Raises `OSError`, with all of them taken in."""
    incoming = Incoming(wire)
    work = cage.root / "work"
    mode = 0o644 if job["writable"] else 0o444
    try:
        for name, size in job["files"]:
            target = work / name
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
            with open(descriptor, "wb", buffering=0) as stream:
                for part in incoming.take(size):
                    while part:
                        part = part[stream.write(part) :]
    except OSError:
        for _ in incoming.take(sum(size for _, size in job["files"]) - incoming.taken):
            pass
        raise
    if job["writable"]:
        cage.give(work)


class Incoming:
    """The content of all files of a job, however it was cut into frames."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._rest = b""
        self.taken = 0

    def take(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._rest:
                kind, self._rest = self._wire.receive()
                if kind != b"D":
                    raise Gone
            part, self._rest = self._rest[:size], self._rest[size:]
            size -= len(part)
            self.taken += len(part)
            yield part


def tell_broken(wire: Wire, job: Spec, why: str) -> None:
    """The E frame of a job whose program never started."""
    nothing: Spec = {"exit_code": 0, "signal": 0, "reason": None, "out_of_memory": False, "truncated": False}
    nothing |= {"wall_seconds": 0.0, "cpu_seconds": 0.0, "peak_memory_bytes": 0, "refused": None, "files": []}
    wire.tell(b"E", id=job["id"], broken=why, **nothing)


def cpu_of(usage: Any) -> float:
    return float(usage.ru_utime + usage.ru_stime)


def peak_of(usage: Any) -> int:
    return int(usage.ru_maxrss) * (1024 if LINUX else 1)


def run_job(wire: Wire, job: Spec, cage: Cage) -> None:
    """One job from its J frame to the last byte of its results."""
    # Input does not count as written by the job; a file takes whole pages, and a folder none.
    job["limits"]["input_bytes"] = sum(-(-size // PAGE) * PAGE for _, size in job["files"])
    seat = cage.take(job["limits"])
    try:
        try:
            receive_files(wire, job, cage)
        except OSError as error:
            cage.sweep(seat)
            tell_broken(wire, job, f"its files cannot be written: {error.strerror}")
            return
        wire.tell(b"S", id=job["id"])
        attention = Attention(wire, job, seat, cage)
        started = time.monotonic()
        tops = [] if job["writable"] else sorted({name.split("/")[0] for name, _ in job["files"]})
        send_spec(seat, {key: job[key] for key in ("argv", "env", "limits")} | {"root": str(cage.root), "tops": tops})
        try:
            reason = attention.run()
        except Gone:
            cage.sweep(seat)
            raise
        wall = time.monotonic() - started
        status, usage = cage.sweep(seat)
        attention.rest()
        report_end(wire, job, cage, reason, status, usage, wall, attention.truncated, trouble(seat))
    finally:
        seat.control.close()
        os.close(seat.stdout)
        os.close(seat.stderr)
        cage.clear()


def report_end(
    wire: Wire,
    job: Spec,
    cage: Cage,
    reason: str | None,
    status: int,
    usage: Any,
    wall: float,
    truncated: bool,
    broken: str | None,
) -> None:
    """The E frame and the results behind it."""
    refused: str | None = None
    results: list[Result] = []
    try:
        results = gather(cage.root, job)
    except Refused as error:
        refused = str(error)
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    counted = {"cpu_seconds": cpu_of(usage), "peak_memory_bytes": peak_of(usage), "out_of_memory": False}
    counted |= cage.usage()
    wire.tell(
        b"E",
        id=job["id"],
        exit_code=0 if killed else os.WEXITSTATUS(status),
        signal=killed,
        reason=reason,
        wall_seconds=wall,
        truncated=truncated,
        refused=refused,
        broken=broken,
        files=[[name, size] for name, size, _ in results],
        **counted,
    )
    for _, size, descriptor in results:
        send_file(wire, descriptor, size)
        os.close(descriptor)


def serve(wire: Wire, cage: Cage) -> None:
    """Jobs, one after another, until the host goes."""
    with contextlib.suppress(Gone):
        while True:
            cage.idle(wire.reader)
            kind, payload = wire.receive()
            if kind == b"J":
                run_job(wire, json.loads(payload), cage)


# How a container holds a job ------------------------------------------------------------------------------------


class ForkedSeat:
    """A child forked ahead, in whatever this process is confined to."""

    def __init__(self, wake: int) -> None:
        self.control, theirs = socket.socketpair()
        self.stdout, stdout = os.pipe()
        self.stderr, stderr = os.pipe()
        self.wake = wake
        self.pid = os.fork()
        if self.pid == 0:
            program.take_seat(theirs.fileno(), stdout, stderr, enter=lambda: None, confine=lambda spec: None)
        theirs.close()
        os.close(stdout)
        os.close(stderr)
        self._ended: tuple[int, Any] | None = None

    def poll(self, flags: int = os.WNOHANG) -> tuple[int, Any] | None:
        if self._ended is None:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wake, 4096)
            pid, status, usage = os.wait4(self.pid, flags)
            if pid:
                self._ended = status, usage
        return self._ended

    def abandon(self) -> None:
        """End a child that no job came for."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.control.close()
        os.close(self.stdout)
        os.close(self.stderr)


class Contained:
    """One job at a time inside a container that is ours alone: PID 1 forks, and afterwards kills everybody else."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.root = scratch / "job"
        self.wake, write = os.pipe()
        for descriptor in (self.wake, write):
            os.set_blocking(descriptor, False)
        # A handler, so that select wakes up; a forged SIGCHLD costs one turn of the loop and nothing else.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self.memory = ContainerMemory()
        self.spare: ForkedSeat | None = None
        self.hurry = Collapse()
        self.clear()

    def take(self, limits: Spec) -> ForkedSeat:
        seat, self.spare = self.spare or ForkedSeat(self.wake), None
        return seat

    def give(self, folder: Path) -> None:
        """They share one user already."""

    def watch(self) -> str | None:
        return None

    def sweep(self, seat: Seat) -> tuple[int, Any]:
        assert isinstance(seat, ForkedSeat)
        if os.getpid() == 1:
            while True:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(-1, signal.SIGKILL)
                seat.poll()
                try:
                    pid, status, usage = os.wait4(-1, 0)
                except ChildProcessError:
                    break
                if pid == seat.pid:
                    seat._ended = status, usage
        else:  # by hand, outside a container: only what stayed in the job's own session
            with contextlib.suppress(ProcessLookupError):
                os.killpg(seat.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(seat.pid, signal.SIGKILL)
        ended = seat.poll(0)
        assert ended is not None
        return ended

    def usage(self) -> Spec:
        return self.memory.usage()

    def clear(self) -> None:
        empty(str(self.root))
        for shared in {"/tmp", "/dev/shm", str(self.scratch)} if os.getpid() == 1 else set():
            empty(shared)
        for name in ("work", "out", "tmp", "home"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.hurry.a_little()
        self.spare = ForkedSeat(self.wake)

    def idle(self, reader: int) -> None:
        if self.hurry.done() or readable(reader, QUIET_SECONDS):
            return
        # The child shares the small pages: with it they would stand beside the huge ones.
        if self.spare is not None:
            self.spare.abandon()
            self.spare = None
        while not self.hurry.done() and not readable(reader, 0):
            self.hurry.some(1)
        self.spare = ForkedSeat(self.wake)


def readable(descriptor: int, seconds: float) -> bool:
    """Whether it is, or becomes so in time."""
    return bool(select.select([descriptor], [], [], seconds)[0])


def empty(path: str) -> None:
    """Remove what is below a folder, however deep; what belongs to somebody else stays.

    Not `rmtree`: a job can nest folders until its recursion, or the length of a path, ends. Here a folder's folders
    are moved up before it is removed.
    """
    with contextlib.suppress(OSError):
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            waiting = remove_files(top)
            number = 0
            while waiting:
                name = waiting.pop()
                with contextlib.suppress(OSError):
                    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
                    try:
                        os.chmod(folder, 0o700)
                        for inner in remove_files(folder):
                            number += 1
                            os.rename(inner, f"\x01{number}", src_dir_fd=folder, dst_dir_fd=top)
                            waiting.append(f"\x01{number}")
                    finally:
                        os.close(folder)
                    os.rmdir(name, dir_fd=top)
        finally:
            os.close(top)


def remove_files(folder: int) -> list[str]:
    """Remove all but folders; their names."""
    folders = []
    for name in os.listdir(folder):
        try:
            os.unlink(name, dir_fd=folder)
        except (IsADirectoryError, PermissionError):
            folders.append(name)
        except OSError:
            pass
    return folders


class ContainerMemory:
    """Whether the kernel killed for memory, as the container's own cgroup says; silent where it is not mounted."""

    FILES = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")

    def __init__(self) -> None:
        self._file = next((name for name in self.FILES if os.path.exists(name)), None)
        self.before = self._kills()

    def _kills(self) -> int:
        if self._file is not None:
            with contextlib.suppress(OSError), open(self._file) as stream:
                words = stream.read().split()
                return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else 0
        return 0

    def usage(self) -> Spec:
        """Since the job before: between two jobs nothing runs that could be killed."""
        before, self.before = self.before, self._kills()
        return {"out_of_memory": self.before > before}


class Collapse:
    """Turns the warm heap into huge pages when nobody waits, so that a fork copies far fewer page tables.

    Measured: a fork of the warm zygote takes 5 ms and the end of its child 7, afterwards 1 and 3. All of it costs
    0.4 s, which a single-use member must not pay. MADV_COLLAPSE needs Linux 6.1; elsewhere nothing happens.
    """

    HUGE = 2 * 1024 * 1024
    MADV_COLLAPSE = 25
    LEAST_PAGES = 448  # of the 512 in a region: what has never been touched would take memory from then on

    def __init__(self) -> None:
        self._left: list[int] | None = None
        self._forks = 0

    def _regions(self) -> list[int]:
        found: list[int] = []
        with contextlib.suppress(OSError):
            for line in Path("/proc/self/maps").read_text().splitlines():
                span, mode = line.split()[:2]
                if mode == "rw-p":
                    start, end = (int(part, 16) for part in span.split("-"))
                    found += range(-(-start // self.HUGE) * self.HUGE, end // self.HUGE * self.HUGE, self.HUGE)
        return [address for address in found if self._present(address) >= self.LEAST_PAGES]

    def _present(self, address: int) -> int:
        """Pages of a region that are in memory."""
        pages = (ctypes.c_ubyte * (self.HUGE // PAGE))()
        if program.libc().mincore(ctypes.c_void_p(address), ctypes.c_size_t(self.HUGE), pages):
            return 0
        return sum(page & 1 for page in pages)

    def done(self) -> bool:
        """Whether nothing is left to do."""
        return not LINUX or self._left == []

    def a_little(self) -> None:
        """Before a fork, for those who never have a quiet moment; nothing before the third job."""
        self._forks += 1
        if self._forks > 2:
            self.some(2)

    def some(self, count: int) -> None:
        """So many regions more; 3 ms each."""
        if self._left is None:
            self._left = self._regions()
        for address in self._left[-count:]:
            program.libc().madvise(ctypes.c_void_p(address), ctypes.c_size_t(self.HUGE), self.MADV_COLLAPSE)
        del self._left[-count:]


# Warming ---------------------------------------------------------------------------------------------------------

PRELOADED = ("numpy", "einops", "safetensors.torch")


def warm(root: Path, *, everything: bool = True) -> Spec:
    """Import torch and take one optimiser step on one thread, if `everything`; what the greeting says about it."""
    started = time.monotonic()
    # torch fixes the place of its compile cache while it is imported: the folder of a job, which goes with it.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = program.compile_cache(str(root))
    gc.disable()
    version = import_torch() if everything else None
    keep_endings_short()
    # Children collect only their own garbage, and copy fewer pages. Ours is 0.2 s to find, and gives back nothing.
    gc.freeze()
    gc.enable()
    gc.collect()  # of nothing: it empties the lists of free objects, which each child would do page by page
    if LINUX:
        with contextlib.suppress(AttributeError):  # musl has no such call
            program.libc().malloc_trim(0)
    return {
        "pid": os.getpid(),
        "python": sys.version.split()[0],
        "torch": version,
        "warm_seconds": round(time.monotonic() - started, 3),
    }


def import_torch() -> str | None:
    """Its version; None where there is none."""
    try:
        import torch
    except ImportError:
        return None
    # Before any operation: a child forked from a process that ever ran four threads hangs.
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    layer = torch.nn.Linear(2, 2)
    optimiser = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimiser.step()  # imports torch._dynamo, half a second that every training would pay
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            __import__(name)
    return str(torch.__version__)


def keep_endings_short() -> None:
    """Drop what libraries want done when the zygote ends: it never does, and each child would spend 80 ms on it."""
    atexit._clear()
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    # What a program itself may count on when it ends.
    atexit.register(logging.shutdown)
    atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
    atexit.register(multiprocessing.util._exit_function)  # type: ignore[attr-defined]
    if loading := sys.modules.get("torch.utils.data._utils"):
        atexit.register(loading._set_python_exit_flag)


def hide() -> None:
    """Keep this process out of its children's reach: no /proc/PID/mem, no ptrace, no death by Control-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # PID 1 ignores what it has no handler for; Python has one
    if LINUX:
        program.libc().prctl(program.PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def take_channel() -> Wire:
    """Move the channel away from descriptors 0 and 1, so that no child and no print can reach it."""
    wire = Wire(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    return wire


def main(arguments: list[str]) -> None:
    wire = take_channel()
    sys.path.pop(0)  # this folder: a job must not import us by accident
    scratch = Path(arguments[0] if arguments else tempfile.gettempdir())
    hide()
    greeting = warm(scratch / "job")
    cage = Contained(scratch)
    wire.tell(b"R", **greeting, report={})
    serve(wire, cage)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
