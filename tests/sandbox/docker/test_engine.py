"""Whatever the Docker SDK raises becomes an error of ours, with something to do about it."""

from __future__ import annotations

import ast
import inspect
import socket
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest
import requests

from move37.sandbox import errors
from move37.sandbox.docker import translation
from move37.sandbox.docker.engine import Engine
from move37.sandbox.docker.translation import translate, translated
from move37.sandbox.errors import SandboxUnavailable

ROOMS = Path(translation.__file__).parent.parent.parent


def api_error(status: int, words: str) -> docker.errors.APIError:
    response = requests.Response()
    response.status_code = status
    return docker.errors.APIError("failed", response=response, explanation=words)


def subclasses(kind: type) -> set[type]:
    below: list[type] = kind.__subclasses__()
    return {kind}.union(*(subclasses(one) for one in below))


def test_no_class_of_the_sdk_is_unmapped():
    mapped = {theirs for theirs, _, _ in translation._CLASSES}
    for kind in subclasses(docker.errors.DockerException):
        # A class may be covered by a parent, but not by the root alone: that one means "no daemon".
        parents = set(inspect.getmro(kind)) - {docker.errors.DockerException}
        assert kind is docker.errors.DockerException or parents & mapped, f"{kind.__name__} has no meaning here"


@pytest.mark.parametrize(
    "error, ours",
    [
        (api_error(404, "No such image: x"), errors.ImageMissing),
        (api_error(400, "invalid reference format: repository name must be lowercase"), errors.ImageMissing),
        (api_error(500, "could not select device driver with capabilities: [[gpu]]"), errors.GpuUnavailable),
        (api_error(400, "Unknown runtime specified runsc"), errors.SandboxUnavailable),
        (api_error(500, "write /x: no space left on device"), errors.DiskFull),
        (api_error(403, "refused"), errors.SandboxUnavailable),
        (api_error(500, 'exec: "/opt/move37/bin/python": stat: no such file'), errors.ImageUnusable),
        (api_error(500, "something new"), errors.SandboxBroken),
        (docker.errors.ImageNotFound("x"), errors.ImageMissing),
        (docker.errors.NotFound("x"), errors.SandboxBroken),
        (docker.errors.DockerException("Error while fetching server API version"), errors.DaemonUnreachable),
        (requests.exceptions.ConnectionError("aborted"), errors.DaemonUnreachable),
        (requests.exceptions.ReadTimeout("timed out"), errors.DaemonUnreachable),
        (ConnectionResetError(104, "reset"), errors.DaemonUnreachable),
    ],
)  # fmt: skip
def test_says_what_happened(error: Exception, ours: type[Exception]):
    assert type(translate(error)) is ours


def test_a_missing_permission_says_how_to_get_it():
    said = str(translate(requests.exceptions.ConnectionError("aborted", PermissionError(13, "Permission denied"))))
    assert "group docker" in said


def test_every_translation_is_one_sentence_that_says_what_to_do():
    for words, _, advice in translation._WORDS:
        assert ":" in advice and "\n" not in str(translate(api_error(500, words[0] + "\nmore")))


def test_our_own_errors_pass_through_untouched():
    with pytest.raises(errors.DiskFull, match="ours"), translated():
        raise errors.DiskFull("ours")


@pytest.mark.parametrize("host", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:9", "nonsense://x"])
def test_no_daemon_is_one_clear_error(host: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(errors.DaemonUnreachable, match="start the daemon"):
        Engine.connect_now()


def test_only_the_engine_imports_the_sdk():
    for path in sorted((ROOMS / "sandbox").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if any(name.split(".")[0] in ("docker", "requests", "urllib3") for name in names):
                assert path.name in ("engine.py", "translation.py") and path.parent.name == "docker", path


@pytest.mark.parametrize("way", ["tls", "ssh", "socket"])
async def test_a_stream_over_tls_or_ssh_is_one_sentence_and_a_plain_one_is_had(way: str):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        # What the SDK hands out: a response around the connection's socket, or a channel of ssh that is none.
        raw: Any = object() if way == "ssh" else ours
        if way == "tls":
            context = ssl.create_default_context()
            raw = context.wrap_socket(ours, server_hostname="h", do_handshake_on_connect=False)
        api = SimpleNamespace(
            attach_socket=lambda *_: SimpleNamespace(_sock=raw, close=lambda: None), close=lambda: None
        )
        engine = Engine(api)
        try:
            if way == "socket":
                (await engine.attach("c")).close()
            else:
                with pytest.raises(SandboxUnavailable, match="TLS or ssh"):
                    await engine.attach("c")
        finally:
            engine.close()
            if way == "tls":
                raw.close()
