"""The normalised syntax tree: equal for two files that differ in names, comments, docstrings and annotations alone.

Names that the file itself defines (classes, functions, arguments, variables, attributes of self) are numbered in
order of appearance; names that it takes from elsewhere, and constants, stay.
"""

from __future__ import annotations

import ast
import hashlib


def tree_hash(tree: ast.Module) -> str:
    """Sixteen hexadecimal digits. `tree` is not changed."""
    copy = ast.parse(ast.unparse(tree))
    _strip(copy)
    _Rename(_defined(copy)).visit(copy)
    return hashlib.sha256(ast.dump(copy).encode()).hexdigest()[:16]


def _strip(tree: ast.AST) -> None:
    """Remove docstrings, annotations and unused statements of plain constants."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            node.body = [_bare(s) for s in kept] or [ast.Pass()]  # type: ignore[attr-defined]
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.FunctionDef):
            node.returns = None


def _bare(statement: ast.stmt) -> ast.stmt:
    """`x: T = y` as `x = y`."""
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        return ast.copy_location(ast.Assign(targets=[statement.target], value=statement.value), statement)
    return statement


def _defined(tree: ast.AST) -> set[str]:
    """Names that the file gives to things."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.Call) and _registers(node):
            names.add(str(node.args[0].value))  # type: ignore[attr-defined]
    return names - {"Mixer", "forward", "__init__"}


def _registers(node: ast.Call) -> bool:
    """Whether this is `self.register_buffer("name", ...)` or `register_parameter`."""
    named = isinstance(node.func, ast.Attribute) and node.func.attr in ("register_buffer", "register_parameter")
    return named and bool(node.args) and isinstance(node.args[0], ast.Constant)


class _Rename(ast.NodeVisitor):
    """Numbers the defined names in order of appearance."""

    def __init__(self, defined: set[str]) -> None:
        self._defined = defined
        self._numbers: dict[str, str] = {}

    def visit(self, node: ast.AST) -> None:
        for field in ("name", "arg", "id", "attr"):
            name = getattr(node, field, None)
            if isinstance(name, str) and name in self._defined:
                setattr(node, field, self._numbers.setdefault(name, f"_{len(self._numbers)}"))
        if isinstance(node, ast.Call) and _registers(node):
            constant = node.args[0]
            assert isinstance(constant, ast.Constant)
            constant.value = self._numbers.setdefault(str(constant.value), f"_{len(self._numbers)}")
        self.generic_visit(node)
