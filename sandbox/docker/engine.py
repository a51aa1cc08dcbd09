"""The only door to the Docker SDK: blocking calls in threads, and the one place where its errors are translated.

`Engine` speaks the engine's own request bodies (see `isolation`), so that what a container may do can be read, and
compared in tests, word for word. Nothing above this module sees a class of the SDK's or of requests'.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import docker
import docker.errors
import requests.exceptions
from docker.utils import kwargs_from_env

from move37.sandbox.errors import (
    DaemonUnreachable,
    DiskFull,
    GpuUnavailable,
    ImageMissing,
    ImageUnusable,
    SandboxBroken,
    SandboxError,
    SandboxUnavailable,
)

T = TypeVar("T")

API_SECONDS = 120  # one call to the daemon; longer means that it hangs
THREADS = 8

# What the daemon says in words only, lower case; the first match decides.
_WORDS: tuple[tuple[tuple[str, ...], type[SandboxError], str], ...] = (
    (
        ("could not select device driver", "nvidia-container", "unknown devices", "nvml", "cdi device"),
        GpuUnavailable,
        "Docker cannot hand out GPUs here: install the NVIDIA container toolkit and restart the daemon",
    ),
    (
        ("unknown runtime", "unknown or invalid runtime", "no such runtime", "invalid runtime name"),
        SandboxUnavailable,
        "the daemon does not know this runtime: add it to daemon.json, or leave the setting empty",
    ),
    (("no space left on device", "disk quota exceeded"), DiskFull, "the disk is full: free some space and try again"),
    (("no such image", "unable to find image"), ImageMissing, "the image is gone: run `move37 sandbox build`"),
    (
        (
            "no command specified",
            "executable file not found",
            "exec format error",
            "stat /opt/move37",
            'exec: "/opt/move37',
        ),
        ImageUnusable,
        "the image cannot start our worker: run `move37 sandbox build`",
    ),
)

# The SDK's own classes, each with its meaning; a test walks the SDK's tree and finds a class that is missing here.
_CLASSES: tuple[tuple[type[BaseException], type[SandboxError], str], ...] = (
    (docker.errors.ImageNotFound, ImageMissing, "the image is not on this machine: run `move37 sandbox build`"),
    (docker.errors.NotFound, SandboxBroken, "the container is gone"),
    (docker.errors.APIError, SandboxBroken, "the daemon refused a request"),
    (docker.errors.BuildError, ImageUnusable, "the image could not be built"),
    (docker.errors.ImageLoadError, ImageUnusable, "the image could not be loaded"),
    (docker.errors.ContainerError, SandboxBroken, "a container failed"),
    (docker.errors.StreamParseError, SandboxBroken, "the daemon spoke nonsense"),
    (docker.errors.InvalidVersion, DaemonUnreachable, "the daemon is too old or too new for this client"),
    (docker.errors.TLSParameterError, DaemonUnreachable, "DOCKER_TLS_VERIFY or DOCKER_CERT_PATH is wrong"),
    (docker.errors.ContextException, DaemonUnreachable, "the Docker context is unusable"),
    (docker.errors.ContextNotFound, DaemonUnreachable, "the Docker context does not exist"),
    (docker.errors.ContextAlreadyExists, SandboxBroken, "the Docker context exists already"),
    (docker.errors.MissingContextParameter, SandboxBroken, "the Docker context is incomplete"),
    (docker.errors.InvalidConfigFile, DaemonUnreachable, "the Docker client's configuration file cannot be read"),
    (docker.errors.InvalidRepository, ImageMissing, "this is not the name of an image"),
    (docker.errors.InvalidArgument, SandboxBroken, "we asked the daemon for nonsense"),
    (docker.errors.NullResource, SandboxBroken, "we named no container"),
    (docker.errors.DeprecatedMethod, SandboxBroken, "the Docker SDK has changed under us"),
    (docker.errors.DockerException, DaemonUnreachable, "Docker does not answer: start the daemon"),
    (requests.exceptions.RequestException, DaemonUnreachable, "Docker does not answer: start the daemon"),
)


def translate(error: BaseException) -> SandboxError:
    """The SDK's error as one of ours, one sentence long; pure."""
    said = _sentence(error)
    lower = said.lower()
    if "permission denied" in lower and not isinstance(error, docker.errors.APIError):
        return DaemonUnreachable("no permission to speak to Docker: join the group docker, or run as root")
    if isinstance(error, docker.errors.APIError) and error.status_code == 403:
        return SandboxUnavailable(f"the engine's proxy refused a request: {said}")
    for words, ours, advice in _WORDS:
        if any(word in lower for word in words):
            return ours(f"{advice} ({said})")
    for theirs, ours, advice in _CLASSES:
        if isinstance(error, theirs):
            return ours(f"{advice} ({said})")
    return DaemonUnreachable(f"Docker does not answer: start the daemon ({said})")


def _sentence(error: BaseException) -> str:
    explanation = getattr(error, "explanation", None)
    text = explanation.decode("utf-8", "replace") if isinstance(explanation, bytes) else str(explanation or error)
    return " ".join(text.split())[:300]


@contextmanager
def translated() -> Iterator[None]:
    """Turns whatever the SDK raises inside into our errors."""
    try:
        yield
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise translate(error) from error


