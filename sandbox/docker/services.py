"""Builds what compose.yaml starts besides Qdrant: the engine's proxy, and a worker that runs a campaign.

Both come from the checkout that this module lies in, and from the sandbox image and its base, which have to be built
before. The worker has the project's dependencies as `requirements.lock` pins them, less those of tests.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import IO

from move37.sandbox.docker.build import Say, docker_build, pip_download, plain, prepare_base
from move37.sandbox.docker.engine import Engine
from move37.sandbox.docker.image import IMAGE_FOLDER, judge_image, recipe, tag
from move37.sandbox.docker.translation import translated
from move37.sandbox.errors import SandboxUnavailable

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("app", "agents", "lab", "memory", "sandbox", "kernels", "benchmarks")
PROXY, WORKER = "move37-proxy:latest", "move37-worker:latest"
RECIPE_FILE = "services.Dockerfile"
# The proxy unpacks these two by hand, so they have to be among the wheels even where the sandbox image has them.
UNPACKED = ("structlog", "typing_extensions")
# The sandbox image has this one without its sources, and a campaign reads them: they are the corpus.
SOURCES = "sympy"


def build_services(engine: Engine, *, base: str, cache: Path, say: Say) -> dict[str, str]:
    """Build both images; their names and digests. Raises `SandboxError` of the kind that says what to do."""
    with translated():
        sandbox = judge_image(tag("cpu"), engine.image_now(tag("cpu")), recipe())
    if not (ROOT / "pyproject.toml").is_file():
        raise SandboxUnavailable("the services are built from a checkout: run this command in one")
    base = prepare_base(engine, base, "cpu", say)
    wheels = _wheels(cache, say)
    digests = {}
    for name, target in ((PROXY, "proxy"), (WORKER, "worker")):
        say(f"building {name}")
        with tempfile.TemporaryFile() as context:
            _pack(context, wheels)
            context.seek(0)
            arguments = {"BASE": base, "SANDBOX": sandbox.name}
            labels = {"move37.stage": target}
            docker_build(
                engine, context, name=name, arguments=arguments, labels=labels, dockerfile=RECIPE_FILE, target=target
            )
        with translated():
            digests[name] = str((engine.image_now(name) or {})["Id"])
    return digests


def dependencies() -> list[str]:
    """What the project needs when it runs, in the words of pyproject.toml.

    Without Triton, half a gigabyte: a worker compiles no kernel, whatever uses a GPU runs in the sandbox's image.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [str(line) for line in project["dependencies"] if not str(line).startswith("triton")]


def _wheels(cache: Path, say: Say) -> Path:
    wanted = "\n".join(dependencies())
    constraints = ROOT / "requirements.lock"
    key = hashlib.sha256(f"{wanted}\n{UNPACKED}{SOURCES}".encode() + constraints.read_bytes()).hexdigest()[:12]
    folder = cache / f"wheels-services-{key}"
    if (folder / "complete").exists():
        return folder
    say(f"downloading the worker's wheels into {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dependencies.txt").write_text(wanted + "\n")
    pip_download(folder, folder / "dependencies.txt", constraints=constraints)
    for wheel in folder.glob("*.whl"):
        if _is_in_sandbox(wheel.name):
            wheel.unlink()
    (folder / "complete").touch()
    return folder


def _is_in_sandbox(wheel: str) -> bool:
    """Whether the sandbox image has this package already."""
    pins = (IMAGE_FOLDER / "requirements.txt").read_text().splitlines()
    there = {line.split("==")[0].lower() for line in pins if "==" in line}
    package = wheel.split("-")[0].lower()
    return package in there and package not in (*UNPACKED, SOURCES)


def _pack(context: IO[bytes], wheels: Path) -> None:
    with tarfile.open(fileobj=context, mode="w") as tar:
        tar.add(IMAGE_FOLDER / RECIPE_FILE, arcname=RECIPE_FILE, filter=plain)
        tar.add(ROOT / "requirements.lock", arcname="constraints.txt", filter=plain)
        tar.add(wheels / "dependencies.txt", arcname="dependencies.txt", filter=plain)
        for wheel in sorted(wheels.glob("*.whl")):
            tar.add(wheel, arcname=f"wheels/{wheel.name}", filter=plain)
        for path in sorted((ROOT / "src/move37").glob("*.py")):
            tar.add(path, arcname=f"source/move37/{path.name}", filter=plain)
        for room in ROOMS:
            for path in sorted((ROOT / room).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    tar.add(path, arcname=f"source/move37/{path.relative_to(ROOT)}", filter=plain)
