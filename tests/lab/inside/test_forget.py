"""The corpus's docstrings, which torch brings into memory, are not in a candidate's."""

from __future__ import annotations

import gc
import sys
from types import ModuleType

import pytest
import torch

from move37.lab.inside.remote import Forward
from move37.sandbox.worker.docstrings import forget_docstrings
from tests.lab.inside.conftest import Start
from tests.lab.inside.mixers import HONEST

SOURCE = '''"""A module about {letter} that says much of nothing."""

def plain():
    """A function about {letter} that says much of nothing."""
    def inner():
        """An inner function about {letter}, that says nothing."""
    return inner

class Thing:
    """A class about {letter} that says much of nothing at all."""
    @property
    def size(self):
        """A property about {letter} that says much of nothing."""
        return 1
    @classmethod
    def make(cls):
        """A class method about {letter} that says nothing."""
    @staticmethod
    def help():
        """A static method about {letter} that says nothing."""
'''


@pytest.mark.parametrize("frozen", [False, True], ids=["usual heap", "frozen heap"])
@pytest.mark.parametrize("letter", ["a", "\u00e4", "\u03b1", "\U0001d6fc"])
def test_every_kind_of_docstring_is_blank_and_as_long(
    monkeypatch: pytest.MonkeyPatch, letter: str, frozen: bool
) -> None:
    module = ModuleType(name := f"forgettable_{ord(letter)}")
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(SOURCE.format(letter=letter), name, "exec"), vars(module))
    holders = [module, module.plain, module.plain(), module.Thing, module.Thing.size, module.Thing.make]
    lengths = [len(holder.__doc__ or "") for holder in [*holders, module.Thing.help]]
    if frozen:  # as a zygote's is, whose objects the collector then does not name
        gc.freeze()
    try:
        assert forget_docstrings(name) >= sum(lengths)
    finally:
        gc.unfreeze()
    left = [holder.__doc__ or "" for holder in [*holders, module.Thing.help]]
    assert [len(text) for text in left] == lengths and len(set("".join(left))) == 1
    assert module.Thing().size == 1 and module.plain.__name__ == "plain"


LOOKS = """
seen, left, waiting = set(), 0, [m for n, m in torch.sys.modules.items() if n.partition(".")[0] == "sympy"]
while waiting:
    thing = waiting.pop()
    if id(thing) in seen:
        continue
    seen.add(id(thing))
    held = vars(thing) if isinstance(thing, (type, type(torch))) else {}
    waiting += [v for v in list(held.values()) if str(getattr(v, "__module__", "")).partition(".")[0] == "sympy"]
    text = held.get("__doc__") or (thing.__doc__ if hasattr(thing, "__code__") else "")
    left += len(text) if isinstance(text, str) and len(text) > 40 and text.strip() else 0
if left or len(seen) < 1000:
    raise RuntimeError(f"{left} characters of the corpus are in memory, in {len(seen)} objects")
"""
LOOKING = HONEST.replace("from torch import nn\n", "from torch import nn\n" + LOOKS)


def test_a_candidate_finds_no_docstring_of_the_corpus(start: Start) -> None:
    remote = start(LOOKING)
    remote.build(layers=1, d_model=64, n_heads=4)
    assert remote.forward(0, torch.zeros(1, 4, 64), Forward()).shape == (1, 4, 64)
