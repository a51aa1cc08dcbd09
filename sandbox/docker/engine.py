"""The only door to the Docker SDK: blocking calls in threads, whose errors `translation` turns into ours.

`Engine` speaks the engine's own request bodies (see `confinement`), so that what a container may do can be read, and
compared in tests, word for word. Nothing above this module sees a class of the SDK's or of requests'.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import docker
import docker.errors
from docker.utils import kwargs_from_env

from move37.sandbox.docker.translation import translated
from move37.sandbox.errors import SandboxUnavailable

T = TypeVar("T")

API_SECONDS = 120  # one call to the daemon; longer means that it hangs
THREADS = 8
UNSUPPORTED = (
    "a container's stream cannot be had over TLS or ssh: forward the daemon's socket "
    "(ssh -L /tmp/docker.sock:/var/run/docker.sock HOST) and set DOCKER_HOST=unix:///tmp/docker.sock"
)


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
            if not isinstance(raw, socket.socket) or isinstance(raw, ssl.SSLSocket):
                opened.close()
                raise SandboxUnavailable(UNSUPPORTED)
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
