"""Blanks the docstrings of a loaded package whose sources are the lab's corpus, because a fork copies memory.

torch imports some four hundred modules of sympy, with 3.6 million characters of docstrings. A mixer could look them up
and continue a text that it recognises. Their characters are overwritten in place, so that neither an attribute nor the
heap has them; the objects keep their length. The zygote does it once for all jobs, before it freezes its heap; a job's
own process (`lab/inside/spawner.py`) does it for what it loaded itself, or where no zygote did. The image has none.
Not covered: names, short constants and the order of operations, which the package's functions need to run.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, ModuleType

_ASCII_HEAD = "".__sizeof__() - 1  # bytes of a string object before its characters; a zero stands behind them
_HEAD = (chr(0x3B1) * 2).__sizeof__() - 3 * 2
_FILLERS = {0: 0x20, 1: 0xA0, 2: 0x2003, 4: 0x1D173}  # the interpreter relies on a string's widest character
SHORTEST = 24  # characters; what is shorter is a constant that something may need


def forget_docstrings(package: str) -> int:
    """Overwrite them by blanks; how many characters. CPython only: elsewhere nothing is done."""
    if sys.implementation.name != "cpython":
        return 0
    if frozen := bool(gc.get_freeze_count() and (getattr(sys.modules.get(package), "__doc__", None) or "").strip()):
        gc.unfreeze()  # what is frozen is not among the collector's objects
    texts = {id(text): text for text in _docstrings(package) if len(text) >= SHORTEST}
    count = sum(_blank(text) for text in texts.values())
    if frozen:
        gc.freeze()
    return count


def _docstrings(package: str) -> Iterator[str]:
    for thing in gc.get_objects():
        kind = type(thing)  # not isinstance and getattr: a stand-in may import what it stands for
        if kind is FunctionType and _is_of(thing.__module__, package):
            yield from _first_constants(thing.__code__)
            yield from _texts([thing.__doc__])
        elif kind is ModuleType and _is_of(vars(thing).get("__name__"), package):
            yield from _texts([vars(thing).get("__doc__")])
        elif issubclass(kind, type) and _is_of(type.__getattribute__(thing, "__dict__").get("__module__"), package):
            held = type.__getattribute__(thing, "__dict__")
            yield from _texts([held.get("__doc__"), *(v.__doc__ for v in held.values() if type(v) is property)])


def _is_of(module: object, package: str) -> bool:
    return type(module) is str and module.partition(".")[0] == package


def _texts(values: Iterable[object]) -> Iterator[str]:
    return (value for value in values if type(value) is str)


def _first_constants(code: CodeType) -> Iterator[str]:
    """A function's docstring is its first constant, also where it has been taken from the function."""
    if code.co_consts and isinstance(code.co_consts[0], str):
        yield code.co_consts[0]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _first_constants(constant)


def _blank(text: str) -> int:
    """The characters stand behind the object's head, in one to four bytes each."""
    wide = 1 if max(text) < "\u0100" else 2 if max(text) < "\U00010000" else 4
    start = id(text) + (_ASCII_HEAD if text.isascii() else _HEAD)
    filler = _FILLERS[0] if text.isascii() else _FILLERS[wide]
    ctypes.memmove(start, filler.to_bytes(wide, sys.byteorder) * len(text), wide * len(text))
    return len(text)
