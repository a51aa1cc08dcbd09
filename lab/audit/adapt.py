"""A foreign program -> a candidate's file, through its syntax tree; nothing is executed.

Read `adapted`; `layers.py` says which class is taken, `imports.py` what becomes of imports: what the ecosystem has is
served by definitions of ours, what another file of its folder defines is written before it. Annotations, docstrings and
type-checking blocks go, and a `class Mixer` is added that builds the program's layer from width and heads by the names
of its arguments and calls it with x alone. Where that fails the reason is returned; it is no verdict.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from move37.lab.audit.imports import Folder, Imports, Unserved
from move37.lab.audit.layers import (
    GIVEN,
    Classes,
    arguments,
    config_of,
    fields_of,
    layers,
    looks_like_a_layer,
    method,
    needed,
)
from move37.lab.audit.served import definitions

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


def adapted(source: str, *, place: str = "", folder: Folder | None = None) -> Adapted:
    """`source`, which stands at `place` of `folder`, as a candidate, or the reason why it cannot be one."""
    try:
        imports = Imports(folder or Folder(), _cleaned)
        body = imports.of(_cleaned(source), place)
        imports.check_helpers()
        classes = {node.name: node for node in imports.statements if isinstance(node, ast.ClassDef)}
        fitting, wider = layers(classes, {node.name for node in body if isinstance(node, ast.ClassDef)})
        if wider and not (fitting and looks_like_a_layer(fitting[-1], classes)):
            needs = f"{', '.join(needed(wider[-1], classes)[1:])} beside the sequence"
            return Adapted(reason=f"{wider[-1].name} looks like its layer, and its forward needs {needs}")
        if not fitting:
            return Adapted(reason="no class of it is a layer: a torch module whose forward takes one sequence")
        layer = fitting[-1]
        mixer = "" if _is_candidate(layer, classes) else _mixer(layer, classes, config_of(layer, source, classes))
        parts = [_HEAD, *definitions(imports.served), *(ast.unparse(node) for node in imports.statements), mixer]
    except Unserved as error:
        return Adapted(reason=str(error))
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        return Adapted(reason=f"not Python: {where}{error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return Adapted(reason=f"not Python: {error or 'nested too deeply'}")
    text = "\n\n".join(parts)
    return Adapted(source=f"{text.rstrip()}\n", layer=layer.name)


def _cleaned(source: str) -> ast.Module:
    module: ast.Module = _Cleaner().visit(ast.parse(source))
    return module


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


def _is_candidate(layer: ast.ClassDef, classes: Classes) -> bool:
    init = method(layer, "__init__", classes)
    names = [a.arg for a in init.args.args] if init else []
    return layer.name == "Mixer" and names[:3] == ["self", "d_model", "n_heads"]


def _mixer(layer: ast.ClassDef, classes: Classes, config: ast.ClassDef | None) -> str:
    """The class that builds and calls the layer. Raises `Unserved`."""
    built_from = arguments(layer, classes)
    if built_from is None:
        init = method(layer, "__init__", classes)
        names = ", ".join(a.arg for a in init.args.args[1:]) if init else ""
        raise Unserved(f"nobody can guess how {layer.name} is built from a width and heads: it takes {names}")
    configured = _config(config, classes) if any("_config(" in a for a in built_from) else ""
    name = "_Layer" if layer.name == "Mixer" else layer.name
    alias = f"_Layer = {layer.name}\n\n\n" if name == "_Layer" else ""
    return (
        f"{configured}{alias}class Mixer(torch.nn.Module):\n"
        "    def __init__(self, d_model, n_heads):\n"
        "        super().__init__()\n"
        f"        self.layer = {name}({', '.join(built_from)})\n\n"
        "    def forward(self, x):\n"
        "        found = self.layer(x)\n"
        "        return found[0] if isinstance(found, tuple) else found\n"
    )


def _config(node: ast.ClassDef | None, classes: Classes) -> str:
    """A function that makes a configuration: the program's own class, at our sizes and without dropout."""
    if node is None:
        head, made = "class _Config:\n    pass\n\n\n", "_Config()"
        asked = {n.attr for c in classes.values() for n in ast.walk(c) if isinstance(n, ast.Attribute)}
    else:
        head, made = "", f"{node.name}({', '.join(arguments(node, classes) or ())})"
        asked = fields_of(node, classes)
    lines = "".join(f"    found.{name} = {value}\n" for name, value in _SIZES.items() if name in asked)
    return f"{head}def _config(d_model, n_heads):\n    found = {made}\n{lines}    return found\n\n\n"


_SIZES = {
    **GIVEN,
    "bias": "False",
    **dict.fromkeys(("dropout", "attn_dropout", "resid_dropout", "attention_dropout", "dropout_p"), "0.0"),
}
