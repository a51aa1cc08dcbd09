"""The process backend: what a job sees, what holds it, and what is left of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from move37.sandbox.errors import DiskFull, GpuUnavailable, SandboxBroken, SandboxUnavailable
from move37.sandbox.gpu_leases import Leases
from move37.sandbox.job import MIB, Status
from move37.sandbox.process import reap, zygote_process
from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import ZygoteSettings
from tests.ending import is_running, wait_for_the_end_of
from tests.sandbox.jobs import QUICK, command, program

pytestmark = pytest.mark.asyncio(loop_scope="session")
linux = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
PATIENCE = 120  # seconds for what a busy machine may be slow at


async def test_output_exit_status_and_results_come_back(sandbox: ProcessSandbox) -> None:
    source = """
        import os, sys
        print("out"); print("err", file=sys.stderr)
        open(os.environ["MOVE37_OUT"] + "/a.json", "w").write("{}")
        open(os.environ["MOVE37_OUT"] + "/b.txt", "w").write("not asked for")
        sys.exit(3)
    """.replace("\n        ", "\n")
    outcome = await sandbox.run(program(source, collect=("a.json",)))
    assert (outcome.status, outcome.exit_code) == (Status.FAILED, 3)
    assert (outcome.stdout, outcome.stderr) == (b"out\n", b"err\n")
    assert outcome.files == {"a.json": b"{}"}
    assert outcome.wall_seconds > 0 and outcome.cpu_seconds > 0 and outcome.backend == "process"


async def test_a_job_lets_the_campaign_go_first(sandbox: ProcessSandbox) -> None:
    outcome = await sandbox.run(program("import os\nprint(os.nice(0))"))
    assert int(outcome.stdout) == min(19, os.nice(0) + 5)


async def test_output_is_heard_while_the_job_runs(sandbox: ProcessSandbox) -> None:
    heard = await cancelled_at_its_first_word(sandbox, "import time\nprint('first')\ntime.sleep(600)")
    assert heard == b"first\n"


async def test_files_are_there_and_read_only(sandbox: ProcessSandbox) -> None:
    source = (
        "print(open('deep/er/data.txt').read())\n"
        "for path in ('deep/er/data.txt', 'main.py', 'deep/new.txt'):\n"
        "    try: open(path, 'w')\n"
        "    except OSError: print('refused')\n"
        "open('new.txt', 'w').write('mine')"
    )
    job = program(source, files={"deep/er/data.txt": b"hello"}, collect=("./*",))
    outcome = await sandbox.run(job)
    assert outcome.stdout.split() == [b"hello", b"refused", b"refused", b"refused"]
    assert outcome.files == {"new.txt": b"mine"}


async def test_writable_files_are_the_jobs_own_and_come_back_changed(sandbox: ProcessSandbox) -> None:
    source = "open('log/a.txt', 'a').write('+')\nopen('log/b.txt', 'w').write('b')\nimport os; os.unlink('gone.txt')"
    job = program(source, files={"log/a.txt": b"a", "gone.txt": b""}, collect=("./*",), writable=True)
    outcome = await sandbox.run(job)
    assert outcome.stderr == b""
    assert {name: outcome.files[name] for name in outcome.files if name != "main.py"} == {
        "log/a.txt": b"a+",
        "log/b.txt": b"b",
    }


async def test_any_program_can_run_not_only_python(sandbox: ProcessSandbox) -> None:
    outcome = await sandbox.run(command("sh", "-c", "echo $1; kill -9 $$", "sh", "hi"))
    assert outcome.stdout == b"hi\n" and outcome.exit_code == 137 and outcome.status is Status.FAILED
    assert (await sandbox.run(command("no-such-program"))).exit_code == 127


async def test_time_ends_outside_and_the_next_job_runs(sandbox: ProcessSandbox) -> None:
    limits = replace(QUICK, wall_seconds=0.5)
    async with asyncio.timeout(PATIENCE):  # it would never end
        outcome = await sandbox.run(program("while True: pass", limits=limits))
    assert outcome.status is Status.TIMED_OUT and outcome.exit_code == 124 and "0.5 s" in outcome.message
    assert (await sandbox.run(program("print(1)"))).stdout == b"1\n"


async def test_memory_ends_with_137(sandbox: ProcessSandbox) -> None:
    outcome = await sandbox.run(program("x = bytearray(1 << 30)", limits=replace(QUICK, memory_bytes=128 * MIB)))
    assert outcome.status is Status.OUT_OF_MEMORY and outcome.exit_code == 137 and "128 MiB" in outcome.message


async def test_a_program_that_kills_itself_is_not_called_out_of_memory(sandbox: ProcessSandbox) -> None:
    lines = {line.name: line for line in await sandbox.protections()}
    if not lines["memory limit of all processes"].active:
        pytest.skip("without a cgroup a kill cannot be told from a kill for memory")
    outcome = await sandbox.run(program("import os; os.kill(os.getpid(), 9)"))
    assert outcome.status is Status.FAILED and outcome.exit_code == 137


async def test_output_is_cut_at_its_limit_and_drained(sandbox: ProcessSandbox) -> None:
    source = "import os\nfor _ in range(100): os.write(1, b'x' * 100_000)\nos.write(2, b'end')"
    outcome = await sandbox.run(program(source, limits=replace(QUICK, output_bytes=1000)))
    assert outcome.truncated and outcome.status is Status.DONE and len(outcome.stdout) == 1000


async def test_a_result_over_its_limit_is_left_out_and_refused_where_it_was_asked_for(sandbox: ProcessSandbox) -> None:
    source = "import os; open(os.environ['MOVE37_OUT'] + '/big', 'wb').write(bytes(2000))"
    limits = replace(QUICK, result_bytes=1000)
    outcome = await sandbox.run(program(source, collect=("*",), limits=limits))
    assert outcome.status is Status.DONE and not outcome.files and "1000 bytes" in outcome.left_out["big"]
    outcome = await sandbox.run(program(source, collect=("big",), limits=limits))
    assert outcome.status is Status.RESULTS_REFUSED and "1000 bytes" in outcome.message


@pytest.mark.slow
async def test_files_that_do_not_fit_are_our_error_and_the_sandbox_lives(
    sandbox: ProcessSandbox,
) -> None:
    # Input has room of its own; folders without end do not.
    deep = {f"{number}/{'d/' * 40}x": b"" for number in range(2000)}
    with pytest.raises(DiskFull, match="do not fit"):
        await sandbox.run(program("print(1)", files=deep))
    assert (await sandbox.run(program("print(1)"))).stdout == b"1\n"


async def test_names_that_leave_the_folder_are_refused_before_anything_runs(sandbox: ProcessSandbox) -> None:
    for name in ("../x", "/etc/x", "a/../../x", "a\\b", ""):
        with pytest.raises(ValueError):
            await sandbox.run(program("", files={name: b""}))


async def test_cancelling_kills_the_job_and_keeps_the_member(sandbox: ProcessSandbox) -> None:
    assert await cancelled_at_its_first_word(sandbox, "import time; print('runs'); time.sleep(600)")
    zygotes = set(sandbox._all)
    assert await cancelled_at_its_first_word(sandbox, "import time; print('runs'); time.sleep(600)")
    assert set(sandbox._all) == zygotes and all(zygote.alive for zygote in zygotes)
    assert (await sandbox.run(program("print(1)"))).stdout == b"1\n"


@linux
async def test_a_zygote_is_free_only_when_the_cancelled_job_is_done_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zygote_process, "CANCEL_SECONDS", 1.0)
    monkeypatch.setattr(zygote_process, "END_SECONDS", 1.0)
    async with ProcessSandbox(1, settings=ZygoteSettings(warm=False)) as own:
        heard = asyncio.Event()
        source = "import time; print('runs', flush=True); time.sleep(600)"
        limits = replace(QUICK, wall_seconds=600.0)
        task = asyncio.create_task(own.run(program(source, limits=limits), on_output=lambda *_: heard.set()))
        await asyncio.wait_for(heard.wait(), PATIENCE)
        (zygote,) = own._all
        os.kill(zygote.pid, signal.SIGSTOP)
        for pid in descendants(zygote.pid):
            os.kill(pid, signal.SIGSTOP)  # so that nobody answers
        next_one = asyncio.create_task(own.run(program("print(1)")))
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.1)
        assert not task.done() and not next_one.done()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await next_one).stdout == b"1\n" and not zygote.alive


async def test_cancelling_before_the_job_began_is_safe(sandbox: ProcessSandbox) -> None:
    for delay in (0.0, 0.002):
        task = asyncio.create_task(sandbox.run(program("import time; time.sleep(60)", files={"big": bytes(8 * MIB)})))
        await asyncio.sleep(delay)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await sandbox.run(program("print(1)"))).stdout == b"1\n"


async def test_two_jobs_of_one_zygote_draw_different_numbers_but_a_seed_holds(sandbox: ProcessSandbox) -> None:
    draw = "import random, numpy, torch; print(random.random(), numpy.random.rand(), torch.rand(1).item())"
    first, second = [(await sandbox.run(program(draw))).stdout.split() for _ in range(2)]
    assert not set(first) & set(second)
    seeded = "import torch; torch.manual_seed(3); print(torch.rand(1).item())"
    assert len({(await sandbox.run(program(seeded))).stdout for _ in range(2)}) == 1


async def test_threads_can_be_had_after_the_fork(sandbox: ProcessSandbox) -> None:
    source = "import torch; x = torch.randn(400, 400); print(torch.get_num_threads(), (x @ x).shape[0])"
    outcome = await sandbox.run(program(source, limits=replace(QUICK, threads=4)))
    assert outcome.stdout == b"4 400\n"


async def test_a_job_of_a_hundred_optimiser_steps_finds_everything_imported(sandbox: ProcessSandbox) -> None:
    source = """
