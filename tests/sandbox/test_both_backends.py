"""What a program may count on, and what a limit means, is the same in both backends."""

from __future__ import annotations

import sys
import time
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from move37.sandbox.job import MIB, Job, Status
from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import ZygoteSettings
from move37.sandbox.sandbox import Sandbox
from tests.sandbox.attacks.backends import missing
from tests.sandbox.jobs import QUICK, command, program

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(sys.platform != "linux", reason="namespaces and Docker are Linux's"),
]


@pytest_asyncio.fixture(
    scope="module", loop_scope="session", params=["process", pytest.param("docker", marks=pytest.mark.docker)]
)
async def either(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    opened: Sandbox
    if request.param == "docker":
        assert not (why := await missing("docker")), why
        from move37.sandbox.docker.backend import DockerSandbox
        from move37.sandbox.docker.settings import DockerSettings

        opened = DockerSandbox(DockerSettings(warm=0))
    else:
        opened = ProcessSandbox(1, settings=ZygoteSettings(warm=False))
    yield opened
    await opened.close()


async def said(sandbox: Sandbox, job: Job) -> str:
    outcome = await sandbox.run(job)
    assert outcome.status is Status.DONE, outcome
    return outcome.stdout.decode().strip()


async def test_localhost_has_an_address_and_serves(either: Sandbox) -> None:
    source = """
import socket
listener = socket.create_server(("localhost", 0))
client = socket.create_connection(("localhost", listener.getsockname()[1]))
listener.accept()[0].sendall(b"served")
print(client.recv(10).decode(), socket.gethostbyname("localhost"))
"""
    assert await said(either, program(source)) == "served 127.0.0.1"


async def test_shared_memory_is_as_large_as_the_memory(either: Sandbox) -> None:
    source = """
from multiprocessing import shared_memory
held = shared_memory.SharedMemory(create=True, size=300 << 20)
held.buf[:] = bytes(300 << 20)
print(len(held.buf) >> 20)
held.unlink()
"""
    limits = replace(QUICK, memory_bytes=1024 * MIB, disk_bytes=512 * MIB)  # a file is no larger than the disk
    assert await said(either, program(source, limits=limits)) == "300"


async def test_shared_memory_counts_as_memory(either: Sandbox) -> None:
    source = "f = open('/dev/shm/x', 'wb')\nfor _ in range(400): f.write(bytes(1 << 20)); f.flush()\nprint('all of it')"
    limits = replace(QUICK, memory_bytes=200 * MIB, file_bytes=1024 * MIB)
    outcome = await either.run(program(source, limits=limits))
    assert outcome.status in (Status.OUT_OF_MEMORY, Status.FAILED) and b"all of it" not in outcome.stdout


async def test_tmp_can_be_written_and_executed_from(either: Sandbox) -> None:
    script = "printf '#!/bin/sh\\necho ran' > /tmp/s.sh; chmod +x /tmp/s.sh; /tmp/s.sh; touch $TMPDIR/y"
    assert await said(either, command("sh", "-c", script)) == "ran"


async def test_standard_input_is_passed_whole(either: Sandbox) -> None:
    text = "".join(f"{number}\n" for number in range(200_000)).encode()
    job = program("import sys; first = input(); print(first, len(sys.stdin.read()))", stdin=text)
    assert await said(either, job) == f"0 {len(text) - 2}"
    assert await said(either, command("wc", "-c", stdin=text)) == str(len(text))
    outcome = await either.run(program("input()"))
    assert outcome.status is Status.FAILED and b"EOFError" in outcome.stderr


async def test_what_python_runs_besides_text_runs(either: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import sys; print('packed', sys.argv[1:], __name__)")
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.write(tmp_path / "main.py", "__main__.py")
    packed = (tmp_path / "app.pyz").read_bytes()
    for name, content in {"app.pyz": packed, "with_a_line": b"#!/usr/bin/env python3\n" + packed}.items():
        job = command("python", name, "a", files={name: content})
        assert await said(either, job) == "packed ['a'] __main__"
    wide = await either.run(command("python", "x.py", files={"x.py": "print(1)".encode("utf-16")}))
    assert wide.exit_code == 1 and b"SyntaxError" in wide.stderr


async def test_of_the_internets_sockets_plain_streams_and_datagrams_are_reached(either: Sandbox) -> None:
    source = """
import errno, socket
for family in (socket.AF_INET, socket.AF_INET6):
    for kind in range(16):
        for protocol in (0, 1, 6, 17, 58, 132, 136, 262):
            try:
                socket.socket(family, kind, protocol).close()
            except OSError as error:
                if error.errno == errno.EPERM:
                    continue
            print(kind)
"""
    assert set((await said(either, program(source))).split()) == {"1", "2"}


async def test_executable_files_are_executed_and_come_back_so(either: Sandbox) -> None:
    job = command(
        "sh",
        "-c",
        "./run.sh; cp run.sh again.sh",
        files={"run.sh": b"#!/bin/sh\necho ran\n", "data": b"x"},
        executables=frozenset({"run.sh"}),
        collect=("./*",),
        writable=True,
    )
    outcome = await either.run(job)
    assert outcome.stdout == b"ran\n" and outcome.executables == {"run.sh", "again.sh"}, outcome


async def test_more_files_than_a_process_may_open_come_back(either: Sandbox) -> None:
    source = "import os\nfor n in range(3000): open(f\"{os.environ['MOVE37_OUT']}/{n}\", 'w').write(str(n))"
    outcome = await either.run(program(source, collect=("*",)))
    assert len(outcome.files) == 3000 and outcome.files["2999"] == b"2999"


async def test_a_limit_holds_while_nobody_reads_the_output(either: Sandbox) -> None:
    """The reader sleeps for longer than the program may run; what the program would do afterwards is never done."""
    source = """
import os, threading, time
def flood():
    while True: os.write(1, b"x" * 65536)
threading.Thread(target=flood, daemon=True).start()
time.sleep(8)
open(os.environ["MOVE37_OUT"] + "/done", "w").close()
os._exit(0)
"""
    slept = False

    def reader(_: object, data: bytes) -> None:
        nonlocal slept
        if not slept:
            slept = True
            time.sleep(9)  # the whole event loop stands still, as it does behind `| less`

    limits = replace(QUICK, wall_seconds=1.0, output_bytes=256 * MIB)
    outcome = await either.run(program(source, collect=("*",), limits=limits), on_output=reader)
    assert slept and outcome.status is Status.TIMED_OUT and not outcome.files
    assert outcome.wall_seconds < 7


async def test_results_that_travel_for_longer_than_the_program_may_run_still_come(either: Sandbox) -> None:
    source = "import os, time; open(os.environ['MOVE37_OUT'] + '/big', 'wb').write(bytes(200 << 20)); print('x')"
    limits = replace(QUICK, wall_seconds=20, disk_bytes=512 * MIB, file_bytes=512 * MIB, result_bytes=256 * MIB)
    outcome = await either.run(program(source, collect=("*",), limits=replace(limits, memory_bytes=1024 * MIB)))
    assert outcome.status is Status.DONE and len(outcome.files["big"]) == 200 << 20


async def test_processor_time_and_memory_are_those_of_all_processes(either: Sandbox) -> None:
    source = """
import os, time
reader, writer = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        held = os.urandom(100 << 20)
        while time.process_time() < 1.0: pass
        os.write(writer, b".")
        time.sleep(60)
    os._exit(0)
os.read(reader, 1)
"""
    outcome = await either.run(program(source, limits=replace(QUICK, threads=2)))
    assert outcome.cpu_seconds >= 1.0 and outcome.peak_memory_bytes >= 100 * MIB
    idle = await either.run(program("pass"))
    assert idle.cpu_seconds < 0.5 and idle.peak_memory_bytes < 60 * MIB


async def test_a_job_may_split_itself_into_a_parent_and_a_confined_child(either: Sandbox) -> None:
    """Fork, shared memory, socket pairs, no_new_privs, dumpable, Landlock and seccomp are a job's to use on itself; and
    it can find out that nobody traces it."""
    source = """
import ctypes, mmap, os, socket
libc = ctypes.CDLL(None, use_errno=True)
shared = mmap.mmap(-1, 4096)
descriptor = os.memfd_create("weights")
os.ftruncate(descriptor, 4096)
weights = mmap.mmap(descriptor, 4096)
ours, theirs = socket.socketpair()
assert libc.prctl(4, 0, 0, 0, 0) == 0          # not dumpable
pid = os.fork()
if pid == 0:
    assert libc.prctl(38, 1, 0, 0, 0) == 0     # no_new_privs
    rules = (ctypes.c_uint64 * 3)(0x1FFF, 0, 0)
    ruleset = libc.syscall(444, rules, ctypes.c_size_t(8), 0)
    landlock = ruleset >= 0 and libc.syscall(446, ruleset, 0) == 0
    shared[0] = weights[0] = 7
    traced = libc.ptrace(16, os.getppid(), 0, 0)   # PTRACE_ATTACH
    here, there = (ctypes.c_char * 8)(), (ctypes.c_void_p * 2)(0, 8)
    local = (ctypes.c_void_p * 2)(ctypes.addressof(here), 8)
    read = libc.syscall(310, os.getppid(), local, 1, there, 1, 0)
    try:
        open(f"/proc/{os.getppid()}/mem", "rb"); memory = "open"
    except OSError:
        memory = "closed"
    theirs.sendall(f"{landlock} {traced} {read} {memory}".encode())
    os._exit(0)
os.waitpid(pid, 0)
print(ours.recv(100).decode(), shared[0], weights[0])
"""
    assert await said(either, program(source)) in ("True -1 -1 closed 7 7", "False -1 -1 closed 7 7")
