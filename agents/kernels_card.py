"""What candidates may call of our kernels: a line a function, from signatures and docstrings. Imports no torch."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from move37 import kernels

UNUSED = frozenset(  # of no use inside a mixer, which gets whole sequences and keeps no state
    ("state", "initial_state", "output_final_state", "cu_seqlens", "residual", "prenorm", "residual_in_fp32", "options")
)
LEFT_OUT = ("fused_recurrent", "fused_linear", "implementation")  # decoding, the loss, and a switch of ours


@cache
def card() -> str:
    """Every public function that a mixer may use: signature, what it computes, shapes."""
    found = {}
    for path in sorted(Path(kernels.__file__).parent.glob("ops/*/api.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name in kernels.__all__:
                found[node.name] = _line(node)
    return "\n".join(found[name] for name in sorted(found) if not name.startswith(LEFT_OUT))


def _line(node: ast.FunctionDef) -> str:
    words = ast.get_docstring(node) or ""
    first, _, rest = words.partition("\n\n")
    shapes = [c for c in " ".join(rest.split()).partition(". ")[0].partition(" -> ")[0].split("; ") if _concerns(c)]
    what = " ".join(part for part in (" ".join(first.split()), "; ".join(shapes)) if part)
    return f"- kernels.{node.name}({', '.join(_arguments(node.args))}) -> {_returns(node)}: {what}"


def _concerns(clause: str) -> bool:
    """Whether a clause of a docstring is about something that a mixer can give."""
    return not clause.startswith((*UNUSED, "Raises "))


def _arguments(arguments: ast.arguments) -> list[str]:
    plain = arguments.args
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    return [
        a.arg if default is None else f"{a.arg}={ast.unparse(default)}"
        for a, default in zip(plain, defaults, strict=True)
        if a.arg not in UNUSED
    ]


def _returns(node: ast.FunctionDef) -> str:
    pair = node.returns is not None and ast.unparse(node.returns).startswith("tuple")
    return "(o, None)" if pair else "tensor"
