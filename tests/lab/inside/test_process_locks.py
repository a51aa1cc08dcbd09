"""What a candidate's process can read, wherever the installation and the job's folder stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from move37 import lab
from move37.lab.inside import process_locks
from tests.lab.inside.conftest import Start
from tests.lab.inside.mixers import HONEST

SOURCES = Path(lab.__file__).parents[1].parent
TRY = """
import sys
from pathlib import Path
sys.path.insert(0, {sources!r})
from move37.lab.inside.process_locks import close_files
if not close_files([Path({denied!r})]):
    raise SystemExit(77)
for name in {tried!r}:
    try:
        print(open(name).read().strip() or "empty")
    except PermissionError:
        print("denied")
"""


def answers(denied: Path, *tried: Path, before: str = "true") -> list[str]:
    """What a process that has closed `denied` reads of each; `before` is a command of its own mounts."""
    code = TRY.format(sources=str(SOURCES), denied=str(denied), tried=[str(path) for path in tried])
    line = f'{before} && exec "$0" -c "$1"'
    command = ["sh", "-c", line, sys.executable, code]
    if before != "true":
        command = ["unshare", "--mount", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode == 77:
        pytest.skip("no Landlock here")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_what_is_denied_cannot_be_read_and_what_stands_beside_it_can(tmp_path: Path) -> None:
    secret, beside = tmp_path / "held" / "out", tmp_path / "held" / "in"
    secret.mkdir(parents=True)
    (secret / "text").write_text("secret")
    beside.write_text("open")
    assert answers(secret, secret / "text", beside) == ["denied", "open"]


def test_a_second_name_of_a_denied_file_is_denied_too(tmp_path: Path) -> None:
    secret, again = tmp_path / "secret", tmp_path / "again"
    secret.write_text("secret")
    os.link(secret, again)
    assert answers(secret, secret, again) == ["denied", "denied"]


@pytest.mark.parametrize(
    "folder", ["lib/python3.11/site-packages", "lib64/python3.12/site-packages", "lib/python3/dist-packages"]
)
@pytest.mark.parametrize("prefix", ["prefix", "base_prefix"])
def test_every_copy_of_the_corpus_that_an_interpreter_has_is_denied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str, folder: str
) -> None:
    """A virtual environment's base may have one too, and a job sees both."""
    text = tmp_path / folder / process_locks.CORPUS / "core" / "add.py"
    text.parent.mkdir(parents=True)
    monkeypatch.setattr(sys, prefix, str(tmp_path))
    assert any(text.is_relative_to(place) for place in process_locks._corpus())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
@pytest.mark.parametrize("mounted", [".", "held", "held/out", "held/out/deep"])
def test_a_folder_that_is_mounted_twice_is_denied_at_both_places(tmp_path: Path, mounted: str) -> None:
    """A job's /tmp is its /job/tmp: an installation below /tmp was readable through the second name."""
    one, other = tmp_path / "one", tmp_path / "a" / "second"  # an earlier name than the first
    text = one / "held" / "out" / "deep" / "text"
    text.parent.mkdir(parents=True)
    other.mkdir(parents=True)
    text.write_text("secret")
    second = other / text.relative_to(one / mounted)
    found = answers(text.parents[1], text, second, before=f"mount --bind {one / mounted} {other}")
    assert found == ["denied", "denied"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_a_mount_of_other_files_stays_readable_below_a_folder_that_has_two_names(tmp_path: Path) -> None:
    """The shape of a job: what holds the installation's mount has a second name that holds the same folder, empty."""
    one, other, package = tmp_path / "one", tmp_path / "a second", tmp_path / "package"
    for folder in (one / "lib", other, package / "sympy"):
        folder.mkdir(parents=True)
    (package / "sympy" / "text").write_text("secret")
    (package / "open").write_text("open")
    mounts = f"mount --bind {one} '{other}' && mount --bind {package} {one}/lib && mount -t tmpfs none {package}"
    inside = one / "lib"
    assert answers(inside / "sympy", inside / "sympy" / "text", inside / "open", before=mounts) == ["denied", "open"]


def test_the_locks_know_the_identity_of_what_is_there_alone(tmp_path: Path) -> None:
    there = tmp_path.stat()
    assert process_locks._identities([tmp_path, tmp_path / "nowhere"]) == {(there.st_dev, there.st_ino)}


# How one process of a candidate could tell another what it knows: beside a file's content, which Landlock leaves alone,
# by memory that both open through /proc, and by its own clock.
MESSAGES = {
    "times of a folder": "os.utime(PLACE, (1, 1))",
    "its mode": "os.chmod(PLACE, 0o700)",
    "its owner": "os.chown(PLACE, -1, -1)",
    "its attributes": "os.setxattr(PLACE, 'user.x', b'state')",
    "its flags": "fcntl.ioctl(os.open(PLACE, 0), 0x40086602, bytes(8))",
    "its hints": "fcntl.fcntl(os.open(PLACE, 0), 1036, bytes(8))",
    "memory that others may open": "call(libc.prctl(4, 1, 0, 0, 0))",
    "a process's clock": "time.clock_gettime((~os.getppid() << 3) | 2)",
}
LISTENING = """
import torch
os, time, fcntl, ctypes = (__import__(name) for name in ("os", "time", "fcntl", "ctypes"))
libc = ctypes.CDLL(None, use_errno=True)
def call(result):
    if result:
        raise OSError(ctypes.get_errno(), "refused")
try:
    MESSAGE
except PermissionError:
    pass
else:
    raise RuntimeError("it was heard")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the locks are Linux's")
@pytest.mark.parametrize("kind", MESSAGES)
def test_two_processes_of_a_candidate_cannot_talk(start: Start, tmp_path: Path, kind: str) -> None:
    message = MESSAGES[kind].replace("PLACE", repr(str(tmp_path)))
    start(LISTENING.replace("MESSAGE", message) + HONEST)