import sys, torch
before = len(sys.modules)
m = torch.nn.Linear(4, 4); o = torch.optim.Adam(m.parameters())
for _ in range(100):
    o.zero_grad(); m(torch.ones(2, 4)).sum().backward(); o.step()
print(len(sys.modules) - before)
"""
    assert int((await sandbox.run(program(source))).stdout) < 10


async def test_more_jobs_than_zygotes_wait_their_turn(sandbox: ProcessSandbox) -> None:
    outcomes = await asyncio.gather(*(sandbox.run(program(f"print({n})")) for n in range(12)))
    assert [outcome.stdout for outcome in outcomes] == [f"{n}\n".encode() for n in range(12)]


async def test_a_gpu_that_is_not_there_is_a_clear_error(sandbox: ProcessSandbox, tmp_path: Path) -> None:
    async with ProcessSandbox(1, leases=Leases(folder=tmp_path, devices=lambda: ())) as bare:
        with pytest.raises(GpuUnavailable, match="no GPU"):
            await bare.run(program("", limits=replace(QUICK, gpus=1)))


async def test_a_closed_sandbox_says_so() -> None:
    closed = ProcessSandbox(1)
    await closed.close()
    with pytest.raises(SandboxUnavailable, match="closed"):
        await closed.run(program("print(1)"))


@linux
async def test_a_zygote_that_is_killed_is_an_error_once_and_replaced() -> None:
    async with ProcessSandbox(1, settings=ZygoteSettings(warm=False)) as own:
        heard = asyncio.Event()
        task = asyncio.create_task(
            own.run(program("import time; print('runs'); time.sleep(600)"), on_output=lambda *_: heard.set())
        )
        await asyncio.wait_for(heard.wait(), PATIENCE)
        os.kill(next(iter(own._all)).pid, signal.SIGKILL)
        with pytest.raises(SandboxBroken):
            await task
        assert (await own.run(program("print(1)"))).stdout == b"1\n"


@linux
@pytest.mark.slow
async def test_two_hundred_jobs_leave_nothing() -> None:
    source = "import os\nopen('f', 'w').write('x'); open('/dev/shm/f', 'w'); os.fork(); print(1)"
    async with ProcessSandbox(1) as own:
        await own.run(program("print(1)"))
        zygote = next(iter(own._all))
        before = await settled(zygote.pid)
        for number in range(200):
            await own.run(program(source if number % 4 == 0 else "print(1)", collect=("./*",)))
        assert await settled(zygote.pid) == before


async def cancelled_at_its_first_word(sandbox: ProcessSandbox, source: str) -> bytes:
    """What a program says first that would go on for minutes."""
    said: list[bytes] = []
    heard = asyncio.Event()

    def hear(_: object, data: bytes) -> None:
        said.append(data)
        heard.set()

    limits = replace(QUICK, wall_seconds=300.0)
    task = asyncio.create_task(sandbox.run(program(source, limits=limits), on_output=hear))
    await asyncio.wait_for(heard.wait(), PATIENCE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return b"".join(said)


async def settled(launcher: int) -> dict[str, int]:
    """Its footprint once the seat of the next job stands, which is made after the answer to the last one."""
    last: dict[str, int] = {}
    while last.get("processes") != 4 or footprint(launcher) != last:
        await asyncio.sleep(0.2)
        last = footprint(launcher)
    return last


def footprint(launcher: int) -> dict[str, int]:
    """What a launcher and everything below it hold: processes, descriptors and mounts."""
    tree = descendants(launcher)
    supervisor = tree[0]
    return {
        "processes": len(tree),
        "descriptors": len(os.listdir(f"/proc/{supervisor}/fd")),
        "zygote's": len(os.listdir(f"/proc/{tree[1]}/fd")),
        "mounts": len(Path(f"/proc/{supervisor}/mounts").read_text().splitlines()),
        "our own": len(os.listdir("/proc/self/fd")),
    }


def descendants(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [(int(child), int(parent)) for child, parent in (line.split() for line in found.splitlines())]
    tree, waiting = [], [pid]
    while waiting:
        parent = waiting.pop(0)
        below = sorted(child for child, of in pairs if of == parent)
        tree += below
        waiting += below
    return tree


DRIVER = """
import asyncio, logging, structlog
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import ZygoteSettings
from tests.sandbox.jobs import program

