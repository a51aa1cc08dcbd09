"""Every colour that text is written in can be read on every ground that it stands on, light and dark."""

from __future__ import annotations

import re

import pytest

from move37.app.templating import FOLDER

ENOUGH = 4.5  # the least contrast that WCAG 2.2 (AA) asks of text
GROUNDS = ("ground", "panel", "warm-ground")
LINES = ("line",)  # no text is written in these
CODE = ("keyword", "string", "number", "defined")  # on the ground and on panels alone
_COLOUR = re.compile(r"--([\w-]+): (#[0-9a-f]{6})")


def _colours(*names: str) -> dict[str, str]:
    return {k: v for name in names for k, v in _COLOUR.findall((FOLDER / name).read_text(encoding="utf-8"))}


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("files", [("style.css",), ("style.css", "dark.css")], ids=["light", "dark"])
def test_every_colour_of_text_can_be_read_on_every_ground(files: tuple[str, ...]) -> None:
    """In the light theme the agents' names stood at 2.9 to 3.8."""
    colours = _colours(*files)
    pale = {
        (name, ground): round(_contrast(colour, colours[ground]), 2)
        for name, colour in colours.items()
        if name not in (*GROUNDS, *LINES)
        for ground in (GROUNDS[:2] if name in CODE else GROUNDS)
        if _contrast(colour, colours[ground]) < ENOUGH
    }
    assert pale == {}


def test_text_takes_its_colour_from_the_theme_and_none_is_made_paler() -> None:
    for name in ("style.css", "page.css"):
        rules = (FOLDER / name).read_text(encoding="utf-8").replace("@keyframes pulse { 50% { opacity: .35; } }", "")
        assert re.findall(r"[{;] *(?:color: *#|opacity)", rules.split("}", 1)[1]) == []
