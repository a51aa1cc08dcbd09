"""Who may use which GPU now.

Read in this order: `grant` (who gets what; pure), `Leases` (the file that all processes of this user share), `Lease`.

A lease is exclusive. It ends when it is released, when its holder's process has ended, or when the holder has not
renewed it for `EXPIRY_SECONDS`: nothing has to be cleaned up after a crash. Whoever waits stands in one queue, first
come, first served, so that a job that wants four devices is not overtaken for ever by those that want one.

Not covered: GPUs of other users' processes.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from uuid import uuid4

import structlog

from move37.sandbox.errors import GpuUnavailable
from move37.sandbox.gpus import Gpu, list_gpus
from move37.sandbox.process_identity import current, is_dead, parse

log = structlog.get_logger()


EXPIRY_SECONDS = 600.0
RENEW_SECONDS = 60.0
POLL_SECONDS = 0.25
TICKET_SECONDS = 30.0  # a waiter that has not polled for so long has gone


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuClaim:
    """A holder (`devices` not empty) or a waiter in the queue."""

    id: str
    owner: str  # `move37.sandbox.process_identity`
    count: int  # devices wanted
    devices: tuple[str, ...] = ()
    until: float  # Unix time; past it the claim counts for nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTable:
    """What the shared file holds: claims in order of arrival."""

    claims: tuple[GpuClaim, ...] = ()

    def alive(self, now: float, dead: Callable[[str], bool]) -> LeaseTable:
        """Without the claims of processes that ended, and those that were not renewed."""
        return LeaseTable(claims=tuple(claim for claim in self.claims if claim.until > now and not dead(claim.owner)))

    def find(self, id: str) -> GpuClaim | None:
        """The claim of that name."""
        return next((claim for claim in self.claims if claim.id == id), None)

    def put(self, claim: GpuClaim) -> LeaseTable:
        """With `claim` in its old place, or last."""
        if self.find(claim.id) is None:
            return LeaseTable(claims=(*self.claims, claim))
        return LeaseTable(claims=tuple(claim if old.id == claim.id else old for old in self.claims))

    def without(self, id: str) -> LeaseTable:
        """As if that claim had never been."""
        return LeaseTable(claims=tuple(claim for claim in self.claims if claim.id != id))


def grant(table: LeaseTable, id: str, uuids: Sequence[str]) -> tuple[str, ...]:
    """The devices that claim `id` may take now; empty while it has to wait. Pure.

    Devices are taken in the order of `uuids`. Whoever came earlier and still waits goes first, even when there is
    enough for us and not for them.
    """
    taken = {device for claim in table.claims for device in claim.devices}
    free = [uuid for uuid in uuids if uuid not in taken]
    for claim in table.claims:
        if claim.devices:
            continue
        if claim.id != id:
            return ()
        return tuple(free[: claim.count]) if len(free) >= claim.count else ()
    return ()


def default_folder() -> Path:
    """Where all processes of this user on this machine find the same file."""
    base = os.environ.get("XDG_RUNTIME_DIR") or f"{tempfile.gettempdir()}/move37-{os.getuid()}"
    return Path(base) / "move37-gpus"


@dataclass
class Leases:
    """The one file of leases; any number of processes may use it at once."""

    folder: Path = field(default_factory=default_folder)
    devices: Callable[[], tuple[Gpu, ...]] = list_gpus
    clock: Callable[[], float] = time.time

    async def acquire(self, count: int, *, wait_seconds: float) -> Lease:
        """Wait for `count` free devices. Raises `GpuUnavailable` when there are too few, or none came free in time."""
        uuids = [gpu.uuid for gpu in self.devices()]
        if count > len(uuids):
            have = "no GPU" if not uuids else f"{len(uuids)} of them"
            raise GpuUnavailable(
                f"{count} GPU(s) were asked for and this machine has {have}: ask for fewer, or for none"
            )
        id, deadline = uuid4().hex, self.clock() + wait_seconds
        try:
            while not (devices := self._try(id, count, uuids)):
                if self.clock() >= deadline:
                    raise GpuUnavailable(f"no GPU came free within {wait_seconds:.0f} s: wait longer, or ask for fewer")
                await asyncio.sleep(POLL_SECONDS)
        except BaseException:
            self.release(id)
            raise
        log.info("gpu_leased", lease=id, devices=list(devices))
        return Lease(id=id, devices=devices, leases=self)

    def _try(self, id: str, count: int, uuids: Sequence[str]) -> tuple[str, ...]:
        with self._locked() as locked:
            waiting = GpuClaim(id=id, owner=str(current()), count=count, until=self.clock() + TICKET_SECONDS)
            locked.table = locked.table.put(waiting)
            devices = grant(locked.table, id, uuids)
            if devices:
                held = replace(waiting, devices=devices, until=self.clock() + EXPIRY_SECONDS)
                locked.table = locked.table.put(held)
            return devices

    def renew(self, id: str) -> bool:
        """Put the end of a lease further away; False when it was lost."""
        with self._locked() as locked:
            claim = locked.table.find(id)
            if claim is None:
                return False
            locked.table = locked.table.put(replace(claim, until=self.clock() + EXPIRY_SECONDS))
            return True

    def release(self, id: str) -> None:
        """Give the devices back, or leave the queue. Idempotent."""
        with self._locked() as locked:
            locked.table = locked.table.without(id)

    def held(self) -> tuple[GpuClaim, ...]:
        """Who holds what now."""
        with self._locked() as locked:
            return tuple(claim for claim in locked.table.claims if claim.devices)

    @contextmanager
    def _locked(self) -> Iterator[_Locked]:
        for folder in (self.folder.parent, self.folder):
            # `parents=True` would give the outer one the umask's mode.
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        path = self.folder / "leases.json"
        with open(self.folder / "lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel drops it when we die
            locked = _Locked(table=_read(path).alive(self.clock(), _owner_is_dead))
            yield locked
            _write(path, locked.table)


@dataclass
class _Locked:
    table: LeaseTable


@dataclass
class Lease:
    """Exclusive use of `devices` until the end of the `async with` block."""

    id: str
    devices: tuple[str, ...]
    leases: Leases
    _renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Lease:
        self._renewing = asyncio.create_task(self._renew())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        self.leases.release(self.id)
        log.info("gpu_released", lease=self.id)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                kept = self.leases.renew(self.id)
            except OSError as error:
                # A full disk passes; the lease lives on for as long as it was last granted.
                log.warning("gpu_lease_not_renewed", lease=self.id, why=str(error))
                continue
            if not kept:
                log.error("gpu_lease_lost", lease=self.id, devices=list(self.devices))
                return


def _owner_is_dead(text: str) -> bool:
    owner = parse(text)
    return owner is None or is_dead(owner, local=True)


def _read(path: Path) -> LeaseTable:
    try:
        raw = json.loads(path.read_text())
        return LeaseTable(claims=tuple(GpuClaim(**{**claim, "devices": tuple(claim["devices"])}) for claim in raw))
    except FileNotFoundError:
        return LeaseTable()
    except (ValueError, TypeError, KeyError):
        # Written half by something that is not us: a lost table costs one double use, a stuck one costs every job.
        log.warning("gpu_leases_unreadable", path=str(path))
        return LeaseTable()


def _write(path: Path, table: LeaseTable) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps([asdict(claim) for claim in table.claims]))
    new.replace(path)
