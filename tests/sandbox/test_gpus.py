"""GPUs and their leases. No machine of ours has a GPU: NVML is a fake here, and the names of the tests say so."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.sandbox.errors import GpuUnavailable
from move37.sandbox.gpu_leases import EXPIRY_SECONDS, GpuClaim, Leases, LeaseTable, grant
from move37.sandbox.gpus import Gpu, list_gpus
from move37.sandbox.process_identity import current

GB = 2**30


@dataclass
class Card:
    uuid: str
    mig: bool = False
    slices: dict[int, str] = field(default_factory=dict)  # place on the card -> UUID
    knows_mig: bool = True


class NvmlRefuses(Exception):
    """As NVML's own."""


class FakeNvml:
    """Answers as NVML does for `cards`; without a driver it refuses to start."""

    NVMLError: type[Exception] = NvmlRefuses

    def __init__(self, *cards: Card, driver: bool = True) -> None:
        self.cards, self.driver, self.running = cards, driver, 0

    def nvmlInit(self) -> None:
        if not self.driver:
            raise self.NVMLError("driver not loaded")
        self.running += 1

    def nvmlShutdown(self) -> None:
        self.running -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:
        return self.cards[index]

    def nvmlDeviceGetUUID(self, handle: Card | str) -> bytes:
        return (handle if isinstance(handle, str) else handle.uuid).encode()

    def nvmlDeviceGetName(self, handle: Card | str) -> str:
        return "Fake H100 MIG 1g" if isinstance(handle, str) else "Fake H100"

    def nvmlDeviceGetMemoryInfo(self, handle: Card | str) -> SimpleNamespace:
        return SimpleNamespace(total=(10 if isinstance(handle, str) else 80) * GB)

    def nvmlDeviceGetMigMode(self, handle: Card) -> list[int]:
        if not handle.knows_mig:
            raise self.NVMLError("not supported")
        return [int(handle.mig), int(handle.mig)]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Card) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Card, index: int) -> str:
        if index not in handle.slices:
            raise self.NVMLError("not found")
        return handle.slices[index]


def devices(count: int):
    return lambda: tuple(Gpu(uuid=f"GPU-{n}", name="Fake", memory_bytes=GB) for n in range(count))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def leases(folder: Path, count: int, clock: Clock | None = None) -> Leases:
    return Leases(folder=folder, devices=devices(count), clock=clock or Clock())


def test_fake_nvml_lists_whole_cards():
    nvml = FakeNvml(Card("GPU-a"), Card("GPU-b", knows_mig=False))
    assert [gpu.uuid for gpu in list_gpus(nvml)] == ["GPU-a", "GPU-b"]
    assert list_gpus(nvml)[0].memory_bytes == 80 * GB and nvml.running == 0


def test_fake_nvml_lists_a_card_that_is_cut_as_its_slices():
    nvml = FakeNvml(Card("GPU-a", mig=True, slices={0: "MIG-x", 3: "MIG-y"}), Card("GPU-b"))
    found = list_gpus(nvml)
    assert [(gpu.uuid, gpu.parent) for gpu in found] == [("MIG-x", "GPU-a"), ("MIG-y", "GPU-a"), ("GPU-b", "")]


def test_fake_nvml_without_a_driver_has_no_gpus():
    assert list_gpus(FakeNvml(driver=False)) == ()


def test_the_real_nvml_answers_here_too():
    assert isinstance(list_gpus(), tuple)


CLAIMS = st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=6)


@given(CLAIMS, st.integers(1, 4))
def test_no_device_is_ever_given_twice(claims: list[tuple[int, bool]], count: int):
    uuids = [f"GPU-{n}" for n in range(4)]
    waiting = tuple(GpuClaim(id=str(n), owner="o", count=c, until=1.0) for n, (c, _) in enumerate(claims))
    table = LeaseTable(claims=waiting)
    for claim in table.claims:
        got = grant(table, claim.id, uuids)
        table = table.put(replace(claim, devices=got))
    taken = [device for claim in table.claims for device in claim.devices]
    assert len(taken) == len(set(taken))
    assert all(len(claim.devices) in (0, claim.count) for claim in table.claims)


