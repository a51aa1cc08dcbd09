"""The normalised syntax tree: equal for two files that differ in names, comments, docstrings and annotations alone.

Names that the file itself defines (classes, functions, arguments, variables, attributes of self) are numbered in
order of appearance; names that it takes from elsewhere, and constants, stay.
"""

from __future__ import annotations

import ast
import hashlib


def ast_hash(tree: ast.Module) -> str:
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
    """Names that the file gives to things that can be seen from everywhere in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.Call) and _registers(node):
            names.add(str(node.args[0].value))  # type: ignore[attr-defined]
    top = tree.body if isinstance(tree, ast.Module) else []
    names |= {name for line in top if not isinstance(line, ast.ClassDef | ast.FunctionDef) for name in _stored(line)}
    return names - {"Mixer", "forward", "__init__"}


def _stored(node: ast.AST) -> set[str]:
    """Arguments and variables within `node`."""
    args = {inner.arg for inner in ast.walk(node) if isinstance(inner, ast.arg)}
    return args | {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _registers(node: ast.Call) -> bool:
    """Whether this is `self.register_buffer("name", ...)` or `register_parameter`."""
    named = isinstance(node.func, ast.Attribute) and node.func.attr in ("register_buffer", "register_parameter")
    return named and bool(node.args) and isinstance(node.args[0], ast.Constant)


class _Rename(ast.NodeVisitor):
    """Numbers names in order of appearance: those seen from everywhere once, a function's own in each function.

    Keywords of calls keep their names, since most belong to torch: a file that renames a parameter which it passes by
    keyword counts as another program, and only its outputs can show that it is the same.
    """

    def __init__(self, shared: set[str]) -> None:
        self._shared = dict.fromkeys(sorted(shared), "")
        self._count = 0
        self._own: dict[str, str] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        node.name = self._of(node.name, self._shared)
        outer = self._own
        self._own = outer | dict.fromkeys(_stored(node), "")
        self.generic_visit(node)
        self._own = outer

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        node.name = self._of(node.name, self._shared)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        node.id = self._of(node.id, self._own if node.id in self._own else self._shared)

    def visit_arg(self, node: ast.arg) -> None:
        node.arg = self._of(node.arg, self._own)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.visit(node.value)
        node.attr = self._of(node.attr, self._shared)

    def visit_Call(self, node: ast.Call) -> None:
        if _registers(node) and isinstance(node.args[0], ast.Constant):
            node.args[0].value = self._of(str(node.args[0].value), self._shared)
        self.generic_visit(node)

    def _of(self, name: str, numbers: dict[str, str]) -> str:
        if name not in numbers:
            return name
        if not numbers[name]:
            numbers[name] = f"_{self._count}"
            self._count += 1
        return numbers[name]
