"""The candidate contract: from source text to `class Mixer`, with errors that an author can act on.

Read `check_source` (no execution: may judge outside the sandbox) and then `load_mixer` (executes the candidate:
inside the sandbox only). Torch is imported where it is needed, so that the judging half stays light.

Not covered: confinement, which is the sandbox's. The list of imports keeps candidates portable and readable.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
import tokenize
import types
from functools import lru_cache
from typing import TYPE_CHECKING

from move37.lab.training.carried import MAX_PACKED_BYTES, data_bytes, docstrings, packed_bytes

if TYPE_CHECKING:
    from torch import nn

FILE_NAME = "candidate.py"  # as tracebacks show it
MODULE_NAME = "candidate"
ALLOWED_IMPORTS = ("torch", "einops", "math", "kernels")
HARMLESS_IMPORTS = ("__future__", "typing")  # without behaviour of their own; authors often write them
MAX_SOURCE_CHARACTERS = 30_000
MAX_DATA_BYTES = 4_000  # of constants; docstrings are removed and not counted (the baselines have 119 to 290)
MAX_DEPTH = 100  # levels of the syntax tree; the baselines have 14
DECLARATION = "custom_backward"
LONGEST_DECLARATION = 200
OWN_SEEDS = ("Generator", "default_generator", "fork_rng", "set_rng_state")  # of torch: their draws ignore the seed
REGISTER = "keep what __init__ draws in a parameter or with register_buffer, so that it is saved and counted"

CONTRACT = """\
A candidate is one Python file that defines `class Mixer(torch.nn.Module)`:

- `__init__(self, d_model: int, n_heads: int)`; `d_model` is a multiple of `n_heads`.
- `forward(self, x)` with `x: [batch, time, d_model]` returns a tensor of the same shape and dtype, for any
  batch >= 1 and any time >= 1, in float32, float64 and bfloat16.
- It may import torch, einops, math and kernels. Nothing else.
- Causal: output t depends on inputs 0..t of its own row alone, and not on how long the sequence is.
- No state between calls, no change to `x`, no randomness in `eval()`. It is called with gradients, under `no_grad` and
  in inference mode: an inner gradient is taken with `torch.func.grad`, which works in all of them.
- What is drawn is drawn in `__init__` by torch's default generator, seeded by nobody here, and kept in a parameter or
  with register_buffer: under equal parameters and buffers, mixers of two seeds give equal outputs.
- Every parameter is used. Not more than 1.05 times the parameters of the largest baseline mixer; persistent buffers of
  more than 256 numbers count as parameters.
- Time and memory grow at most like time ** 1.15: softmax only inside a fixed window.
- Its backward is autograd's, of the very function that forward computes. Where it is meant to be another (a
  straight-through estimator, a surrogate gradient, a hard choice among many such as top-k, whose jumps no gradient
  tells), the class says so in a line of its own,
  `custom_backward = "straight-through: why"`; every table then says that its gradients were not checked.
- At most 30,000 characters, of which 4,000 bytes in numbers and strings, and 8,000 bytes compressed: a mixer carries no
  data. Comments and docstrings are for readers: the running mixer has none.

Norms, MLPs, embedding, head, optimiser and data are fixed by the task: candidates differ in their mixer alone.
"""


class ContractError(Exception):
    """The source breaks the contract; the message says where and what to do."""


def check_source(source: str) -> ast.Module:
    """Parse `source` and check what can be known without running it.

    Raises `ContractError`: not Python, too long, data in it, a forbidden import, a generator of its own, no class
    `Mixer`.
    """
    tree = _parsed(source)
    if (size := packed_bytes(bare_source(source))) > MAX_PACKED_BYTES:
        raise ContractError(
            f"the program takes {size} bytes when it is compressed, {MAX_PACKED_BYTES} are allowed: a mixer carries no "
            "data, and a long one repeats itself"
        )
    return tree


def _parsed(source: str) -> ast.Module:
    """`check_source`, but for what is slow and was asked outside."""
    if len(source) > MAX_SOURCE_CHARACTERS:
        raise ContractError(f"the file has {len(source)} characters; {MAX_SOURCE_CHARACTERS} is the most that is read")
    try:
        tree = ast.parse(source, FILE_NAME)
    except SyntaxError as error:
        raise ContractError(f"not Python: line {error.lineno}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, absurd nesting
        raise ContractError(f"not Python: {error or 'nested too deeply'}") from error
    if _depth(tree) > MAX_DEPTH:
        raise ContractError(f"nested more than {MAX_DEPTH} levels deep: write a long chain as a loop or a table")
    nodes = list(ast.walk(tree))
    for node in nodes:
        _check_import(node)
        _check_generator(node)
    if (size := data_bytes(nodes, source)) > MAX_DATA_BYTES:
        raise ContractError(
            f"numbers, strings and names hold {size} bytes, {MAX_DATA_BYTES} are allowed: a mixer carries no data"
        )
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    names = classes + [t.id for node in tree.body if isinstance(node, ast.Assign) for t in _targets(node)]
    if "Mixer" not in names:
        found = f"; it defines {', '.join(classes)}" if classes else ""
        raise ContractError(f"the file defines no `class Mixer(torch.nn.Module)` at its top level{found}")
    return tree


def _depth(tree: ast.Module) -> int:
    """Levels of the syntax tree. Counted without recursion, which others need for it."""
    level: list[ast.AST] = [tree]
    depth = 0
    while level:
        level, depth = [child for node in level for child in ast.iter_child_nodes(node)], depth + 1
    return depth


def custom_backward(tree: ast.Module) -> str:
    """What `class Mixer` says of a backward that is not autograd's, or nothing. `ContractError`: no plain string."""
    mixers = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Mixer")
    for line in (line for mixer in mixers for line in mixer.body):
        if isinstance(line, ast.Assign | ast.AnnAssign) and any(t.id == DECLARATION for t in _targets(line)):
            value = line.value.value if isinstance(line.value, ast.Constant) else None
            if not isinstance(value, str):
                raise ContractError(f"line {line.lineno}: write {DECLARATION} as a plain string that says why")
            return " ".join(value.split())[:LONGEST_DECLARATION]
    return ""


