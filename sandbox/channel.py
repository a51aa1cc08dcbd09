"""The host's end of the worker's wire (drawn at the top of `sandbox/worker/wire.py`), without any input or output.

Bytes go in, frames and an `Outcome` come out, so that a pipe of a subprocess and an attached Docker socket share it:

    frames = Frames()
    greeting = read_greeting(payload)               # of the first frame, kind b"R"
    for data in encode_job(job): send(data)
    exchange = JobExchange(job, on_output=..., backend="process")
    while (outcome := exchange.feed(frames.feed(receive()))) is None: ...

Everything that arrives is foreign: lengths, names, sizes and order are checked, and a worker that breaks the rules
raises `SandboxBroken`. Not covered: time limits (the backend holds a clock of its own) and cancellation's effects.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from move37.sandbox import result_validation
from move37.sandbox.errors import DiskFull, SandboxBroken
from move37.sandbox.job import MIB, Job, OnOutput, Outcome, Status, Stream, lost_results
from move37.sandbox.text import harmless

HEADER = struct.Struct(">cI")
MAX_FRAME = 16 * 1024 * 1024
CHUNK = 1024 * 1024

TIMED_OUT = 124
OUT_OF_MEMORY = 137

Frame = tuple[bytes, bytes]  # kind, payload


def frame(kind: bytes, payload: bytes) -> bytes:
    if len(payload) > MAX_FRAME:
        raise SandboxBroken("The job's description is larger than 16 MiB: send fewer files.")
    return HEADER.pack(kind, len(payload)) + payload


def encode_job(job: Job) -> Iterator[bytes]:
    """The job as frames. Raises `ValueError` for a file name that would leave the job's folder."""
    for name in job.files:
        result_validation.check_name(name)
    contents = (job.stdin, *job.files.values())
    head = {
        "id": job.id,
        "argv": list(job.argv),
        "env": dict(job.env),
        "collect": list(job.collect),
        "writable": job.writable,
        "stdin": len(job.stdin),
        "limits": asdict(job.limits),
        "files": [[name, len(content), name in job.executables] for name, content in job.files.items()],
    }
    yield frame(b"J", json.dumps(head).encode())
    for content in contents:
        for at in range(0, len(content), CHUNK):
            yield frame(b"D", content[at : at + CHUNK])


def encode_cancel(job_id: str) -> bytes:
    return frame(b"C", json.dumps({"id": job_id}).encode())


class Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
        self._buffer += data
        found: list[Frame] = []
        at = 0
        while len(self._buffer) - at >= HEADER.size:
            kind, length = HEADER.unpack_from(self._buffer, at)
            if length > MAX_FRAME or kind not in b"RS12ED":
                raise SandboxBroken("The sandbox worker spoke nonsense; the job may be tried again.")
            end = at + HEADER.size + length
            if len(self._buffer) < end:
                break
            found.append((kind, bytes(self._buffer[at + HEADER.size : end])))
            at = end
        del self._buffer[:at]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What a warm worker says first."""

    pid: int  # as the worker sees it: 1 in a container
    python: str
    torch: str | None  # None: this interpreter has no torch
    warm_seconds: float
    report: dict[str, Any]  # what the process backend could put up; empty in a container


class _Ended(BaseModel):
    model_config = ConfigDict(strict=True)

    id: str
    exit_code: int = Field(ge=0, le=255)
    signal: int = Field(ge=0, le=127)
    reason: str | None
    out_of_memory: bool
    wall_seconds: float = Field(ge=0)
    cpu_seconds: float = Field(ge=0)
    peak_memory_bytes: int = Field(ge=0)
    truncated: bool
    refused: str | None
    broken: str | None
    left_out: list[tuple[str, str]] = Field(strict=False)
    left_out_count: int = Field(ge=0)
    files: list[tuple[str, int, bool]] = Field(strict=False)


def read_greeting(payload: bytes) -> Greeting:
    """Raises `SandboxBroken` when it is not one."""
    try:
        fields = json.loads(payload)
        return Greeting(**{name: fields[name] for name in Greeting.__slots__})
    except (ValueError, KeyError, TypeError) as error:
        raise SandboxBroken(f"The sandbox worker's greeting cannot be read ({error}).") from error


class JobExchange:
    """One job's exchange with a worker, from its J frame to its `Outcome`."""

    def __init__(
        self,
        job: Job,
        *,
        on_output: OnOutput | None = None,
        backend: str,
        image: str = "",
        memory_is_counted: bool = True,
    ) -> None:
        self.job = job
        self.started = False
        self._on_output = on_output
        self._backend = backend
        self._image = image
        self._memory_is_counted = memory_is_counted
        self._output: dict[Stream, list[bytes]] = {"stdout": [], "stderr": []}
        self._room = job.limits.output_bytes
        self._cut = False
        self._ended: _Ended | None = None
        self._results: list[tuple[str, int, bool]] = []
        self._content = bytearray()

    @property
    def announced_bytes(self) -> int | None:
        """Of all results together, once the program has ended."""
        return None if self._ended is None else sum(size for _, size, _ in self._results)

    def feed(self, frames: Iterable[Frame]) -> Outcome | None:
        """Take in frames; the outcome once the last byte of the results is here."""
        for kind, payload in frames:
            if kind == b"S":
                self.started = True
            elif kind in b"12" and self._ended is None:
                self._take_output("stdout" if kind == b"1" else "stderr", payload)
            elif kind == b"E" and self._ended is None:
                self._take_end(payload)
            elif kind == b"D" and self._ended is not None:
                self._content += payload
            else:
                raise SandboxBroken("The sandbox worker spoke out of turn; the job may be tried again.")
        if self._ended is None or len(self._content) < (self.announced_bytes or 0):
            return None
        return self._outcome(self._ended)

    def _take_output(self, stream: Stream, data: bytes) -> None:
        kept = data[: self._room]
        self._cut |= len(kept) < len(data)
        self._room -= len(kept)
        if kept:
            self._output[stream].append(kept)
            if self._on_output is not None:
                self._on_output(stream, kept)

    def _take_end(self, payload: bytes) -> None:
        try:
            ended = _Ended.model_validate_json(payload)
        except ValidationError as error:
            raise SandboxBroken("The sandbox worker's report cannot be read; the job may be tried again.") from error
        if ended.id != self.job.id:
            raise SandboxBroken("The sandbox worker reported about another job; the job may be tried again.")
        if ended.broken is not None and "No space left" in ended.broken:
            raise DiskFull("The job's files do not fit into its sandbox: send less, or raise disk_bytes.")
        if ended.broken is not None:
            raise SandboxBroken(f"The sandbox could not confine the job, so it was not run ({ended.broken}).")
        # A size that is refused below must not be waited for either: the worker is thrown away by the exception.
        sizes = [size for _, size, _ in ended.files]
        if sum(sizes) > self.job.limits.result_bytes or any(size < 0 for size in sizes):
            raise SandboxBroken("The sandbox worker sent more results than it may; the job may be tried again.")
        self._ended, self._results = ended, ended.files

    def cut_short(self, status: Status, wall_seconds: float) -> Outcome:
        """What is known of a job whose worker had to be killed under it, or was."""
        code, message = {
            Status.TIMED_OUT: (TIMED_OUT, _past_its_time(self.job)),
            Status.OUT_OF_MEMORY: (OUT_OF_MEMORY, _past_its_memory(self.job)),
        }[status]
        return Outcome(
            job=self.job.id,
            status=status,
            exit_code=code,
            stdout=b"".join(self._output["stdout"]),
            stderr=b"".join(self._output["stderr"]),
            truncated=self._cut,
            left_out=(lost := lost_results(self.job)),
            left_out_count=len(lost),
            wall_seconds=wall_seconds,
            backend=self._backend,
            image=self._image,
            message=message,
        )

    def _outcome(self, ended: _Ended) -> Outcome:
        files: dict[str, bytes] = {}
        left_out = {harmless(name.encode("utf-8", "replace")): why for name, why in ended.left_out}
        at, odd = 0, 0
        for name, size, _ in self._results:
            if (problem := result_validation.fault(name)) is None:
                files[name] = bytes(self._content[at : at + size])
            else:
                left_out[ascii(name)[1:-1]], odd = problem, odd + 1
            at += size
        status, code, message = judge(ended, self.job, ended.refused, counted=self._memory_is_counted)
        return Outcome(
            job=self.job.id,
            status=status,
            exit_code=code,
            stdout=b"".join(self._output["stdout"]),
            stderr=b"".join(self._output["stderr"]),
            truncated=ended.truncated or self._cut,
            files=files,
            executables=frozenset(name for name, _, executable in self._results if executable and name in files),
            left_out=left_out,
            left_out_count=ended.left_out_count + odd,
            wall_seconds=ended.wall_seconds,
            cpu_seconds=ended.cpu_seconds,
            peak_memory_bytes=ended.peak_memory_bytes,
            backend=self._backend,
            image=self._image,
            message=message,
        )


def _past_its_time(job: Job) -> str:
    return f"It ran past its limit of {job.limits.wall_seconds:g} s and was killed."


def _past_its_memory(job: Job) -> str:
    return f"It used more than its {job.limits.memory_bytes // MIB} MiB of memory and was killed."


def judge(ended: _Ended, job: Job, refused: str | None, *, counted: bool) -> tuple[Status, int, str]:
    """Status, exit code and the sentence for the user. `counted`: the kernel counts kills for memory."""
    code = 128 + ended.signal if ended.signal else ended.exit_code
    if ended.reason == "timeout":
        return Status.TIMED_OUT, TIMED_OUT, _past_its_time(job)
    if ended.reason == "cancelled":
        return Status.CANCELLED, code, "It was cancelled."
    killed = ended.signal == 9
    if ended.reason == "memory" or (killed and (ended.out_of_memory or not counted)):
        return Status.OUT_OF_MEMORY, OUT_OF_MEMORY, _past_its_memory(job)
    if refused:
        return Status.RESULTS_REFUSED, code, f"A result was refused: {refused}."
    if ended.signal:
        return Status.FAILED, code, f"It was ended by signal {ended.signal}."
    if code:
        note = " A process of it was killed for memory." if ended.out_of_memory else ""
        return Status.FAILED, code, f"It ended with exit status {code}.{note}"
    return Status.DONE, 0, ""
