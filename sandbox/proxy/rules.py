"""Which requests to the Docker engine may pass. Pure.

A client that may create any container is root on the host, so no request is passed on as it came. The path is one of
a few whose every letter is known, each with the query keys that we use; target, headers and body that the engine reads
are our own text of what was understood. The body of a create request has to be one that `confinement.create_body`
makes: it is read back into a shape and limits, built again from those, and must be equal; a field that we never write,
in whatever spelling, makes it unequal, and a key given twice cannot mean one thing here and another there.

Allowed besides: looking at the daemon and at our images, and starting, attaching to, changing the limits of, and
removing containers whose name is one of ours. No exec, no build, no pull, no volumes, no networks, no logs, no files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

from move37.sandbox.docker.confinement import (
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
from move37.sandbox.job import MIB, Limits
from move37.sandbox.process_identity import parse

MAX_BODY_BYTES = 256 * 1024

# Older versions of the API read some of the same fields differently; newer ones were not reviewed.
_VERSION = r"(?:/v1\.(?:4[1-9]|5[0-4]))?"
_NAME = rf"{NAME_PREFIX}[0-9a-f]{{16}}"
_IMAGE = r"(?:move37-sandbox:(?:cpu|cuda)|sha256:[0-9a-f]{64})"
_TMPFS_SIZE = re.compile(r"size=(\d{1,15}),")
_TARGET = re.compile(r"/[!-~]*")
_DEVICE = re.compile(r"(?:GPU|MIG)-[0-9A-Za-z/-]{1,80}")

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The most that one container may ask for, and how many there may be at once."""

    memory_bytes: int = 64 * 1024 * MIB
    pids: int = 4096
    threads: int = 256
    disk_bytes: int = 64 * 1024 * MIB
    containers: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    """The parts of an HTTP request that decide."""

    method: str
    target: str  # path and query, as received
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What happens to a request: refused with a reason, or sent on in our own words."""

    reason: str = ""  # for the refused caller; empty when it is allowed
    target: str = ""
    body: bytes = b""
    hijacks: bool = False  # the connection becomes a container's streams
    creates: bool = False  # one container more: their number has a bound

    @property
    def allowed(self) -> bool:
        """Whether it may pass."""
        return not self.reason


class _Refused(Exception):
    """The sentence for the caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    method: str
    path: re.Pattern[str]
    query: Callable[[Query], Query] = lambda query: _exactly(query)
    body: Callable[[bytes, Bounds], bytes] = lambda body, bounds: b""
    hijacks: bool = False
    creates: bool = False


def judge(request: EngineRequest, bounds: Bounds = Bounds()) -> Ruling:
    """Decide about one request."""
    try:
        path, query = _split(request.target)
        for route in ROUTES:
            if route.method == request.method and route.path.fullmatch(path):
                words = urlencode(route.query(query))
                return Ruling(
                    target=path + ("?" + words if words else ""),
                    body=route.body(request.body, bounds),
                    hijacks=route.hijacks,
                    creates=route.creates,
                )
    except _Refused as refusal:
        return Ruling(reason=str(refusal))
    return Ruling(reason=f"{request.method[:10]!a} {path[:100]!a} is not something that the sandbox needs")


def _split(target: str) -> tuple[str, Query]:
    """Path and query, each key once. A target that two readers could read in two ways is refused."""
    if not _TARGET.fullmatch(target) or "#" in target or "\\" in target:
        raise _Refused("the target is not a plain path")
    path, _, rest = target.partition("?")
    query: dict[str, str] = {}
    for pair in rest.split("&") if rest else ():
        key, equals, value = pair.partition("=")
        if not equals or key in query or not re.fullmatch(r"[a-z_]+", key) or ";" in value:
            raise _Refused("the query is malformed, or says something twice")
        query[key] = _unquoted(value.replace("+", " "))
    return _unquoted(path), query


