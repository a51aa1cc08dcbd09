"""What the Docker SDK raises, as our errors: the one place where they are translated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors
import requests.exceptions

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
    (
        ("invalid reference format", "invalid repository name", "repository name must be"),
        ImageMissing,
        "this is not the name of an image: write it as in team/image:tag",
    ),
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
