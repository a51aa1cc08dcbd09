"""`move37 sandbox`: build the image that untrusted code runs in, see what holds it, clean up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from move37.app.exits import Exit
from move37.lab.user_cache import user_cache
from move37.sandbox.errors import SandboxError
from move37.sandbox.gpus import list_gpus

if TYPE_CHECKING:
    from move37.sandbox.docker.engine import Engine

_HELP = """The Docker sandbox: its image, its state, its remains."""


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help=_HELP, rich_markup_mode=None)
    group.command("build", help=_BUILD)(build)
    group.command("status", help=_STATUS)(status)
    group.command("clean", help=_CLEAN)(clean)
    app.add_typer(group, name="sandbox")


_BUILD = """Build the image, unless it is up to date.

\b
  move37 sandbox build
  move37 sandbox build --base debootstrap      without pulling anything; needs root
  move37 sandbox build --base my-python:3.11   any image here with Python 3.11, venv and glibc
  move37 sandbox build --cuda                  torch with CUDA; needs pip to find such a build
  move37 sandbox build --services              also the images that compose.yaml starts

Wheels come from wherever this machine's pip is configured to look; without the CPU build of torch there, the CPU image
works too but is several GB large.
"""


def build(
    base: Annotated[str, typer.Option(help="An image, or 'debootstrap'.")] = "python:3.11-slim-bookworm",
    cuda: Annotated[bool, typer.Option("--cuda", help="The variant for GPUs.")] = False,
    services: Annotated[bool, typer.Option("--services", help="Also what compose.yaml starts.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Even if it is up to date.")] = False,
) -> None:
    """A build says what it does on stderr and prints the image's digest."""
    from move37.sandbox.docker import build as building
    from move37.sandbox.docker.engine import Engine
    from move37.sandbox.docker.services import build_services

    def say(text: str) -> None:
        typer.echo(f"{text} ...", err=True)

    engine = Engine.connect_now()
    try:
        image = building.build(
            engine, base=base, variant="cuda" if cuda else "cpu", cache=user_cache(), force=force, say=say
        )
        typer.echo(f"{image.name} {image.id}")
        if services:
            for name, digest in build_services(engine, base=base, cache=user_cache(), say=say).items():
                typer.echo(f"{name} {digest}")
    finally:
        engine.close()


_STATUS = """Whether Docker answers, which image is here, which containers and GPU leases are held.

\b
  move37 sandbox status
  move37 sandbox status --json

The exit status is 0 when the sandbox can be used, 3 otherwise.
"""


def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")] = False,
) -> int:
    """Everything in one look; what is missing says how to get it."""
    from move37.sandbox.docker.engine import Engine

    report: dict[str, Any] = {
        "usable": False,
        "daemon": None,
        "image": None,
        "containers": [],
        "gpus": [],
        "problem": None,
    }
    report["gpus"] = _gpus()
    try:
        engine = Engine.connect_now()
        try:
            asyncio.run(_look(engine, context.obj.sandbox.image, report))
        finally:
            engine.close()
        report["usable"] = True
    except SandboxError as error:
        report["problem"] = str(error)
    typer.echo(json.dumps(report) if as_json else _as_text(report))
    return Exit.DONE if report["usable"] else Exit.ENVIRONMENT


async def _look(engine: Engine, wanted: str | None, report: dict[str, Any]) -> None:
    from move37.sandbox.docker.confinement import OWNER_LABEL, ROLE_LABEL
    from move37.sandbox.docker.image import judge_image, recipe, tag
    from move37.sandbox.docker.protections import list_protections

    info = await engine.info()
    report["daemon"] = info.get("ServerVersion")
    report["protections"] = [
        {"name": line.name, "active": line.active, "detail": line.detail} for line in list_protections(info)
    ]
    report["containers"] = [
        {"name": one["Names"][0].lstrip("/"), "state": one["State"], "owner": one["Labels"].get(OWNER_LABEL, "")}
        for one in await engine.containers((ROLE_LABEL,))
    ]
    name = wanted or tag("cpu")
    image = judge_image(name, await engine.image(name), recipe())
    report["image"] = {"name": image.name, "digest": image.id}


def _gpus() -> list[dict[str, Any]]:
    from move37.sandbox.gpu_leases import Leases

    found = list_gpus()
    taken = {device: claim.owner for claim in Leases().held() for device in claim.devices} if found else {}
    return [
        {"uuid": gpu.uuid, "name": gpu.name, "memory_bytes": gpu.memory_bytes, "leased_by": taken.get(gpu.uuid)}
        for gpu in found
    ]


def _as_text(report: Mapping[str, Any]) -> str:
    lines = [f"Docker: {report['daemon'] or 'no answer'}"]
    lines.append(f"image: {report['image']['name']} {report['image']['digest']}" if report["image"] else "image: none")
    lines.append(f"containers: {len(report['containers'])}")
    lines += [f"  {one['name']} {one['state']}" for one in report["containers"]]
    lines.append(f"GPUs: {len(report['gpus']) or 'none'}")
    lines += [f"  {gpu['uuid']} {gpu['name']} {gpu['leased_by'] or 'free'}" for gpu in report["gpus"]]
    for line in report.get("protections", ()):
        lines.append(f"  {'on ' if line['active'] else 'off'} {line['name']}: {line['detail']}")
    if report["problem"]:
        lines.append(report["problem"])
    return "\n".join(lines)


_CLEAN = """Remove containers whose owner has ended; with --all everything of ours.

\b
  move37 sandbox clean
  move37 sandbox clean --all     every container, image and downloaded wheel, of running campaigns too
"""


def clean(
    everything: Annotated[bool, typer.Option("--all", help="Also what is in use, the images and the wheels.")] = False,
) -> None:
    """Says what was removed."""
    from move37.sandbox.docker import reap
    from move37.sandbox.docker.engine import Engine

    async def remove(engine: Engine) -> tuple[int, int]:
        if not everything:
            return await reap.sweep(engine), 0
        return await reap.remove_all(engine), await reap.remove_images(engine)

    engine = Engine.connect_now()
    try:
        containers, images = asyncio.run(remove(engine))
    finally:
        engine.close()
    typer.echo(f"removed {containers} container(s), {images} image(s)")
    if everything:
        reap.remove_wheels(user_cache())
