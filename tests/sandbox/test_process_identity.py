"""Whether a process that is named in a label or a lease still lives."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from move37.sandbox.process_identity import ProcessIdentity, current, is_dead, parse


def test_a_name_reads_back():
    assert parse(str(current())) == current()


@pytest.mark.parametrize("text", ["", "a", "a/b/c/d", "a/1/2", "a/1/2/3/4", "a/-1/2/3", "a/1/2/²"])
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


def test_a_process_of_another_boot_is_dead_and_one_of_another_namespace_is_unknown():
    assert is_dead(replace(current(), boot="another"))
    assert not is_dead(replace(current(), namespace=1, pid=1, start=1))
