"""A foreign program -> a candidate's file, through its syntax tree; nothing is executed.

Read `adapted`; `layers.py` says which class is taken. Imports of the ecosystem are replaced by definitions of ours
(`ecosystem.py`), annotations, docstrings and type-checking blocks go, and a `class Mixer` is added that builds the
program's layer from width and heads by the names of its arguments and calls it with x alone. Where that fails the
reason is returned; it is no verdict.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from move37.lab.audit.layers import HEADS, WIDTH, Classes, arguments, layers, looks_like_a_layer, method, needed
from move37.lab.training.contract import is_kernels

KEPT = ("torch", "einops", "math", "kernels", "__future__", "typing")
THROUGH_TORCH = {"functools": "torch.functools", "inspect": "torch.inspect", "warnings": ""}
_HEAD = (
    "from __future__ import annotations\n\nimport kernels\nimport torch\nimport torch.nn as nn\n"
    "import torch.nn.functional as F\nfrom typing import Any\nfrom torch import Tensor\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapted:
    """A file to the contract, or why there is none."""

    source: str = ""
    layer: str = ""  # the class that was taken
    reason: str = ""


class _Unserved(Exception):
    """An import that `ecosystem.py` has no definition for."""


def adapted(source: str) -> Adapted:
    """`source` as a candidate, or the reason why it cannot be one."""
    try:
        tree = ast.parse(source)
        module = _Cleaner().visit(tree)
        body, served = _imports(module.body)
        classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
        fitting, wider = layers(classes)
        if wider and not (fitting and looks_like_a_layer(fitting[-1], classes)):
            needs = f"{', '.join(needed(wider[-1], classes)[1:])} beside the sequence"
            return Adapted(reason=f"{wider[-1].name} looks like its layer, and its forward needs {needs}")
        if not fitting:
            return Adapted(reason="no class of it is a layer: a torch module whose forward takes one sequence")
        layer = fitting[-1]
        mixer = "" if _is_candidate(layer, classes) else _mixer(layer, classes)
        parts = [_HEAD, *_definitions(served), *(ast.unparse(node) for node in body), mixer]
    except _Unserved as error:
        return Adapted(reason=str(error))
    except SyntaxError as error:
        return Adapted(reason=f"not Python: line {error.lineno}: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return Adapted(reason=f"not Python: {error or 'nested too deeply'}")
    text = "\n\n".join(parts)
    return Adapted(source=f"{text.rstrip()}\n", layer=layer.name)


class _Cleaner(ast.NodeTransformer):
    """Drops annotations, docstrings and what only a type checker reads."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        arguments = node.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            argument.annotation = None
        for rest in (arguments.vararg, arguments.kwarg):
            if rest is not None:
                rest.annotation = None
        node.returns = None
        node.decorator_list = [d for d in node.decorator_list if not _compiles(d)]
        return _without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        plain = any("dataclass" in ast.unparse(d) for d in node.decorator_list)
        if not plain:
            self.generic_visit(node)
        return _without_docstring(node)

    def visit_Module(self, node: ast.Module) -> ast.AST:
        self.generic_visit(node)
        return _without_docstring(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return (node.orelse or [ast.Pass()]) if _is_for_others(node.test) else node


def _is_for_others(test: ast.expr) -> bool:
    """Whether a branch is for type checkers, or for whoever runs the file, and never for who imports it."""
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq) and len(test.ops) == 1:
        return any(isinstance(side, ast.Name) and side.id == "__name__" for side in (test.left, *test.comparators))
    return ast.unparse(test).split(".")[-1] == "TYPE_CHECKING"


def _compiles(decorator: ast.expr) -> bool:
    words = ast.unparse(decorator)
    return "compile" in words or "no_type_check" in words


def _without_docstring(node: ast.FunctionDef | ast.ClassDef | ast.Module) -> ast.AST:
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        node.body = node.body[1:]
    if not isinstance(node, ast.Module):
        node.body = node.body or [ast.Pass()]
    return ast.fix_missing_locations(node)


def _imports(body: list[ast.stmt]) -> tuple[list[ast.stmt], list[str]]:
    """The body without foreign imports, and the names that `ecosystem.py` has to define. Raises `_Unserved`."""
    kept: list[ast.stmt] = []
    served: list[str] = []
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                kept += _import(alias, served)
        elif isinstance(node, ast.ImportFrom):
            kept += _import_from(node, served)
        elif isinstance(node, ast.Try) and all(isinstance(n, ast.Import | ast.ImportFrom) for n in node.body):
            try:  # an import with a fallback: the branch that can be served
                tried, more = _imports(node.body)
            except _Unserved:
                tried, more = _imports([s for handler in node.handlers for s in handler.body])
            kept += tried
            served += more
        else:
            kept.append(node)
    return kept, served


