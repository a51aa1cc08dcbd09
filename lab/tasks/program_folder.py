"""The folder of a `program` task: what makes it usable, its marked regions, and the contract that an author reads.

Runs outside of the sandbox and executes nothing of the folder: the evaluator's functions and its time limit are read
from its syntax tree.
"""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
from collections.abc import Mapping
from pathlib import Path

from move37.lab.errors import BadTask
from move37.sandbox.job import MIB
from move37.sandbox.result_validation import fault

START, END = "# EVOLVE-BLOCK-START", "# EVOLVE-BLOCK-END"
PROGRAM, EVALUATOR = "initial_program.py", "evaluator.py"
LARGEST_FOLDER = 16 * MIB
JUDGE = "judge/"  # of the folder: files below it are not copied into jobs that run the program
ENVIRONMENT = "ENVIRONMENT"  # an evaluator that needs variables assigns a dict of strings at its top level
LIMIT = "WALL_SECONDS"  # an evaluator that needs more time than the default assigns it at its top level
WALL_SECONDS = 60.0  # of one job; ends everything that it started
LONGEST_SECONDS = 86_400.0
_COOKIE = re.compile(r"^([ \t\f]*#.*?coding[:=][ \t]*)[-\w.]+")
_REGION = re.compile(rf"^[ \t\f]*{START}[^\n]*\n(.*?)^[ \t\f]*{END}[^\n]*$", re.MULTILINE | re.DOTALL)

CONTRACT = """\
A candidate is the complete text of the program below, changed only between the lines `{start}` and `{end}`.
Everything outside that region stays as it is, letter for letter. It is judged by the evaluator below;
`combined_score` counts, higher is better. It may import numpy and scipy, start processes and write temporary files;
it has no network and {seconds:.0f} seconds.

The start program:
```python
{program}
```

The evaluator:
```python
{evaluator}
```
"""


def read_folder(folder: Path) -> dict[str, bytes]:
    """Every plain file of it, relative path -> content; hidden files and links stay. Raises `BadTask`."""
    if not folder.is_dir():
        raise BadTask(f"no such folder: {folder}; --task program:DIR needs one with {PROGRAM} and {EVALUATOR}")
    # The missing evaluator is reported before the size: it means that this is the wrong folder.
    for name in (PROGRAM, EVALUATOR):
        if not (folder / name).is_file() or (folder / name).is_symlink():
            raise BadTask(f"{folder} has no {name}: --task program:DIR needs {PROGRAM} and {EVALUATOR}")
    try:
        return {name.as_posix(): (folder / name).read_bytes() for name in _plain_files(folder)}
    except OSError as error:
        raise BadTask(f"cannot read {folder}: {error}") from error


def _plain_files(folder: Path) -> list[Path]:
    """Relative paths in order. Raises `BadTask` for a name that no sandbox takes, and as soon as their sizes pass the
    limit, before anything is read.
    """
    found, size = [], 0
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        for path in (Path(place, name) for name in names if not name.startswith(".")):
            if path.is_file() and not path.is_symlink():
                inside = path.relative_to(folder)
                if problem := fault(inside.as_posix()):
                    raise BadTask(f"{problem}: rename the file, or hide it with a dot before its name")
                found.append(inside)
                size += path.stat().st_size
        if size > LARGEST_FOLDER:
            raise BadTask(f"{folder} is over {LARGEST_FOLDER // MIB} MiB: the whole folder travels with every job")
    return sorted(found)


def text_of(files: Mapping[str, bytes], name: str, folder: Path) -> str:
    """One of its files as Python would read it: byte order mark, declared encoding, any line ends.

    Raises `BadTask` where it is not text in the encoding that it declares, or UTF-8.
    """
    try:
        text = decoded(files[name])
    except (SyntaxError, UnicodeError, LookupError) as error:
        raise BadTask(f"{folder / name} is not text in the encoding that it declares, or UTF-8") from error
    if "\0" in text:
        raise BadTask(f"{folder / name} has NUL bytes: it looks like UTF-16 or UTF-32; convert it to UTF-8")
    return text


def decoded(data: bytes) -> str:
    """Python source as text, lines ended by newlines. Raises `SyntaxError`, `UnicodeError` or `LookupError`."""
    plain = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    encoding, _ = tokenize.detect_encoding(io.BytesIO(plain).readline)
    return plain.decode(encoding)


def encoded(text: str) -> bytes:
    """Text as UTF-8 that Python reads back as it, whatever other encoding its first two lines declare."""
    lines = text.removeprefix("\ufeff").split("\n", 2)
    declared = [_COOKIE.sub(r"\1utf-8", line) for line in lines[:2]]
    return "\n".join([*declared, *lines[2:]]).encode("utf-8", "surrogatepass")


def tree_of_file(text: str, path: Path) -> ast.Module:
    """The syntax tree of a file. Raises `BadTask` that names the file and the line."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        where = f" in line {error.lineno}" if error.lineno else ""
        raise BadTask(f"{path} is not Python: {error.msg}{where}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadTask(f"{path} is not Python: {error}") from error


def wall_seconds_of(tree: ast.Module, path: Path) -> float:
    """The evaluator's own `WALL_SECONDS = number`, else the default. Raises `BadTask` where it is no such number."""
    if (given := _assigned(tree, LIMIT)) is None:
        return WALL_SECONDS
    value = given.value if isinstance(given, ast.Constant) else None
    if type(value) not in (int, float) or not 0 < value <= LONGEST_SECONDS:  # type: ignore[operator]
        raise BadTask(f"{path}: write {LIMIT} as a number of seconds between 0 and {LONGEST_SECONDS:.0f}")
    return float(value)  # type: ignore[arg-type]


def environment_of(tree: ast.Module, path: Path) -> dict[str, str]:
    """The evaluator's own `ENVIRONMENT = {"NAME": "value"}`. Raises `BadTask` where it is no such dict."""
    if (given := _assigned(tree, ENVIRONMENT)) is None:
        return {}
    try:
        value = ast.literal_eval(given)
    except (ValueError, TypeError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, dict) or not all(_is_variable(n) and _is_value(v) for n, v in value.items()):
        raise BadTask(f"{path}: write {ENVIRONMENT} as a dict of names and strings; MOVE37_ and LD_ names are ours")
    return value


def _assigned(tree: ast.Module, name: str) -> ast.expr | None:
    """What the top level assigns to a name first, with an annotation or without."""
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return node.value
    return None


def _is_variable(name: object) -> bool:
    return isinstance(name, str) and name.isidentifier() and not name.startswith(("MOVE37_", "LD_", "PYTHON"))


def _is_value(value: object) -> bool:
    """Whether a variable can have it: text without the sign that ends one, and without half characters."""
    return isinstance(value, str) and not any(c == "\0" or 0xD800 <= ord(c) < 0xE000 for c in value)


def outside_regions(source: str) -> list[str]:
    """The text outside the regions, markers included, one piece before, between and after them."""
    text = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    pieces, last = [], 0
    for found in _REGION.finditer(text):
        pieces.append(text[last : found.start(1)])
        last = found.end(1)
    return [piece.rstrip() for piece in [*pieces, text[last:]]]


def top_level_names(tree: ast.Module) -> set[str]:
    """Names that a module's top level may bind, by whatever statement, or a function of it as `global`; "*" for a star
    import."""
    names = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)  # what stands inside is its own
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {a.asname or a.name for a in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            names.add(node.name)
        waiting += ast.iter_child_nodes(node)
    return names
