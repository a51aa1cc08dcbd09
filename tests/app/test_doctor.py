"""doctor: every line has a remedy where something is missing, and no key is ever printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from move37.app import doctor
from move37.app.doctor import Finding, examine, ready
from move37.app.settings import load
from tests.app.conftest import Move37

QUICK = tuple(c for c in doctor.CHECKS if c.__name__ not in ("_process", "_docker"))


@pytest.fixture(autouse=True)
def _without_sandboxes(monkeypatch: pytest.MonkeyPatch) -> None:
    # Both backends answer for themselves in tests/sandbox; starting them takes seconds.
    monkeypatch.setattr(doctor, "CHECKS", QUICK)


def test_this_machine_can_run_a_campaign(move37: Move37) -> None:
    answer = move37("doctor", "--json")
    found = json.loads(answer.out)
    assert answer.status == 0 and found["ready"] is True
    assert {"python", "torch", "disk", "backend", "embedding model"} <= {f["name"] for f in found["findings"]}


def test_whatever_is_missing_has_a_remedy() -> None:
    assert all(f.ok or f.remedy for f in examine(load()))


def test_keys_are_never_printed(move37: Move37, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    answer = move37("doctor")
    assert "OPENAI_API_KEY is set" in answer.out
    assert "secret" not in answer.out + answer.err


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def _broken(_: object) -> list[Finding]:
        raise RuntimeError("no such device")

    monkeypatch.setattr(doctor, "CHECKS", (_broken,))
    found = examine(load())
    assert [f.ok for f in found] == [False] and "no such device" in found[0].detail


def test_an_absent_server_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVE37_MEMORY__URL", "http://127.0.0.1:9")
    found = [f for f in examine(load()) if f.name == "server"]
    assert found and not found[0].ok and "MOVE37_MEMORY__URL" in found[0].remedy


def test_only_what_a_campaign_needs_decides() -> None:
    optional = Finding(group="machine", name="gpu", ok=False, detail="none", remedy="none")
    needed = Finding(group="machine", name="disk", ok=False, detail="full", remedy="--home", needed=True)
    assert ready([optional]) and not ready([optional, needed])


def test_a_home_that_is_not_there_yet_has_a_disk(tmp_path: Path) -> None:
    found = [f for f in examine(load({"home": tmp_path / "a" / "b"})) if f.name == "disk"]
    assert found[0].ok
