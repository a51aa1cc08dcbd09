"""Which requests to the Docker engine may pass. Pure.

Whoever may create any container is root on the host, so paths alone are not enough: the body of a create request has to
be one that `isolation.create_body` makes. It is read back into a shape and limits, built again from those, and must be
equal; a field that we never write, in whatever spelling, makes it unequal. What is sent on is our own text of it, so
that a key given twice cannot mean one thing here and another there.

Allowed besides: looking at the daemon and at our images, and starting, attaching to, changing the limits of, and
removing containers whose name is one of ours. No exec, no build, no pull, no volumes, no networks, no logs, no files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from move37.sandbox.docker.isolation import (
    CPU_PERIOD_US,
    NAME_PREFIX,
    OWNER_LABEL,
    ROLE_LABEL,
    ZYGOTE_BYTES,
    ZYGOTE_PIDS,
    Shape,
    create_body,
    resources,
)
from move37.sandbox.job import Limits

MAX_BODY_BYTES = 256 * 1024

# Older versions of the interface read some of the same words differently.
_VERSION = r"(?:/v1\.(?:4[1-9]|[5-9]\d))?"
_NAME = rf"{NAME_PREFIX}[0-9a-f]{{16}}"
_IMAGE = r"(?:move37-sandbox:(?:cpu|cuda)|sha256:[0-9a-f]{64})"
_TMPFS_SIZE = re.compile(r"size=(\d{1,15}),")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What happens to a request."""

    allowed: bool
    reason: str = ""  # for the refused caller
    body: bytes | None = None  # sent on instead of what came
    hijacks: bool = False  # the connection becomes a container's streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The parts of an HTTP request that decide."""

    method: str
    target: str  # path and query, as received
    body: bytes = b""


_PLAIN = tuple(
    (method, re.compile(_VERSION + path))
    for method, path in (
        ("GET", r"/_ping"),
        ("HEAD", r"/_ping"),
        ("GET", r"/version"),
        ("GET", r"/info"),
        ("GET", rf"/images/{_IMAGE}/json"),
        ("GET", rf"/containers/{_NAME}/json"),
        ("POST", rf"/containers/{_NAME}/start"),
        ("DELETE", rf"/containers/{_NAME}"),
    )
)
_ATTACH = re.compile(rf"{_VERSION}/containers/{_NAME}/attach")
_UPDATE = re.compile(rf"{_VERSION}/containers/{_NAME}/update")
_CREATE = re.compile(rf"{_VERSION}/containers/create")
_LIST = re.compile(rf"{_VERSION}/containers/json")
_EVENTS = re.compile(rf"{_VERSION}/events")


def judge(request: Request) -> Verdict:
    """Decide about one request."""
    split = urlsplit(request.target)
    path, query = unquote(split.path), parse_qs(split.query, keep_blank_values=True)
    if split.scheme or split.netloc or ".." in path or "//" in path:
        return _no("the target is not a plain path")
    if any(request.method == method and pattern.fullmatch(path) for method, pattern in _PLAIN):
        return _yes() if not request.body else Verdict(allowed=True, body=b"")
    if request.method == "POST" and _ATTACH.fullmatch(path):
        return Verdict(allowed=True, hijacks=True)
    if request.method == "POST" and _UPDATE.fullmatch(path):
        return _judge_update(request.body)
    if request.method == "POST" and _CREATE.fullmatch(path):
        return _judge_create(query, request.body)
    if request.method == "GET" and _LIST.fullmatch(path):
        return _judge_filter(query, "label", lambda value: value.split("=")[0] in (ROLE_LABEL, OWNER_LABEL))
    if request.method == "GET" and _EVENTS.fullmatch(path):
        if "until" not in query:
            return _no("events are given for a closed span of time only")
        return _judge_filter(query, "container", lambda value: re.fullmatch(_NAME, value) is not None)
    return _no(f"{request.method} {path[:100]} is not something that the sandbox needs")


def _judge_create(query: Mapping[str, list[str]], body: bytes) -> Verdict:
    name = query.get("name", [""])
    if set(query) != {"name"} or len(name) != 1 or not re.fullmatch(_NAME, name[0]):
        return _no("the container's name is not one of ours")
    try:
        asked = json.loads(body)
        ours = rebuild(asked)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return _no("the container is not one of ours")
    if asked != ours:
        return _no("the container is less confined than one of ours")
    return Verdict(allowed=True, body=json.dumps(ours).encode())


def rebuild(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The body that `create_body` makes for the same shape, limits and owner. Raises when there is none."""
    host = asked["HostConfig"]
    image = asked["Image"]
    if not re.fullmatch(_IMAGE, image):
        raise ValueError("not our image")
    size = _TMPFS_SIZE.search(host["Tmpfs"]["/tmp"])
    if size is None:
        raise ValueError("no size")
    runtime = host.get("Runtime", "")
    if runtime not in ("", "runc", "crun", "runsc"):
        raise ValueError("a runtime that nobody asked for")
    devices = host["DeviceRequests"][0]["DeviceIDs"] if host["DeviceRequests"] else []
    if not all(
        isinstance(device, str) and re.fullmatch(r"(?:GPU|MIG)-[0-9A-Za-z/-]{1,80}", device) for device in devices
    ):
        raise ValueError("not a GPU")
    shape = Shape(
        image=image,
        runtime=runtime,
        devices=tuple(devices),
        disk_bytes=int(size.group(1)),
    )
    owner = asked["Labels"][OWNER_LABEL]
    if not isinstance(owner, str) or len(owner) > 200:
        raise ValueError("no owner")
    return create_body(shape, _limits_of(host), owner=owner)


def _limits_of(host: Mapping[str, Any]) -> Limits:
    return Limits(
        memory_bytes=_positive(_positive(host["Memory"]) - ZYGOTE_BYTES),
        pids=_positive(_positive(host["PidsLimit"]) - ZYGOTE_PIDS),
        threads=_positive(_positive(host["CpuQuota"]) // CPU_PERIOD_US),
    )


def _positive(value: Any) -> int:
    # In Docker's bodies 0 and -1 mean "no limit".
    if type(value) is not int or not 0 < value < 2**53:
        raise ValueError("not a limit")
    return value


def _judge_update(body: bytes) -> Verdict:
    try:
        asked = json.loads(body)
        ours = resources(_limits_of(asked))
    except (ValueError, KeyError, TypeError, AttributeError):
        return _no("these are not limits of ours")
    return Verdict(allowed=True, body=json.dumps(ours).encode()) if asked == ours else _no("these are not our limits")


def _judge_filter(query: Mapping[str, list[str]], key: str, ours: Any) -> Verdict:
    try:
        (filters,) = query["filters"]
        values = json.loads(filters)[key]
        good = isinstance(values, list) and values and all(isinstance(value, str) and ours(value) for value in values)
    except (ValueError, KeyError, TypeError):
        good = False
    return _yes() if good else _no("only what the sandbox made can be looked at")


def _yes() -> Verdict:
    return Verdict(allowed=True)


def _no(reason: str) -> Verdict:
    return Verdict(allowed=False, reason=reason)
