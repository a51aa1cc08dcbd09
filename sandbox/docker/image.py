"""Which image the containers are made of: its recipe, its name, its digest.

The recipe is a hash over the files that decide what is inside; the image carries it as a label, so that an image built
before the last change of the worker is refused instead of speaking yesterday's protocol. Building is in `build`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from move37.sandbox.errors import ImageMissing

Variant = Literal["cpu", "cuda"]

IMAGE_FOLDER = Path(__file__).parent.parent / "image"
WORKER_FOLDER = Path(__file__).parent.parent / "worker"
RECIPE_FILES = (
    *(IMAGE_FOLDER / name for name in ("Dockerfile", "requirements.txt")),
    *sorted(WORKER_FOLDER.glob("*.py")),
)
REPOSITORY = "move37-sandbox"
RECIPE_LABEL = "move37.recipe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image on this machine that can run our worker."""

    id: str  # "sha256:...": the digest of its configuration, and through it of every layer
    name: str
    recipe: str  # empty for an image that is not of our making


def wheel_processor(machine: str) -> str:
    """A machine's processor, in the word that wheels for Linux have for it; macOS and Windows have others."""
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(machine.lower(), machine)


def tag(variant: Variant) -> str:
    """The name that `move37 sandbox build` gives."""
    return f"{REPOSITORY}:{variant}"


def recipe(files: Sequence[Path] = RECIPE_FILES) -> str:
    """SHA-256 over names and contents of the files that decide what is in the image."""
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def judge_image(name: str, attributes: Mapping[str, Any] | None, wanted: str, variant: Variant = "cpu") -> Image:
    """Decide from what the engine says about `name` whether it serves; pure. Raises `ImageMissing`.

    Only our own tags are held to the recipe: an image that the user names is their choice.
    """
    build = "move37 sandbox build" + (" --cuda" if variant == "cuda" else "")
    if attributes is None:
        remedy = f"run `{build}`" if name == tag(variant) else "pull or build it, or leave --image out"
        raise ImageMissing(f"the image {name} is not on this machine: {remedy}")
    labels = (attributes.get("Config") or {}).get("Labels") or {}
    found = labels.get(RECIPE_LABEL, "")
    if name == tag(variant) and found != wanted:
        raise ImageMissing(f"the image {name} was built from an older recipe: run `{build}`")
    return Image(id=attributes["Id"], name=name, recipe=found)
