"""What stands for the ecosystem's modules: definitions of the files `ecosystem*.py`, as texts."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

FILES = ("ecosystem_modules.py", "ecosystem.py", "ecosystem_config.py")


@cache
def _ecosystem() -> Mapping[str, ast.stmt]:
    """Name -> its definition."""
    found: dict[str, ast.stmt] = {}
    for file in FILES:
        for node in ast.parse(Path(__file__).with_name(file).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                found[node.name] = node
            elif isinstance(node, ast.Assign):
                found |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
    return found


@cache
def names_served() -> frozenset[str]:
    """What a program may import of the ecosystem."""
    return frozenset(name for name in _ecosystem() if not name.startswith("_"))


def needed_for(names: Iterable[str]) -> set[str]:
    """Served `names`, and those of all that their definitions use."""
    known, wanted, queue = _ecosystem(), set[str](), list(names)
    while queue:
        name = queue.pop()
        if name in wanted:
            continue
        wanted.add(name)
        queue += [n.id for n in ast.walk(known[name]) if isinstance(n, ast.Name) and n.id in known]
    return wanted


def definitions(names: Iterable[str]) -> list[str]:
    """The texts behind served `names`, with all that they use, in the order of their files."""
    known, wanted = _ecosystem(), needed_for(names)
    nodes = [node for node in dict.fromkeys(known.values()) if any(known[n] is node for n in wanted)]
    return [ast.unparse(node) for node in nodes]
