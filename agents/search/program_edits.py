"""Random edits of a program: numbers change, statements are deleted, copied or swapped. Nothing else. Pure.

Genetic improvement inside the region between the markers; the text outside stays as it is, byte for byte. The plan is
JSON, {"parent": id, "edits": [...]}, each edit a replacement of whole text found by line and column, so that the
Engineer can repeat it. Read `mutate` (one edit) and `apply`; what the roles do with them is in program.py.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

START, END = "# EVOLVE-BLOCK-START", "# EVOLVE-BLOCK-END"
KINDS = ("literal", "delete", "copy", "swap")
WEIGHTS = (7, 1, 1, 1)
SPREADS = (0.01, 0.05, 0.25)  # relative steps of a number
SIMPLE = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.If, ast.For, ast.While)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramEdit:
    """Characters `start` to `end` of the text before it become `new`."""

    kind: str  # one of KINDS
    start: int
    end: int
    old: str
    new: str
    line: int  # of the start, for people

    def __str__(self) -> str:
        if self.kind == "literal":
            return f"{self.old} becomes {self.new} in line {self.line}"
        return f"{self.kind} at line {self.line}"


def region(text: str) -> tuple[int, int] | None:
    """Where the first changeable region begins and ends, in characters; None when there is none."""
    found = re.search(rf"^[ \t]*{START}[^\n]*\n(.*?)^[ \t]*{END}[^\n]*$", text, re.MULTILINE | re.DOTALL)
    return found.span(1) if found else None


def apply(text: str, edits: Sequence[ProgramEdit]) -> str | None:
    """The text after the edits in order; None when one does not fit this text or leaves its region."""
    for edit in edits:
        span = region(text)
        if span is None or not span[0] <= edit.start <= edit.end <= span[1] or text[edit.start : edit.end] != edit.old:
            return None
        text = text[: edit.start] + edit.new + text[edit.end :]
    return text


def mutate(text: str, rng: Random, weights: Sequence[float] = WEIGHTS) -> ProgramEdit | None:
    """One edit, its kind drawn by `weights`, after which the file is still Python; or None."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    span = region(text)
    if span is None:
        return None
    kind = rng.choices(KINDS, weights)[0]
    places = _Places(text, span)
    edit = _literal(tree, places, rng) if kind == "literal" else _statement(tree, places, kind, rng)
    if edit is None or edit.old == edit.new:
        return None
    changed = apply(text, [edit])
    try:
        return edit if changed is not None and ast.dump(ast.parse(changed)) != ast.dump(tree) else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class _Places:
    """From the parser's lines and byte columns to characters, within the region."""

    def __init__(self, text: str, span: tuple[int, int]) -> None:
        self.text = text
        self.span = span
        self._lines = text.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def of(self, node: ast.expr | ast.stmt) -> tuple[int, int] | None:
        """Start and end of `node`; None outside the region."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        start = self._place(node.lineno, node.col_offset)
        end = self._place(node.end_lineno, node.end_col_offset)
        return (start, end) if self.span[0] <= start and end <= self.span[1] else None

    def lines(self, node: ast.stmt) -> tuple[int, int] | None:
        """The whole lines of `node`; None when it shares them with something else."""
        place = self.of(node)
        if place is None or node.end_lineno is None:
            return None
        start, end = self._starts[node.lineno - 1], self._starts[node.end_lineno]
        around = self.text[start : place[0]] + self.text[place[1] : end].split("#")[0]
        return (start, end) if not around.strip() and end <= self.span[1] else None

    def _place(self, line: int, column: int) -> int:
        before = self._lines[line - 1].encode()[:column].decode()
        return self._starts[line - 1] + len(before)


def _literal(tree: ast.Module, places: _Places, rng: Random) -> ProgramEdit | None:
    numbers = [
        (node, place)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) in (int, float) and (place := places.of(node))
    ]
    if not numbers:
        return None
    node, (start, end) = rng.choice(numbers)
    value = node.value
    assert isinstance(value, int | float)
    new = _whole(value, rng) if isinstance(value, int) else _real(value, rng)
    return ProgramEdit(kind="literal", start=start, end=end, old=places.text[start:end], new=new, line=node.lineno)


def _whole(value: int, rng: Random) -> str:
    steps = [value + 1, value - 1, value + 2, value - 2, value * 2, value // 2]
    return str(max(0, rng.choice(steps)))  # a minus sign would be another node


def _real(value: float, rng: Random) -> str:
    if value == 0.0 or not math.isfinite(value):
        return repr(round(abs(rng.gauss(0.0, 0.1)), 4))
    return repr(float(f"{abs(value * (1.0 + rng.gauss(0.0, rng.choice(SPREADS)))):.9g}"))


def _statement(tree: ast.Module, places: _Places, kind: str, rng: Random) -> ProgramEdit | None:
    bodies = [
        body
        for node in ast.walk(tree)
        for name in ("body", "orelse", "finalbody")
        if isinstance(body := getattr(node, name, None), list) and body
    ]
    simple = [
        (body, place)
        for body in bodies
        for place, statement in enumerate(body)
        if isinstance(statement, SIMPLE) and places.lines(statement) and not _is_docstring(statement)
    ]
    if not simple:
        return None
    body, place = rng.choice(simple)
    span = places.lines(body[place])
    assert span is not None
    start, end = span
    text, line = places.text[start:end], body[place].lineno
    if kind == "delete":
        indent = text[: len(text) - len(text.lstrip())]
        return ProgramEdit(
            kind=kind, start=start, end=end, old=text, new="" if len(body) > 1 else f"{indent}pass\n", line=line
        )
    if kind == "copy":
        target = places.lines(rng.choice(body))
        if target is None:
            return None
        return ProgramEdit(kind=kind, start=target[1], end=target[1], old="", new=text, line=line)
    following = places.lines(body[place + 1]) if place + 1 < len(body) else None
    if following is None or isinstance(body[place + 1], ast.Return) or following[0] != end:
        return None
    both = places.text[start : following[1]]
    return ProgramEdit(kind="swap", start=start, end=following[1], old=both, new=both[end - start :] + text, line=line)


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
