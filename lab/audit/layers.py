"""Which class of a foreign program is its layer, by its syntax tree alone, and how one is built from width and heads.

Methods are looked up along the bases that stand in the same file. A layer whose forward needs more than a sequence is
told apart from a file without a layer, so that no helper is judged in its place.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

WIDTH = ("hidden_size", "d_model", "dim", "embed_dim", "n_embd", "model_dim", "d", "input_dim", "emb_dim")
HEADS = ("num_heads", "n_heads", "n_head", "heads", "nheads", "num_attention_heads")
GIVEN: Mapping[str, str] = {
    **dict.fromkeys(WIDTH, "d_model"), **dict.fromkeys(HEADS, "n_heads"), "layer_idx": "0", "layer_id": "0",
}  # fmt: skip
CONFIG = ("config", "cfg", "args")
Classes = Mapping[str, ast.ClassDef]  # of the file, by name
FIRST = ("DeltaNet", "Attention", "Layer", "Mixer")  # ends of class names that are preferred, where several fit


def layers(classes: Classes) -> tuple[list[ast.ClassDef], list[ast.ClassDef]]:
    """Classes that could be the layer, the likeliest last, and those that look like it but need more inputs.

    Modules that no other class builds or derives from; the first ones have a forward of one sequence.
    """
    modules = [c for c in classes.values() if _is_module(c, classes) and needed(c, classes)]
    used = {
        name.id
        for c in classes.values()
        for part in (*c.bases, *c.body)
        for name in ast.walk(part)
        if isinstance(name, ast.Name) and name.id != c.name
    }
    fitting = [c for c in modules if len(needed(c, classes)) == 1]
    tops = [c for c in fitting if c.name not in used] or fitting
    tops = [c for c in tops if arguments(c, classes) is not None] or tops
    wider = [c for c in modules if c not in fitting and c.name not in used and looks_like_a_layer(c, classes)]
    return sorted(tops, key=lambda c: (looks_like_a_layer(c, classes), c.name.endswith(FIRST))), wider


def looks_like_a_layer(node: ast.ClassDef, classes: Classes) -> bool:
    """By its name, or because it is built from a number of heads."""
    return node.name.endswith(FIRST) or any("n_heads" in a for a in arguments(node, classes) or ())


def _lineage(node: ast.ClassDef, classes: Classes) -> list[ast.ClassDef]:
    """A class and its bases in the file, in the order in which Python looks a method up (diamonds aside)."""
    found, queue = [node], list(node.bases)
    while queue:
        base = classes.get(ast.unparse(queue.pop(0)))
        if base is not None and base not in found:
            found.append(base)
            queue = [*base.bases, *queue]
    return found


def _is_module(node: ast.ClassDef, classes: Classes) -> bool:
    return any(ast.unparse(b).endswith("Module") for c in _lineage(node, classes) for b in c.bases)


def method(node: ast.ClassDef, name: str, classes: Classes) -> ast.FunctionDef | None:
    """Its own or an inherited one; an `__init__` of *args alone hands them on to its base's."""
    lineage = _lineage(node, classes)
    found = [m for c in lineage for m in c.body if isinstance(m, ast.FunctionDef) and m.name == name]
    named = [m for m in found if len(m.args.args) > 1 or m.args.kwonlyargs or not m.args.vararg]
    return next(iter((named if name == "__init__" else found) or found), None)


def needed(node: ast.ClassDef, classes: Classes) -> list[str]:
    """The inputs that its forward cannot go without."""
    forward = method(node, "forward", classes)
    if forward is None:
        return []
    names = [a.arg for a in (*forward.args.posonlyargs, *forward.args.args)]
    only = [a.arg for a, d in zip(forward.args.kwonlyargs, forward.args.kw_defaults, strict=True) if d is None]
    return names[1 : len(names) - len(forward.args.defaults)] + only


def arguments(node: ast.ClassDef, classes: Classes) -> list[str] | None:
    """The layer's arguments; None where one is required whose value is unknown."""
    init = method(node, "__init__", classes)
    if init is None:
        return []
    names = [a.arg for a in (*init.args.posonlyargs, *init.args.args)][1:]
    required = names[: len(names) - len(init.args.defaults)]
    only = [a.arg for a, d in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True) if d is None]
    if any(n not in GIVEN and n not in CONFIG for n in (*required, *only)):
        return None
    everything = [*names, *(a.arg for a in init.args.kwonlyargs)]
    given = [f"{n}={GIVEN[n]}" for n in everything if n in GIVEN]
    return given + [f"{n}=_Config(d_model, n_heads)" for n in everything if n in CONFIG]
