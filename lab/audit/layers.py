"""Which class of a foreign program is its layer, by its syntax tree alone, and how one is built from width and heads.

Methods are looked up along the bases that stand in the same file. A layer whose forward needs more than a sequence is
told apart from a file without a layer, so that no helper is judged in its place.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping

WIDTH = (
    "hidden_size", "d_model", "dim", "embed_dim", "n_embd", "model_dim", "d", "input_dim", "emb_dim", "width",
    "n_embed", "embedding_dim", "hidden_dim", "dim_model",
)  # fmt: skip
HEADS = ("num_heads", "n_heads", "n_head", "heads", "nheads", "num_attention_heads", "nhead")
HEAD_WIDTH = ("head_dim", "head_size", "dim_head", "d_head", "head_width")  # defaults are those of a large model
LENGTH = (
    "block_size", "max_seq_len", "max_seq_length", "max_seqlen", "max_len", "seq_len", "context_length",
    "max_position_embeddings",
)  # fmt: skip
LONGEST = "4096"  # tokens that a gate asks for
GIVEN: Mapping[str, str] = {
    **dict.fromkeys(WIDTH, "d_model"), **dict.fromkeys(HEADS, "n_heads"),
    **dict.fromkeys(HEAD_WIDTH, "d_model // n_heads"), **dict.fromkeys(LENGTH, LONGEST),
    "layer_idx": "0", "layer_id": "0",
}  # fmt: skip
CONFIG = ("config", "cfg", "args")
CONFIGS = ("Config", "Configuration", "Cfg", "Args")  # ends of the names of their classes
Classes = Mapping[str, ast.ClassDef]  # of the file, by name
FIRST = ("DeltaNet", "Attention", "Layer", "Mixer")  # ends of class names that are preferred, where several fit


def layers(classes: Classes, own: Collection[str]) -> tuple[list[ast.ClassDef], list[ast.ClassDef]]:
    """Classes that could be the layer, the likeliest last, and those that look like it but need more inputs.

    Modules of the program's `own` file that no other class builds or derives from; the first ones have a forward of one
    sequence.
    """
    modules = [c for c in classes.values() if c.name in own and _is_module(c, classes) and needed(c, classes)]
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
        return _of_fields(node, classes)
    names = [a.arg for a in (*init.args.posonlyargs, *init.args.args)][1:]
    required = names[: len(names) - len(init.args.defaults)]
    only = [a.arg for a, d in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True) if d is None]
    if any(n not in GIVEN and n not in CONFIG for n in (*required, *only)):
        return None
    everything = [*names, *(a.arg for a in init.args.kwonlyargs)]
    given = [f"{n}={GIVEN[n]}" for n in everything if n in GIVEN]
    return given + [f"{n}=_config(d_model, n_heads)" for n in everything if n in CONFIG]


def _of_fields(node: ast.ClassDef, classes: Classes) -> list[str] | None:
    """The same of a class whose fields are its arguments."""
    lines = [f for c in _lineage(node, classes) for f in c.body if isinstance(f, ast.AnnAssign)]
    values = {f.target.id: f.value for f in lines if isinstance(f.target, ast.Name)}
    unknown = [name for name, value in values.items() if value is None and name not in GIVEN]
    return None if unknown else [f"{name}={GIVEN[name]}" for name in values if name in GIVEN]


def fields_of(node: ast.ClassDef, classes: Classes) -> set[str]:
    """Names of what objects of a class hold, by what its text gives a value."""
    nodes = [n for c in _lineage(node, classes) for n in ast.walk(c)]
    stored = [n for n in nodes if isinstance(n, ast.Name | ast.Attribute) and isinstance(n.ctx, ast.Store)]
    return {n.id if isinstance(n, ast.Name) else n.attr for n in stored}


def config_of(layer: ast.ClassDef, source: str, classes: Classes) -> ast.ClassDef | None:
    """The class of the layer's configuration: the one that its `__init__` names in `source`, else the only one.

    None where there is none, or nobody knows how to make one.
    """
    named = {
        ast.unparse(a.annotation).strip("'\"")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and node.name in (c.name for c in _lineage(layer, classes))
        for init in node.body
        if isinstance(init, ast.FunctionDef) and init.name == "__init__"
        for a in (*init.args.args, *init.args.kwonlyargs)
        if a.annotation is not None and a.arg in CONFIG
    }
    found = [c for name, c in classes.items() if name in named] or [
        c for name, c in classes.items() if name.endswith(CONFIGS) and not _is_module(c, classes)
    ]
    return found[0] if len(found) == 1 and arguments(found[0], classes) is not None else None