class Engine:
    """One connection to one daemon. Use from one event loop; every call runs in a thread of our own."""

    def __init__(self, api: Any) -> None:
        self.api = api  # a docker.APIClient; its published types know half of what it can do
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="docker")

    @classmethod
    async def connect(cls) -> Engine:
        """Reach the daemon that DOCKER_HOST names. Raises `DaemonUnreachable`."""
        return await asyncio.to_thread(cls.connect_now)

    @classmethod
    def connect_now(cls) -> Engine:
        """The same, for code without an event loop."""
        with translated():
            api = docker.APIClient(**kwargs_from_env(), version="auto", timeout=API_SECONDS, max_pool_size=THREADS + 2)
        return cls(api)

    async def _call(self, function: Callable[[], T]) -> T:
        def guarded() -> T:
            with translated():
                return function()

        return await asyncio.get_running_loop().run_in_executor(self._threads, guarded)

    async def image(self, name: str) -> Mapping[str, Any] | None:
        """What the engine knows about an image, None when it is not here."""
        return await self._call(lambda: self.image_now(name))

    def image_now(self, name: str) -> Mapping[str, Any] | None:
        """`image` without a loop; untranslated inside `translated()`."""
        try:
            found: Mapping[str, Any] = self.api.inspect_image(name)
        except docker.errors.ImageNotFound:
            return None
        return found

    async def create(self, name: str, body: Mapping[str, Any]) -> None:
        """Create a container from the engine's own request body; everything else here takes its `name`."""
        await self._call(lambda: self.api.create_container_from_config(dict(body), name))

    async def attach(self, container: str) -> socket.socket:
        """The container's stdin, stdout and stderr as one socket (stdout and stderr in 8-byte framed pieces)."""
        wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}

        def attach() -> socket.socket:
            opened = self.api.attach_socket(container, wanted)
            raw = getattr(opened, "_sock", opened)
            # A duplicate of our own: the SDK's response object closes its half when it is collected.
            kept: socket.socket = raw.dup()
            opened.close()
            return kept

        return await self._call(attach)

    async def start(self, container: str) -> None:
        """Start a created container."""
        await self._call(lambda: self.api.start(container))

    async def update(self, container: str, resources: Mapping[str, Any]) -> None:
        """Change limits of a running container; the engine's own words (Memory, NanoCpus, PidsLimit, ...)."""

        def update() -> None:
            url = self.api._url("/containers/{0}/update", container)
            self.api._raise_for_status(self.api._post_json(url, data=dict(resources)))

        await self._call(update)

    async def inspect(self, container: str) -> Mapping[str, Any] | None:
        """The engine's record of a container, None when it is gone."""

        def inspect() -> Mapping[str, Any] | None:
            try:
                found: Mapping[str, Any] = self.api.inspect_container(container)
            except docker.errors.NotFound:
                return None
            return found

        return await self._call(inspect)

    async def events(self, container: str, since: float) -> tuple[str, ...]:
        """What happened to a container from `since` (Unix time) until now: "oom", "die", "kill", ..."""

        def read() -> tuple[str, ...]:
            found = self.api.events(
                since=int(since), until=int(time.time()) + 1, filters={"container": [container]}, decode=True
            )
            return tuple(str(event.get("Action", "")) for event in found)

        return await self._call(read)

    async def remove(self, container: str) -> None:
        """Kill and remove, whatever state it is in; a container that is gone already is what we want."""
        await self._call(lambda: self.remove_now(container))

    def remove_now(self, container: str) -> None:
        """`remove` without a loop, for the end of the process."""
        try:
            self.api.remove_container(container, v=True, force=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            # The daemon removes by itself what ended by itself; both at once is a conflict, not a failure.
            if error.status_code != 409:
                raise

    async def containers(self, labels: tuple[str, ...]) -> tuple[Mapping[str, Any], ...]:
        """Every container, running or not, that carries all `labels` ("key" or "key=value")."""
        return await self._call(lambda: self.containers_now(labels))

    def containers_now(self, labels: tuple[str, ...]) -> tuple[Mapping[str, Any], ...]:
        """`containers` without a loop."""
        return tuple(self.api.containers(all=True, filters={"label": list(labels)}))

    async def images_of_ours(self) -> tuple[str, ...]:
        """Ids of the images that carry one of our labels, and of our bases; the newest first."""

        def find() -> tuple[str, ...]:
            found: dict[str, None] = {}
            for wanted in ({"label": "move37.recipe"}, {"label": "move37.stage"}, {"reference": "move37-base"}):
                found.update(dict.fromkeys(str(image["Id"]) for image in self.api.images(filters=wanted)))
            return tuple(found)

        return await self._call(find)

    async def remove_image(self, image: str) -> None:
        """Remove an image with all its names; one that is gone already, or still a parent of another, is left."""

        def remove() -> None:
            with suppress(docker.errors.ImageNotFound):
                self.api.remove_image(image, force=True)

        await self._call(remove)

    async def info(self) -> Mapping[str, Any]:
        """The daemon's own description."""
        return await self._call(self.api.info)

    def close(self) -> None:
        """Let go of the connection and the threads."""
        self._threads.shutdown(wait=False)
        self.api.close()
