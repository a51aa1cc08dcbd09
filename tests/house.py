"""What the house measures of itself: `python -m tests.house` prints the figures of docs/figures/house.md.

Pure functions over the source text; tests/test_architecture.py holds the limits.
"""

from __future__ import annotations

import ast
import io
import re
import statistics
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("app", "agents", "lab", "memory", "sandbox", "kernels", "benchmarks")
# Words that only this project used for things that have a standard name.
PRIVATE = (
    "witness", "yardstick", "manners", "dossier", "briefing", "lore", "scene", "hearing", "remembers", "precedents",
    "together", "deliberate", "sitting", "shelf", "blindfold", "guests", "keeper", "cage", "gist", "lanes",
)  # fmt: skip


@cache
def sources() -> tuple[Path, ...]:
    """Every Python file of the rooms, without tests."""
    return tuple(p for room in ROOMS for p in sorted((ROOT / room).rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Of the file's tree, all of them: read once, since many tests go through all files."""
    return tuple(ast.walk(tree(path)))


def name_of(path: Path) -> str:
    """The module's name below move37."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sizes() -> dict[str, int]:
    """Lines a file."""
    return {str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in sources()}


def function_sizes() -> dict[str, int]:
    """Lines a function, by "file:name"."""
    found = {}
    for path in sources():
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                found[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    return found


def classes() -> dict[str, list[str]]:
    """Where each public class name is defined; the contract's Mixer and private names do not count."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sources():
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and node.name != "Mixer":
                found[node.name].append(str(path.relative_to(ROOT)))
    return found


@cache
def own_imports(path: Path, *, top: bool) -> tuple[tuple[int, str], ...]:
    """(line, module) of imports of our own rooms, at the top of the file or inside of functions."""
    return tuple(_own_imports(path, top))


def _own_imports(path: Path, top: bool) -> Iterator[tuple[int, str]]:
    typing_only = {
        child
        for node in tree(path).body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    for node in nodes(path):
        if not isinstance(node, ast.Import | ast.ImportFrom) or node in typing_only:
            continue
        if (node.col_offset == 0) is not top:
            continue
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        for name in names:
            if not name.startswith("move37"):
                continue
            module = name.removeprefix("move37").lstrip(".")
            yield node.lineno, module
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield node.lineno, f"{module}.{alias.name}".lstrip(".")


def function_level_imports() -> list[str]:
    """Files and lines that import a room of ours inside of a function."""
    found = {(str(p.relative_to(ROOT)), line) for p in sources() for line, _ in own_imports(p, top=False)}
    return [f"{file}:{line}" for file, line in sorted(found)]


def knots(depth: int = 2) -> list[tuple[str, ...]]:
    """Folders (to `depth` parts) that import each other in a circle, over all imports, also inside of functions."""
    modules = {name_of(p) for p in sources()}
    graph: dict[str, set[str]] = defaultdict(set)
    for path in sources():
        here = _folder(name_of(path), depth)
        for top in (True, False):
            for _, module in own_imports(path, top=top):
                if module in modules and (there := _folder(module, depth)) != here:
                    graph[here].add(there)
    return sorted(_circles(graph))


def _folder(module: str, depth: int) -> str:
    """The folder that a module lies in; a file that lies directly in a room stands for itself."""
    parts = module.split(".")
    is_folder = (ROOT / Path(*parts)).is_dir()
    return ".".join(parts[:depth] if is_folder or len(parts) == 2 else parts[:-1][:depth])


def _circles(graph: dict[str, set[str]]) -> set[tuple[str, ...]]:
    """Strongly connected components of more than one folder (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: set[tuple[str, ...]] = set()

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for child in sorted(graph.get(node, ())):
            if child not in index:
                visit(child)
                low[node] = min(low[node], low[child])
            elif child in stack:
                low[node] = min(low[node], index[child])
        if low[node] == index[node]:
            part = []
            while True:
                part.append(stack.pop())
                if part[-1] == node:
                    break
            if len(part) > 1:
                found.add(tuple(sorted(part)))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def private_words() -> Counter[str]:
    """How often each private word stands in the code as (part of) a name or in a comment."""
    found: Counter[str] = Counter()
    for path in sources():
        text = path.read_text(encoding="utf-8").lower()
        for word in PRIVATE:
            found[word] += len(re.findall(rf"(?<![a-z]){word}(?![a-z])", text))
    return +found


def comment_share() -> tuple[float, float]:
    """Lines that are a comment, and lines that have one, of all lines that are not empty."""
    whole, having, lines = 0, 0, 0
    for path in sources():
        text = path.read_text(encoding="utf-8")
        lines += sum(bool(line.strip()) for line in text.splitlines())
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            having += token.type == tokenize.COMMENT
            whole += token.type == tokenize.COMMENT and token.line.strip().startswith("#")
    return whole / lines, having / lines


def main() -> None:
    """Print the figures."""
    lines = sizes()
    functions = list(function_sizes().values())
    doubled = {name: files for name, files in classes().items() if len(files) > 1}
    print(f"files {len(lines)}, lines {sum(lines.values())}, median {statistics.median(lines.values()):.0f}")
    print("largest", sorted(lines.items(), key=lambda item: -item[1])[:5])
    print("over 250 lines", sum(n > 250 for n in lines.values()), "under 70 lines", sum(n < 70 for n in lines.values()))
    print(f"functions {len(functions)}, over 40 lines {sum(n > 40 for n in functions)}")
    print(f"public classes {sum(map(len, classes().values()))}, names {len(classes())}, doubled {doubled}")
    print("function-level imports of our own rooms", len(function_level_imports()))
    print("knots of folders", knots())
    print("private words", dict(private_words().most_common()))
    print("comments: {:.1%} of lines are one, {:.1%} have one".format(*comment_share()))


if __name__ == "__main__":
    main()
