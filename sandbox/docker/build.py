"""Builds the image: a base, wheels from wherever this machine's pip finds them, one `docker build` without a network.

Read `build` first. The steps: `prepare_base` (an image that is here, one that is pulled, or one that debootstrap makes
from the distribution's packages), `download_wheels` (kept between builds), `pack` (the build context). Blocking on
purpose: it is called by a command and by nothing else. The CUDA variant is built by the same lines, untested without
a GPU.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import structlog

from move37.sandbox.docker.engine import Engine
from move37.sandbox.docker.image import (
    IMAGE_FOLDER,
    RECIPE_FILES,
    RECIPE_LABEL,
    WORKER_FOLDER,
    Image,
    Variant,
    judge_image,
    recipe,
    tag,
    wheel_processor,
)
from move37.sandbox.docker.translation import translated
from move37.sandbox.errors import ImageMissing, ImageUnusable, SandboxError, SandboxUnavailable

log = structlog.get_logger()

DEFAULT_BASE = "python:3.11-slim-bookworm"
DEBOOTSTRAP = "debootstrap"
SUITE = "bookworm"  # its Python is 3.11, which the pinned wheels are for
PYTHON_VERSION = "3.11"
GLIBC_TAGS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014", "manylinux_2_5", "manylinux1")
BASE_PACKAGES = ("python3", "python3-venv")
COMPILER_PACKAGES = ("gcc", "libc6-dev", "python3-dev")  # Triton compiles a launcher for each kernel
PIP_SECONDS = 3600
DEBOOTSTRAP_SECONDS = 1800
BUILD_SECONDS = 3600

Say = Callable[[str], None]


def build(
    engine: Engine, *, base: str = DEFAULT_BASE, variant: Variant = "cpu", cache: Path, force: bool = False, say: Say
) -> Image:
    """Build our image unless the same recipe is built already; `cache` keeps the wheels, `say` gets the progress.

    Raises `SandboxError` of the kind that names what to do.
    """
    wanted, name = recipe(), tag(variant)
    if not force:
        try:
            with translated():
                return judge_image(name, engine.image_now(name), wanted, variant)
        except ImageMissing:
            pass
    base = prepare_base(engine, base, variant, say)
    wheels = download_wheels(cache, variant, say)
    say(f"building {name}")
    with tempfile.TemporaryFile() as context:
        pack(context, wheels)
        context.seek(0)
        arguments = {"BASE": base, "VARIANT": variant}
        docker_build(engine, context, name=name, arguments=arguments, labels={RECIPE_LABEL: wanted})
    with translated():
        return judge_image(name, engine.image_now(name), wanted, variant)


def prepare_base(engine: Engine, base: str, variant: Variant, say: Say) -> str:
    """The name of a base image that is on this machine."""
    if base == DEBOOTSTRAP:
        return _debootstrap(engine, variant, say)
    with translated():
        if engine.image_now(base) is not None:
            return base
    say(f"pulling {base}")
    try:
        with translated():
            name, mark = split_name(base)
            engine.api.pull(name, tag=mark)
    except SandboxError as error:
        raise ImageMissing(
            f"{base} cannot be pulled: use `--base debootstrap`, or name an image that is here"
        ) from error
    return base


def split_name(image: str) -> tuple[str, str]:
    """Repository and tag; a registry may have a port, which is no tag."""
    folder, slash, last = image.rpartition("/")
    name, _, mark = last.partition(":")
    return folder + slash + name, mark or "latest"


def download_wheels(cache: Path, variant: Variant, say: Say) -> Path:
    """A folder with every wheel the image needs; pip's own configuration says where from."""
    folder = cache / f"wheels-{variant}-{recipe_of_wheels()}"
    complete = folder / "complete"
    if complete.exists():
        return folder
    say(f"downloading wheels into {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    pip_download(folder, IMAGE_FOLDER / "requirements.txt")
    names = [path.name for path in folder.glob("*.whl")]
    if variant == "cuda" and any(name.startswith("torch-") and "+cpu" in name for name in names):
        shutil.rmtree(folder)
        raise ImageUnusable("pip's configuration offers a CPU build of torch only: configure an index with CUDA builds")
    if variant == "cpu" and any(name.startswith("nvidia") for name in names):
        say("pip's configuration offers no CPU build of torch: the image will be several GB larger than it need be")
    complete.touch()
    return folder


def pip_download(folder: Path, requirements: Path, *, constraints: Path | None = None) -> None:
    """Binary wheels for the image's Python on this processor, whatever Python runs us."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--dest", str(folder), "--only-binary=:all:", *_tags(wheel_processor(platform.machine()))]
    command += ["--requirement", str(requirements)]
    if constraints is not None:
        command += ["--constraint", str(constraints)]
    _run(command, PIP_SECONDS, "pip could not download the image's wheels")


def recipe_of_wheels() -> str:
    """Names the cache folder: other pins, other folder."""
    return hashlib.sha256((IMAGE_FOLDER / "requirements.txt").read_bytes()).hexdigest()[:12]


def pack(context: IO[bytes], wheels: Path) -> None:
    """Write the build context; owners and times are fixed, so that equal inputs give an equal context."""
    with tarfile.open(fileobj=context, mode="w") as tar:
        for path in RECIPE_FILES:
            folder = "worker/" if path.parent == WORKER_FOLDER else ""
            tar.add(path, arcname=folder + path.name, filter=plain)
        for wheel in sorted(wheels.glob("*.whl")):
            tar.add(wheel, arcname=f"wheels/{wheel.name}", filter=plain)


def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """An entry without owner and time."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry


def docker_build(
    engine: Engine,
    context: IO[bytes],
    *,
    name: str,
    arguments: Mapping[str, str],
    labels: Mapping[str, str],
    dockerfile: str = "Dockerfile",
    target: str = "",
) -> None:
    """`docker build` without a network. Raises `ImageUnusable` with the last lines of the build that failed."""
    said: list[str] = []
    with translated():
        stream = engine.api.build(
            fileobj=context,
            custom_context=True,
            dockerfile=dockerfile,
            target=target,
            tag=name,
            buildargs=dict(arguments),
            labels=dict(labels),
            network_mode="none",
            rm=True,
            forcerm=True,
            decode=True,
            timeout=BUILD_SECONDS,
        )
        for line in stream:
            if "error" in line:
                raise ImageUnusable(f"the image could not be built: {line['error'].strip()} ({_tail(said)})")
            if text := line.get("stream", "").strip():
                said.append(text)
                log.debug("image_build", line=text)


def _debootstrap(engine: Engine, variant: Variant, say: Say) -> str:
    repository, mark = "move37-base", f"{SUITE}-{variant}"
    name = f"{repository}:{mark}"
    with translated():
        if engine.image_now(name) is not None:
            return name
    if shutil.which("debootstrap") is None:
        raise SandboxUnavailable("debootstrap is not installed: run `apt-get install debootstrap`")
    if os.geteuid() != 0:
        raise SandboxUnavailable("debootstrap needs root: run `sudo move37 sandbox build --base debootstrap`")
    say(f"making a base of {SUITE} with debootstrap")
    packages = BASE_PACKAGES + (COMPILER_PACKAGES if variant == "cuda" else ())
    with tempfile.TemporaryDirectory(prefix="move37-base-") as folder:
        root = Path(folder) / "root"
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", SUITE, str(root)]
        _run(command, DEBOOTSTRAP_SECONDS, "debootstrap failed")
        # Package lists and archives are dead weight in an image that installs nothing any more.
        for waste in ("var/cache/apt", "var/lib/apt/lists"):
            shutil.rmtree(root / waste, ignore_errors=True)
        _import_folder(engine, root, repository, mark)
    return name


def _import_folder(engine: Engine, root: Path, repository: str, mark: str) -> None:
    with subprocess.Popen(
        ["tar", "--create", "--numeric-owner", "--directory", str(root), "."], stdout=subprocess.PIPE
    ) as tar:
        assert tar.stdout is not None
        with translated():
            engine.api.import_image_from_stream(tar.stdout, repository=repository, tag=mark)
    if tar.returncode != 0:
        raise ImageUnusable("tar could not read the new base")


def _tags(machine: str) -> list[str]:
    wanted = [
        "--implementation",
        "cp",
        "--python-version",
        PYTHON_VERSION,
        "--abi",
        f"cp{PYTHON_VERSION.replace('.', '')}",
    ]
    wanted += ["--abi", "abi3", "--abi", "none"]
    for glibc in (*GLIBC_TAGS, "linux"):
        wanted += ["--platform", f"{glibc}_{machine}"]
    return wanted


def _run(command: Sequence[str], seconds: float, complaint: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise SandboxUnavailable(f"{complaint}: no end after {seconds:.0f} s") from error
    if done.returncode != 0:
        raise SandboxUnavailable(f"{complaint}: {_tail((done.stderr or done.stdout).splitlines())}")


def _tail(lines: Sequence[str]) -> str:
    return " | ".join(line.strip() for line in lines[-3:] if line.strip())
