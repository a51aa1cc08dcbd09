"""Which containers are orphans."""

from __future__ import annotations

from dataclasses import replace

from move37.sandbox.docker.isolation import OWNER_LABEL, ROLE_LABEL
from move37.sandbox.docker.reap import orphans
from move37.sandbox.owner import me


def container(name: str, **labels: str) -> dict:
    return {"Names": [f"/{name}"], "Labels": labels}


def member(name: str, owner: str) -> dict:
    return container(name, **{ROLE_LABEL: "member", OWNER_LABEL: owner})


def test_members_of_a_living_process_stay():
    assert orphans([member("a", str(me()))]) == ()


def test_members_of_a_process_that_ended_go():
    gone = replace(me(), start=1)
    assert orphans([member("a", str(gone)), member("b", str(me()))]) == ("a",)


def test_members_from_before_the_last_boot_go():
    assert orphans([member("a", str(replace(me(), boot="another")))]) == ("a",)


def test_members_of_another_process_namespace_cannot_be_judged_and_stay():
    assert orphans([member("a", str(replace(me(), namespace=1, start=1)))]) == ()


def test_members_with_an_unreadable_owner_are_nobodys():
    assert orphans([member("a", "nonsense"), member("b", "")]) == ("a", "b")


def test_what_is_not_ours_is_never_touched():
    assert orphans([container("theirs"), {"Names": ["/x"], "Labels": None}]) == ()
