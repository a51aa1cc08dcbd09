"""Every pattern that a stranger's text meets walks it once: what is long and odd costs time, and not a day."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Iterator
from itertools import product

import pytest

MODULES = ("bibtex", "bm25", "embed", "guard", "ingest", "layout", "papers", "pdf", "rank", "references")
UNITS = (
    " ", "\n", "\t", " \n", "a", "a ", "A_bb", "-", "-\n", "#", "#\n", "# ", "* ", "{", "}", "[", '"', "\\", "<", "<a ",
    "<|", "`", "---\n", "@", "@a{", ",", ", ", "a=", "%\n", "1", "1.", ". ", ":", ": ", "> ", "**A_bb", "\u2010\n",
    "Title ",
)  # fmt: skip
BEFORE, BEHIND = ("", "# a", ":", "**A"), ("", "x")
LENGTH = 5000  # a walk from each sign takes 12 million steps: a tenth of a second and more; one walk less than a ms
LIMIT_S = 0.05


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for name in MODULES:
        module = importlib.import_module(f"move37.memory.{name}")
        yield from ((f"{name}.{key}", one) for key, one in vars(module).items() if isinstance(one, re.Pattern))


@pytest.mark.parametrize(("name", "pattern"), [pytest.param(*pair, id=pair[0]) for pair in patterns()])
def test_a_pattern_walks_a_text_once(name: str, pattern: re.Pattern[str]):
    for before, unit, behind in product(BEFORE, UNITS, BEHIND):
        text = before + unit * (LENGTH // len(unit)) + behind
        # The least of three: one that walks once can be held up once.
        assert any(seconds(pattern, text) < LIMIT_S for _ in range(3)), (before, unit, behind)


def seconds(pattern: re.Pattern[str], text: str) -> float:
    begun = time.process_time()
    for _ in pattern.finditer(text):
        pass
    return time.process_time() - begun
