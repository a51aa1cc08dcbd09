"""The corpus's docstrings, which torch brings into memory, are not in a candidate's."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch

from move37.lab.inside.forget import forget_docstrings
from move37.lab.inside.remote import Forward
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


@pytest.mark.parametrize("letter", ["a", "\u00e4", "\u03b1", "\U0001d6fc"])
def test_every_kind_of_docstring_is_blank_and_as_long(monkeypatch: pytest.MonkeyPatch, letter: str) -> None:
    module = ModuleType(name := f"forgettable_{ord(letter)}")
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(SOURCE.format(letter=letter), name, "exec"), vars(module))
    holders = [module, module.plain, module.plain(), module.Thing, module.Thing.size, module.Thing.make]
    lengths = [len(holder.__doc__ or "") for holder in [*holders, module.Thing.help]]
    assert forget_docstrings(name) >= sum(lengths)
    left = [holder.__doc__ or "" for holder in [*holders, module.Thing.help]]
    assert [len(text) for text in left] == lengths and len(set("".join(left))) == 1
    assert module.Thing().size == 1 and module.plain.__name__ == "plain"


LOOKS = """
gc, sys = torch.sys.modules["gc"], torch.sys
def texts(code):
    yield from [k for k in code.co_consts[:1] if isinstance(k, str)]
    for k in code.co_consts:
        if hasattr(k, "co_consts"):
            yield from texts(k)
left = 0
for thing in gc.get_objects():
    if issubclass(type(thing), type) or type(thing) in (type(texts), type(sys)):
        held = type.__getattribute__(thing, "__dict__") if issubclass(type(thing), type) else vars(thing)
        name = thing.__module__ if type(thing) is type(texts) else held.get("__module__", held.get("__name__", ""))
        if isinstance(name, str) and name.partition(".")[0] == "sympy":
            found = list(texts(thing.__code__)) if type(thing) is type(texts) else [held.get("__doc__")]
            left += sum(len(text) for text in found if isinstance(text, str) and len(text) > 40 and len(set(text)) > 1)
if left:
    raise RuntimeError(f"{left} characters of the corpus are in memory")
"""


def test_a_candidate_finds_no_docstring_of_the_corpus(start: Start) -> None:
    remote = start(HONEST.replace("from torch import nn\n", "from torch import nn\n" + LOOKS))
    remote.build(layers=1, d_model=64, n_heads=4)
    assert remote.forward(0, torch.zeros(1, 4, 64), Forward()).shape == (1, 4, 64)
