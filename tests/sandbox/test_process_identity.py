"""Whether a process that is named in a label or a lease still lives."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from move37.sandbox import process_identity
from move37.sandbox.process_identity import ProcessIdentity, current, is_dead, parse


def test_a_name_reads_back():
    assert parse(str(current())) == current()


@pytest.mark.parametrize("text", ["", "a", "a/b/c/d", "a/1/2", "a/b/1/2/3/4", "a/-1/2/3", "a/1/2/²"])
def test_nonsense_is_nobody(text: str):
    assert parse(text) is None


def test_we_live():
    assert not is_dead(current())


def test_a_process_that_ended_is_dead_and_so_is_one_whose_number_was_reused():
    say = "from move37.sandbox.process_identity import current; print(current())"
    done = subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, check=True)
    other = parse(done.stdout.strip())
    assert isinstance(other, ProcessIdentity) and is_dead(other)
    assert is_dead(replace(current(), start=current().start + 1))


def test_names_of_before_machines_were_part_of_them_read_back_and_are_judged_within_one_boot():
    old = parse(str(current()).partition("/")[2])
    assert old is not None and old == replace(current(), machine="")
    assert not is_dead(old) and is_dead(replace(old, start=1))
    assert not is_dead(replace(old, boot="another")) and is_dead(replace(old, boot="another"), local=True)


def test_another_boot_of_another_machine_is_unknown_whoever_it_is():
    stranger = replace(current(), boot="another", machine="another")
    assert not any(is_dead(replace(stranger, pid=pid)) for pid in (1, current().pid, 2**22 - 1))
    assert is_dead(stranger, local=True)


def test_without_proc_only_a_number_that_nobody_has_is_dead(monkeypatch: pytest.MonkeyPatch):
    there, dead = current(), subprocess.Popen(["true"])
    dead.wait()
    monkeypatch.setattr(process_identity, "PROC", Path("/nowhere"))
    process_identity._here.cache_clear()
    try:
        assert parse(str(current())) == current() and not is_dead(current())
        assert is_dead(replace(current(), pid=dead.pid))
        assert not is_dead(replace(current(), pid=dead.pid, machine="another"))
        assert not is_dead(there) and not is_dead(replace(there, pid=dead.pid))
    finally:
        monkeypatch.undo()
        process_identity._here.cache_clear()


def test_a_process_of_another_boot_is_dead_and_one_of_another_namespace_is_unknown():
    assert is_dead(replace(current(), boot="another"))
    assert not is_dead(replace(current(), namespace=1, pid=1, start=1))
