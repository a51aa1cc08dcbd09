"""The folder of a `program` task: what makes it usable, its marked regions, and the contract that an author reads.

Runs outside and executes nothing of the folder: the evaluator's functions are found in its syntax tree.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path

from lab.errors import BadTask
from sandbox.job import MIB

START, END = "# EVOLVE-BLOCK-START", "# EVOLVE-BLOCK-END"
PROGRAM, EVALUATOR = "initial_program.py", "evaluator.py"
LARGEST_FOLDER = 16 * MIB
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
    files: dict[str, bytes] = {}
    try:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if any(part.startswith(".") or part == "__pycache__" for part in name.parts):
                continue
            if path.is_file() and not path.is_symlink():
                files[name.as_posix()] = path.read_bytes()
            if sum(map(len, files.values())) > LARGEST_FOLDER:
                raise BadTask(f"{folder} is over {LARGEST_FOLDER // MIB} MiB: the whole folder travels with every job")
    except OSError as error:
        raise BadTask(f"cannot read {folder}: {error}") from error
    return files


def text_of(files: Mapping[str, bytes], name: str, folder: Path) -> str:
    """One of its files as text. Raises `BadTask` where it is missing or no UTF-8."""
    if name not in files:
        raise BadTask(f"{folder} has no {name}: --task program:DIR needs {PROGRAM} and {EVALUATOR}")
    try:
        return files[name].decode()
    except UnicodeDecodeError as error:
        raise BadTask(f"{folder / name} is not UTF-8 text") from error


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
