"""What a source carries beside its program: bytes in constants, in names, and in all of it once it is compressed. Pure.

A mixer can read its own text, so how something is spelled is data too. Compression bounds what no list of hiding places
ends: the order of operations, white space, one of a thousand letters at each place.
"""

from __future__ import annotations

import ast
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence

LONGEST_NAME = 60  # of a variable; what is longer counts as data
MOST_NAME_BYTES = 4_000  # of different names; what is beyond counts as data (the baselines have 214 to 355)
MAX_PACKED_BYTES = 8_000  # the baselines have 460 to 760, twenty published mixers in one file 6,000


def packed_bytes(bare: str) -> int:
    """Bytes of a source without comments and docstrings, compressed: more information it does not hold."""
    return len(zlib.compress(bare.encode(), 9))


def data_bytes(nodes: Sequence[ast.AST], source: str) -> int:
    """Bytes of constants less docstrings, of names that hold as much, of letters that Python reads as ASCII ones."""
    readers = {id(text) for text in docstrings(nodes)}
    constants = sum(_size(n) for n in nodes if isinstance(n, ast.Constant) and id(n) not in readers)
    names = {name for node in nodes for name in _names(node)}
    long = sum(max(0, len(name) - LONGEST_NAME) for name in names)
    odd = [c for c in source if not c.isascii() and unicodedata.normalize("NFKC", c).isascii()]
    return constants + 3 * len(odd) + max(long, sum(len(name.encode()) for name in names) - MOST_NAME_BYTES)


def docstrings(nodes: Iterable[ast.AST]) -> Iterator[ast.Constant]:
    """The string constants that are for readers."""
    for node in nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


def _size(node: ast.Constant) -> int:
    """Bytes; of a number no fewer than it is written with, because a mixer can read its own text."""
    value = node.value
    written = (node.end_col_offset or 0) - node.col_offset if isinstance(value, int | float | complex) else 0
    if type(value) is int:  # in hexadecimal digits it may be too long for decimal ones
        return max(written, 1 + value.bit_length() // 3)
    return max(written, len(repr(value).encode("utf-8", "surrogatepass")))


def _names(node: ast.AST) -> Iterator[str]:
    """Whatever of a node is a name: of a variable, an attribute, an argument, a module, a pattern."""
    for _, value in ast.iter_fields(node) if not isinstance(node, ast.Constant) else ():
        for name in value if isinstance(value, list) else [value]:
            if isinstance(name, str):
                yield name
