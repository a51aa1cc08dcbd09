"""The folder of a `program` task: what makes it usable, its marked regions, and the contract that an author reads.

Runs outside and executes nothing of the folder: the evaluator's functions and its time limit are found in its syntax
tree.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping
from pathlib import Path

from move37.lab.errors import BadTask
from move37.sandbox.job import MIB
from move37.sandbox.result_validation import fault

START, END = "# EVOLVE-BLOCK-START", "# EVOLVE-BLOCK-END"
PROGRAM, EVALUATOR = "initial_program.py", "evaluator.py"
LARGEST_FOLDER = 16 * MIB
LIMIT = "WALL_SECONDS"  # an evaluator that needs more time than the default assigns it at its top level
WALL_SECONDS = 60.0  # of one job; ends everything that it started
LONGEST_SECONDS = 86_400.0
_REGION = re.compile(rf"^[ \t]*{START}[^\n]*\n(.*?)^[ \t]*{END}[^\n]*$", re.MULTILINE | re.DOTALL)

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
    # What names the mistake comes first: a folder without an evaluator is the wrong folder, however large it is.
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
    """One of its files as text. Raises `BadTask` where it is no UTF-8."""
    try:
        return files[name].decode()
    except UnicodeDecodeError as error:
        raise BadTask(f"{folder / name} is not UTF-8 text") from error


def tree_of_file(text: str, path: Path) -> ast.Module:
    """The syntax tree of a file. Raises `BadTask` that names the file and the line."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise BadTask(f"{path} is not Python: {error.msg} in line {error.lineno}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadTask(f"{path} is not Python: {error}") from error


def wall_seconds_of(tree: ast.Module, path: Path) -> float:
    """The evaluator's own `WALL_SECONDS = number`, else the default. Raises `BadTask` where it is no such number."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == LIMIT for t in node.targets):
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            if type(value) not in (int, float) or not 0 < value <= LONGEST_SECONDS:  # type: ignore[operator]
                raise BadTask(f"{path}: write {LIMIT} as a number of seconds between 0 and {LONGEST_SECONDS:.0f}")
            return float(value)  # type: ignore[arg-type]
    return WALL_SECONDS


def outside_regions(source: str) -> list[str]:
    """The text outside the regions, markers included, one piece before, between and after them."""
    text = source.replace("\r\n", "\n")
    pieces, last = [], 0
    for found in _REGION.finditer(text):
        pieces.append(text[last : found.start(1)])
        last = found.end(1)
    return [piece.rstrip() for piece in [*pieces, text[last:]]]


def top_level_names(tree: ast.Module) -> set[str]:
    """Names that a module's top level binds: functions, imports, assignments."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {a.asname or a.name for a in node.names}
        elif isinstance(node, ast.Assign):
            names |= {t.id for t in node.targets if isinstance(t, ast.Name)}
    return names