@lru_cache(maxsize=1)
def bare_source(source: str) -> str:
    """`source` without comments and docstrings, each line where it was: what the running mixer can read of itself.

    Both would be data that is not counted. Only for source that `check_source` accepted. Raises `ContractError`.
    """
    text = source.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.encode().split(b"\n")  # columns of a syntax tree count bytes
    for docstring in docstrings(ast.walk(ast.parse(text, FILE_NAME))):
        first, last = docstring.lineno - 1, (docstring.end_lineno or docstring.lineno) - 1
        head, tail = lines[first][: docstring.col_offset], lines[last][docstring.end_col_offset :]
        if first == last:
            lines[first] = head + b"('')" + tail
        else:  # parentheses keep the lines between them
            lines[first : last + 1] = [head + b"(''", *[b""] * (last - first - 1), b")" + tail]
    kept = b"\n".join(lines).decode().split("\n")
    try:
        for token in tokenize.generate_tokens(iter([f"{line}\n" for line in kept]).__next__):
            if token.type == tokenize.COMMENT:
                kept[token.start[0] - 1] = kept[token.start[0] - 1][: token.start[1]].rstrip()
    except (tokenize.TokenError, SyntaxError) as error:
        raise ContractError(f"not Python: {error}") from error
    return "\n".join(kept)


def load_mixer(source: str) -> type[nn.Module]:
    """Execute `source` in a fresh module and return its `Mixer`. Inside the sandbox only.

    Raises `ContractError` when the contract is broken before or while the file runs; the candidate's own exception
    is its cause.
    """
    from torch import nn

    # `@torch.compile` is made a no-op: a compiler takes minutes and needs a toolchain that the sandbox lacks.
    os.environ["TORCHDYNAMO_DISABLE"] = "1"
    linecache.cache[FILE_NAME] = (len(source), None, source.splitlines(keepends=True), FILE_NAME)
    module = types.ModuleType(MODULE_NAME)
    sys.modules[MODULE_NAME] = module  # dataclasses and torch.jit look a class's module up
    try:
        exec(_compiled(source), module.__dict__)
    except ContractError:
        raise
    except Exception as error:
        raise ContractError(f"importing the file raised {type(error).__name__}: {error}") from error
    mixer = getattr(module, "Mixer", None)
    if not isinstance(mixer, type) or not issubclass(mixer, nn.Module):
        raise ContractError("Mixer must be a class derived from torch.nn.Module")
    return mixer


@lru_cache(maxsize=1)
def _compiled(source: str) -> types.CodeType:
    """Checked and compiled once: gates execute the same file a hundred times."""
    return compile(_parsed(source), FILE_NAME, "exec")


def _check_import(node: ast.AST) -> None:
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        modules = ["." * node.level + (node.module or "")]
    else:
        return
    for module in modules:
        if module.split(".")[0] not in ALLOWED_IMPORTS + HARMLESS_IMPORTS and not is_kernels(node, module):
            raise ContractError(
                f"line {node.lineno} imports {module}: a candidate may import torch, einops, math and kernels only"
            )


def _check_generator(node: ast.AST) -> None:
    """Checks names only; generators that are reached otherwise are found by the gate `determinism`."""
    if isinstance(node, ast.Attribute):
        names = [node.attr]
    elif isinstance(node, ast.ImportFrom) and node.module not in HARMLESS_IMPORTS:
        names = [alias.name for alias in node.names]
    else:
        return
    for name in names:
        if name in OWN_SEEDS:
            raise ContractError(
                f"line {node.lineno} uses torch's {name}: draw with the default generator, "
                "so that a seed decides how a mixer starts"
            )


def is_kernels(node: ast.Import | ast.ImportFrom, module: str) -> bool:
    """Whether it is our kernels under their full name, `from move37 import kernels` included."""
    if module == "move37" and isinstance(node, ast.ImportFrom):
        return all(alias.name == "kernels" for alias in node.names)
    return f"{module}.".startswith("move37.kernels.")


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.Name]:
    return [t for t in (node.targets if isinstance(node, ast.Assign) else [node.target]) if isinstance(t, ast.Name)]