def _import(alias: ast.alias, served: list[str]) -> list[ast.stmt]:
    root = alias.name.split(".")[0]
    whole = ast.Import(names=[alias])
    if root in KEPT or is_kernels(whole, alias.name):
        return [whole]
    bound = alias.asname or root
    if root in THROUGH_TORCH or alias.name in _names():
        return _bind(bound, THROUGH_TORCH.get(root) or root, served)
    raise _Unserved(f"it imports {alias.name}, which is not served")


def _import_from(node: ast.ImportFrom, served: list[str]) -> list[ast.stmt]:
    module = "." * node.level + (node.module or "")
    root = module.split(".")[0]
    if root == "__future__":
        return []
    if node.level == 0 and (root in KEPT or is_kernels(node, module)):
        return [node]
    found: list[ast.stmt] = []
    for alias in node.names:
        if THROUGH_TORCH.get(root):
            found += _bind(alias.asname or alias.name, f"{THROUGH_TORCH[root]}.{alias.name}", served)
        elif alias.name in _names():
            found += _bind(alias.asname or alias.name, alias.name, served)
        else:
            raise _Unserved(f"it imports {alias.name} from {module}, which is not served")
    return found


def _bind(bound: str, value: str, served: list[str]) -> list[ast.stmt]:
    if "." not in value:
        served.append(value)
    return [] if bound == value else list(ast.parse(f"{bound} = {value}").body)


def _is_candidate(layer: ast.ClassDef, classes: Classes) -> bool:
    init = method(layer, "__init__", classes)
    names = [a.arg for a in init.args.args] if init else []
    return layer.name == "Mixer" and names[:3] == ["self", "d_model", "n_heads"]


def _mixer(layer: ast.ClassDef, classes: Classes) -> str:
    """The class that builds and calls the layer. Raises `_Unserved`."""
    built_from = arguments(layer, classes)
    if built_from is None:
        init = method(layer, "__init__", classes)
        names = ", ".join(a.arg for a in init.args.args[1:]) if init else ""
        raise _Unserved(f"nobody can guess how {layer.name} is built from a width and heads: it takes {names}")
    config = ""
    if any("_Config" in a for a in built_from):
        config = (
            "class _Config:\n    def __init__(self, d_model, n_heads):\n"
            + "".join(f"        self.{n} = d_model\n" for n in WIDTH)
            + "".join(f"        self.{n} = n_heads\n" for n in HEADS)
            + "        self.block_size = 4096\n        self.bias = False\n        self.dropout = 0.0\n\n\n"
        )
    name = "_Layer" if layer.name == "Mixer" else layer.name
    alias = f"_Layer = {layer.name}\n\n\n" if name == "_Layer" else ""
    return (
        f"{config}{alias}class Mixer(torch.nn.Module):\n"
        "    def __init__(self, d_model, n_heads):\n"
        "        super().__init__()\n"
        f"        self.layer = {name}({', '.join(built_from)})\n\n"
        "    def forward(self, x):\n"
        "        found = self.layer(x)\n"
        "        return found[0] if isinstance(found, tuple) else found\n"
    )


@cache
def _ecosystem() -> Mapping[str, ast.stmt]:
    """Name -> its definition in `ecosystem.py`."""
    tree = ast.parse(Path(__file__).with_name("ecosystem.py").read_text(encoding="utf-8"))
    found: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
    return found


@cache
def _names() -> frozenset[str]:
    return frozenset(name for name in _ecosystem() if not name.startswith("_"))


def _definitions(names: Iterable[str]) -> list[str]:
    """The texts behind `names`, with all that they use, in the order of the file."""
    known, wanted, queue = _ecosystem(), set(), list(names)
    while queue:
        name = queue.pop()
        if name in wanted:
            continue
        wanted.add(name)
        queue += [n.id for n in ast.walk(known[name]) if isinstance(n, ast.Name) and n.id in known]
    nodes = [node for node in dict.fromkeys(known.values()) if any(known[n] is node for n in wanted)]
    return [ast.unparse(node) for node in nodes]