def test_whoever_waits_longest_is_not_overtaken():
    held = GpuClaim(id="holder", owner="o", count=1, devices=("GPU-0",), until=1.0)
    wants_two = GpuClaim(id="two", owner="o", count=2, until=1.0)
    wants_one = GpuClaim(id="one", owner="o", count=1, until=1.0)
    table = LeaseTable(claims=(held, wants_two, wants_one))
    uuids = ["GPU-0", "GPU-1"]
    assert grant(table, "one", uuids) == () and grant(table, "two", uuids) == ()
    assert grant(table.without("holder"), "two", uuids) == ("GPU-0", "GPU-1")
    assert grant(table.without("two"), "one", uuids) == ("GPU-1",)


async def test_fake_gpus_are_leased_and_given_back(tmp_path: Path):
    pool = leases(tmp_path, 2)
    async with await pool.acquire(2, wait_seconds=1) as lease:
        assert lease.devices == ("GPU-0", "GPU-1")
        with pytest.raises(GpuUnavailable, match="came free"):
            await pool.acquire(1, wait_seconds=0)
    assert pool.held() == ()


class Watched(Leases):
    """Leases of one GPU that tell when somebody has asked for it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder=folder, devices=devices(1))
        self._asked = asyncio.Event()

    def _try(self, id: str, count: int, uuids: Sequence[str]) -> tuple[str, ...]:
        found = super()._try(id, count, uuids)
        self._asked.set()
        return found

    async def asked(self) -> None:
        """Returns when somebody has asked once more."""
        self._asked.clear()
        await self._asked.wait()


async def test_a_waiter_gets_the_fake_gpu_when_it_comes_free(tmp_path: Path):
    pool = Watched(tmp_path)
    async with await pool.acquire(1, wait_seconds=1):
        waiting = asyncio.create_task(pool.acquire(1, wait_seconds=20))
        await pool.asked()
        await pool.asked()
        assert not waiting.done()
    assert (await waiting).devices == ("GPU-0",)


async def test_whoever_gives_up_leaves_the_queue(tmp_path: Path):
    pool = Watched(tmp_path)
    async with await pool.acquire(1, wait_seconds=1):
        waiting = asyncio.create_task(pool.acquire(1, wait_seconds=20))
        await pool.asked()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert json.loads((tmp_path / "leases.json").read_text()) == []


@pytest.mark.parametrize("there, asked", [(0, 1), (1, 2)])
async def test_more_fake_gpus_than_there_are_is_refused_at_once(tmp_path: Path, there: int, asked: int):
    with pytest.raises(GpuUnavailable, match="ask for"):
        await leases(tmp_path, there).acquire(asked, wait_seconds=60)


HOLD = """
import asyncio, os, sys
from pathlib import Path
from move37.sandbox.gpu_leases import Leases
from move37.sandbox.gpus import Gpu
pool = Leases(folder=Path(sys.argv[1]), devices=lambda: (Gpu(uuid="GPU-0", name="Fake", memory_bytes=1),))
asyncio.run(pool.acquire(1, wait_seconds=1))
os._exit(9)
"""


async def test_a_fake_gpu_whose_holder_crashed_is_free_again(tmp_path: Path):
    assert subprocess.run([sys.executable, "-c", HOLD, str(tmp_path)], check=False).returncode == 9
    assert "GPU-0" in (tmp_path / "leases.json").read_text()
    assert (await leases(tmp_path, 1, clock=Clock()).acquire(1, wait_seconds=0)).devices == ("GPU-0",)


async def test_a_lease_that_nobody_renews_expires_and_one_that_is_renewed_does_not(tmp_path: Path):
    clock = Clock()
    pool = leases(tmp_path, 1, clock)
    lease = await pool.acquire(1, wait_seconds=0)
    clock.now += EXPIRY_SECONDS - 1
    assert pool.renew(lease.id)
    clock.now += EXPIRY_SECONDS - 1
    assert [claim.devices for claim in pool.held()] == [("GPU-0",)]
    clock.now += 2
    assert pool.held() == () and not pool.renew(lease.id)


async def test_a_file_of_leases_that_cannot_be_read_is_begun_anew(tmp_path: Path):
    (tmp_path / "leases.json").write_text("{half")
    assert (await leases(tmp_path, 1).acquire(1, wait_seconds=0)).devices == ("GPU-0",)


def test_the_owner_in_the_file_is_this_process(tmp_path: Path):
    asyncio.run(leases(tmp_path, 1).acquire(1, wait_seconds=0))
    assert str(current()) in (tmp_path / "leases.json").read_text()