async def main():
    sandbox = ProcessSandbox(1, settings=ZygoteSettings(warm=False))
    source = "import os, time\\nprint('runs')\\nif os.fork() == 0: os.setsid()\\ntime.sleep(100)"
    await sandbox.run(program(source), on_output=lambda *_: print(next(iter(sandbox._all)).pid, flush=True))

asyncio.run(main())
"""


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_nothing_outlives_a_driver_that_is_killed(number: signal.Signals, tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, env=environment, cwd=Path(__file__).parents[2]
    )
    assert driver.stdout is not None
    launcher = int(await asyncio.to_thread(driver.stdout.readline))
    everybody = [launcher, *descendants(launcher)]
    assert len(everybody) >= 5  # launcher, supervisor, zygote, init, the job and its child
    driver.send_signal(number)
    driver.wait()
    driver.stdout.close()
    for pid in everybody:
        wait_for_the_end_of(pid, seconds=PATIENCE)
    assert not [pid for pid in everybody if is_running(pid)] and not list(tmp_path.iterdir())
    assert not [path for place in reap.FOLDERS for path in Path(place).glob(f"{reap.PREFIX}{launcher}-*")]
    assert not [path for path in Path("/sys/fs/cgroup").glob(f"**/move37-{launcher}-*") if path.is_dir()]


@linux
async def test_no_lock_of_the_driver_is_inherited(tmp_path: Path) -> None:
    import fcntl

    lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(lock, True)
    fcntl.flock(lock, fcntl.LOCK_EX)
    async with ProcessSandbox(1, settings=ZygoteSettings(warm=False)) as own:
        await own.run(program("print(1)"))
        os.close(lock)
        again = os.open(tmp_path / "lock", os.O_RDWR)
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where a child still holds it
        os.close(again)


@linux
async def test_protections_are_tried_and_named(sandbox: ProcessSandbox) -> None:
    lines = await sandbox.protections()
    assert len({line.name for line in lines}) == len(lines) >= 12
    assert all(line.detail for line in lines)
    active = {line.name for line in lines if line.active}
    assert {"no network", "no new privileges", "host environment hidden"} <= active


@linux
async def test_without_namespaces_the_rest_still_holds() -> None:
    """A machine that forbids user namespaces: the list says so, files and network stay closed, survivors die."""
    settings = ZygoteSettings(namespaces=False, cgroups=False, warm=False)
    async with ProcessSandbox(1, settings=settings) as weak:
        lines = {line.name: line for line in await weak.protections()}
        assert not lines["process namespace"].active and "switched off" in lines["process namespace"].detail
        assert lines["no network"].active and lines["Landlock"].active
        source = (
            "import os, time\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    os.fork()\n"
            "    time.sleep(60)\n"
            f"try: open({__file__!r})\n"
            "except OSError: print('closed')\n"
        )
        outcome = await weak.run(program(source))
        assert outcome.stdout == b"closed\n"
        memory = await weak.run(program("x = bytearray(1 << 30)", limits=replace(QUICK, memory_bytes=128 * MIB)))
        assert memory.status is Status.OUT_OF_MEMORY and memory.exit_code == 137
        zygote = next(iter(weak._all))
        async with asyncio.timeout(PATIENCE):
            while len(descendants(zygote.pid)) != 3:  # supervisor, zygote and the next child
                await asyncio.sleep(0.05)


async def test_a_python_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no such luck')")
    monkeypatch.setattr(zygote_process, "ENTRY", broken)
    with pytest.raises(SandboxUnavailable, match="no such luck"):
        await ProcessSandbox(1).run(program("print(1)"))