def _unquoted(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise _Refused("an escape in the target is malformed")
    plain = unquote(text, errors="replace")
    if not plain.isascii() or not plain.isprintable():
        raise _Refused("the target has letters that are not printable ASCII")
    return plain


def _exactly(query: Query, **allowed: str) -> dict[str, str]:
    """The query, if it has no other keys than these, each with a value that its pattern knows."""
    for key, value in query.items():
        if key not in allowed or not re.fullmatch(allowed[key], value):
            raise _Refused(f"the query may not say {key}={value[:40]!a}")
    return dict(query)


_FLAG = r"0|1|[Tt]rue|[Ff]alse"
_NO = r"0|[Ff]alse|-1"


def _attach_query(query: Query) -> Query:
    _exactly(query, stdin=_FLAG, stdout=_FLAG, stderr=_FLAG, stream=_FLAG)
    return {"stdin": "1", "stdout": "1", "stderr": "1", "stream": "1"}


def _remove_query(query: Query) -> Query:
    _exactly(query, v=_FLAG, force=_FLAG, link=_NO)
    return {"v": "1", "force": "1"}


def _create_query(query: Query) -> Query:
    _exactly(query, name=_NAME)
    if "name" not in query:
        raise _Refused("the container has no name of ours")
    return query


def _list_query(query: Query) -> Query:
    _exactly(query, all=_FLAG, size=_NO, limit=_NO, trunc_cmd=_FLAG, filters=".*")
    filters = _filters(query, "label", lambda value: value.split("=")[0] in (ROLE_LABEL, OWNER_LABEL))
    return {"all": "1", "filters": filters}


def _events_query(query: Query) -> Query:
    _exactly(query, since=r"\d{1,12}", until=r"\d{1,12}", filters=".*")
    if not {"since", "until"} <= set(query):
        raise _Refused("events are given for a closed span of time only")
    filters = _filters(query, "container", lambda value: re.fullmatch(_NAME, value) is not None)
    return {"since": query["since"], "until": query["until"], "filters": filters}


def _filters(query: Query, key: str, ours: Callable[[str], bool]) -> str:
    try:
        values = json.loads(query["filters"])[key]
        good = isinstance(values, list) and values and all(isinstance(value, str) and ours(value) for value in values)
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    if not good:
        raise _Refused("only what the sandbox made can be looked at")
    return json.dumps({key: values})


def _create(body: bytes, bounds: Bounds) -> bytes:
    try:
        asked = json.loads(body)
        ours = rebuild(asked, bounds)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise _Refused("the container is not one of ours") from error
    if asked != ours:
        raise _Refused("the container is less confined than one of ours")
    return json.dumps(ours).encode()


def rebuild(asked: Mapping[str, Any], bounds: Bounds = Bounds()) -> dict[str, Any]:
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
    if not all(isinstance(device, str) and _DEVICE.fullmatch(device) for device in devices):
        raise ValueError("not a GPU")
    owner = asked["Labels"][OWNER_LABEL]
    if not isinstance(owner, str) or len(owner) > 200 or parse(owner) is None:
        raise ValueError("no owner")
    disk = _at_most(int(size.group(1)), bounds.disk_bytes)
    shape = Shape(image=image, runtime=runtime, devices=tuple(devices), disk_bytes=disk)
    return create_body(shape, _limits_of(host, bounds), owner=owner)


def _update(body: bytes, bounds: Bounds) -> bytes:
    try:
        asked = json.loads(body)
        ours = resources(_limits_of(asked, bounds))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _Refused("these are not limits of ours") from error
    if asked != ours:
        raise _Refused("these are not limits of ours")
    return json.dumps(ours).encode()


def _limits_of(host: Mapping[str, Any], bounds: Bounds) -> Limits:
    return Limits(
        memory_bytes=_at_most(_at_most(host["Memory"]) - ZYGOTE_BYTES, bounds.memory_bytes),
        pids=_at_most(_at_most(host["PidsLimit"]) - ZYGOTE_PIDS, bounds.pids),
        threads=_at_most(_at_most(host["CpuQuota"]) // CPU_PERIOD_US, bounds.threads),
    )


def _at_most(value: Any, most: int = 2**53) -> int:
    # In Docker's bodies 0 and -1 mean "no limit".
    if type(value) is not int or not 0 < value <= most:
        raise ValueError("not a limit, or more than the proxy lets anybody have")
    return value


def _path(pattern: str) -> re.Pattern[str]:
    return re.compile(_VERSION + pattern)


ROUTES = (
    _Route(method="GET", path=_path(r"/_ping")),
    _Route(method="HEAD", path=_path(r"/_ping")),
    _Route(method="GET", path=_path(r"/version")),
    _Route(method="GET", path=_path(r"/info")),
    _Route(method="GET", path=_path(rf"/images/{_IMAGE}/json")),
    _Route(method="GET", path=_path(rf"/containers/{_NAME}/json")),
    _Route(method="POST", path=_path(rf"/containers/{_NAME}/start")),
    _Route(method="DELETE", path=_path(rf"/containers/{_NAME}"), query=_remove_query),
    _Route(method="POST", path=_path(rf"/containers/{_NAME}/attach"), query=_attach_query, hijacks=True),
    _Route(method="POST", path=_path(rf"/containers/{_NAME}/update"), body=_update),
    _Route(method="POST", path=_path(r"/containers/create"), query=_create_query, body=_create, creates=True),
    _Route(method="GET", path=_path(r"/containers/json"), query=_list_query),
    _Route(method="GET", path=_path(r"/events"), query=_events_query),
)
