"""Prompts are files: `agents/prompts/*.md` with {{slots}}. Filling them, and naming the version that was used."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("prompts")
_SLOT = re.compile(r"\{\{(\w+)\}\}")


@cache
def text(name: str) -> str:
    """The prompt file `name`, as written."""
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def slots(name: str) -> frozenset[str]:
    """The names of the slots in prompt `name`."""
    return frozenset(_SLOT.findall(text(name)))


def fill(name: str, **values: str) -> str:
    """Prompt `name` with its slots filled. Raises `KeyError` for a slot without a value.

    Values are inserted once and never searched for slots again, so foreign text cannot reach another slot.
    """
    return _SLOT.sub(lambda match: values[match.group(1)], text(name))


@cache
def version(name: str) -> str:
    """Short hash of a prompt file: stored with every model call."""
    return hashlib.sha256(text(name).encode()).hexdigest()[:12]
