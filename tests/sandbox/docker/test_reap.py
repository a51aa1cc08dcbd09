"""Which containers are orphans."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from move37.sandbox.docker.confinement import OWNER_LABEL, ROLE_LABEL
from move37.sandbox.docker.reap import orphans, sweep
from move37.sandbox.errors import DaemonUnreachable, SandboxBroken, SandboxError
from move37.sandbox.process_identity import current


def container(name: str, **labels: str) -> dict:
    return {"Names": [f"/{name}"], "Labels": labels}


def ours(name: str, owner: str) -> dict:
    return container(name, **{ROLE_LABEL: "container", OWNER_LABEL: owner})


def test_containers_of_a_living_process_stay():
    assert orphans([ours("a", str(current()))]) == ()


def test_containers_of_a_process_that_ended_go():
    gone = replace(current(), start=1)
    assert orphans([ours("a", str(gone)), ours("b", str(current()))]) == ("a",)


def test_containers_from_before_the_last_boot_go():
    assert orphans([ours("a", str(replace(current(), boot="another")))]) == ("a",)


def test_containers_of_another_machine_at_the_same_daemon_stay():
    stranger = replace(current(), boot="another", machine="another")
    assert orphans([ours("a", str(stranger)), ours("b", str(replace(stranger, pid=1, start=1)))]) == ()


def test_containers_of_another_process_namespace_cannot_be_judged_and_stay():
    assert orphans([ours("a", str(replace(current(), namespace=1, start=1)))]) == ()


def test_containers_with_an_unreadable_owner_are_nobodys():
    assert orphans([ours("a", "nonsense"), ours("b", "")]) == ("a", "b")


def test_what_is_not_ours_is_never_touched():
    assert orphans([container("theirs"), {"Names": ["/x"], "Labels": None}]) == ()


class Daemon:
    """One that cannot remove one of its containers."""

    def __init__(self, error: SandboxError) -> None:
        self.error = error
        self.removed: list[str] = []

    async def containers(self, labels: tuple[str, ...]) -> tuple[dict, ...]:
        return tuple(ours(name, "nonsense") for name in ("stuck", "other"))

    async def remove(self, name: str) -> None:
        if name == "stuck":
            raise self.error
        self.removed.append(name)


async def test_one_that_cannot_be_removed_keeps_nobody_from_running():
    daemon: Any = Daemon(SandboxBroken("did not receive an exit event"))
    assert (await sweep(daemon), daemon.removed) == (1, ["other"])
    gone: Any = Daemon(DaemonUnreachable("no answer"))
    with pytest.raises(DaemonUnreachable):
        await sweep(gone)
