"""From a genome to one readable PyTorch file to the candidate contract: fragments, joined; nothing is executed here.

The file's parts in order: docstring (name and motivation), `# genome:` header (the plan; `genome_of` reads it back),
imports, the functions it needs, a class for each block around the main one, `class Mixer`. Queries, keys and values are
shared by all paths of a block (block.py); a path is a method (fragments.py).
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping
from functools import lru_cache

from move37.agents.search.block import forward, init
from move37.agents.search.fragments import indent, method
from move37.agents.search.functions import FUNCTIONS
from move37.agents.search.genome import Feeds, Place
from move37.agents.search.grammar import Genome, SmallBlock, from_json, operators_in
from move37.lab.judging.ast_hash import ast_hash

_MARK = "\n# genome: "
_HEADER = re.compile(r"^# genome: (\{.*\})$", re.MULTILINE)
KERNELS = (
    "causal_conv1d", "chunk_delta_rule", "chunk_gated_delta_product", "chunk_gated_delta_rule", "chunk_gla",
    "chunk_kda", "chunk_simple_gla", "l2norm", "log_linear_attention", "rms_norm_gated",
)  # fmt: skip
WHAT_SMALL_BLOCKS_ARE: Mapping[Place, str] = {
    "before": "A block whose output the main one reads.",
    "beside": "A block whose output is added to the main one's.",
    "after": "A block that reads what the main one gave.",
}
_KERNEL_OPERATORS = {
    "chunk_gated_delta_rule": "gated_delta_rule",
    "chunk_delta_rule": "delta_rule",
    "chunk_gla": "gla",
    "chunk_kda": "vector_decay_erase",
    "chunk_gated_delta_product": "several_reflections",
    "log_linear_attention": "log_linear_state",
    "causal_conv1d": "short_conv",
    "l2norm": "qk_l2norm",
    "use_qk_l2norm_in_kernel": "qk_l2norm",  # the argument, where it is true
    "rms_norm_gated": "output_gate",
    "scaled_dot_product_attention": "softmax_attention",
    "rfft": "long_conv",
}


def emit(genome: Genome, *, name: str, motivation: str = "") -> str:
    """The file of `genome`. `name` and `motivation` stand in its docstring."""
    words = textwrap.fill(_safe(motivation), 116)
    doc = f'"""{_safe(name)}\n\n{words}\n"""' if words else f'"""{_safe(name)}."""'
    classes = [*(_small(small) for small in genome.around), _mixer(genome)]
    functions = [text for call, text in FUNCTIONS.items() if any(call in part for part in classes)]
    body = "\n\n\n".join([*functions, *classes])
    return f"{doc}\n\n# genome: {genome.to_json()}\n\n{_imports(body)}\n\n\n{body}\n"


@lru_cache(maxsize=1024)
def genome_of(source: str) -> Genome | None:
    """The genome in a file's header, or None: not ours, damaged, or code that is no longer what the header says.

    A header is a comment, which an edited file keeps and anybody may write: it counts only where the file equals what
    the genome is turned into, but for names, comments and docstrings.
    """
    found = _HEADER.search(source)
    genome = from_json(found.group(1)) if found else None
    if genome is None:
        return None
    emitted = emit(genome, name="")
    if _equal_but_for_texts(source, emitted):  # as most are: no tree has to be made of it
        return genome
    try:
        own = ast_hash(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return genome if own == ast_hash(ast.parse(emitted)) else None


def _equal_but_for_texts(source: str, emitted: str) -> bool:
    """Letter for letter from the header on, and before it nothing but texts."""
    before, _, behind = source.partition(_MARK)
    if behind != emitted.partition(_MARK)[2]:
        return False
    try:
        statements = ast.parse(before).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in statements)


@lru_cache(maxsize=1024)
def operators_of(source: str) -> tuple[str, ...]:
    """Operators of the grammar that a file uses: from its header, else from the kernels it calls and their switches."""
    genome = genome_of(source)
    if genome is not None:
        return operators_in(genome)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = {node.func.id for node in calls if isinstance(node.func, ast.Name)}
    named |= {node.func.attr for node in calls if isinstance(node.func, ast.Attribute)}
    named |= {word.arg for node in calls for word in node.keywords if word.arg and _is_true(word.value)}
    return tuple(sorted({operator for name, operator in _KERNEL_OPERATORS.items() if name in named}))


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _imports(body: str) -> str:
    kernels = ", ".join(name for name in KERNELS if f"{name}(" in body)
    functional = "from torch.nn import functional as F\n" if "F." in body else ""
    ours = f"\nfrom kernels import {kernels}\n" if kernels else ""
    return f"import torch\nfrom einops import rearrange\nfrom torch import nn\n{functional}{ours}".rstrip()


# Classes -------------------------------------------------------------------------------------------------------


def _mixer(genome: Genome) -> str:
    feeds: Feeds = next((small.feeds for small in genome.around if small.place == "before"), "all")
    built = tuple(f"self.{s.place} = {s.place.capitalize()}(d_model, n_heads)" for s in genome.around)
    methods = [init(genome, feeds, built)]
    if genome.around or genome.passes > 1:
        methods += [_composed(genome, feeds), forward(genome, feeds, name="mix")]
    else:
        methods += [forward(genome)]
    return _class("Mixer", "", [*methods, *(method(path, genome) for path in genome.paths)])


def _small(small: SmallBlock) -> str:
    """The class of a block with weights of its own."""
    block = small.block
    methods = [init(block), forward(block), *(method(path, block) for path in block.paths)]
    return _class(small.place.capitalize(), WHAT_SMALL_BLOCKS_ARE[small.place], methods)


def _class(name: str, doc: str, methods: list[str]) -> str:
    parts = [f'"""{doc}"""', *methods] if doc else methods
    return f"class {name}(nn.Module):\n" + "\n\n".join(indent(part, 1) for part in parts)


def _composed(genome: Genome, feeds: Feeds) -> str:
    """The Mixer's `forward`: its blocks in order."""
    places = {small.place for small in genome.around}
    lines, block = [], "self.mix(x)"
    if "before" in places and feeds == "all":
        lines += ["x = x + self.before(x)"]
    elif "before" in places:
        lines, block = ["fed = x + self.before(x)"], "self.mix(x, fed)"
    lines += [f"y = {block}"]
    if genome.passes > 1:
        again = "F.rms_norm(x + y, (x.shape[-1],), eps=1e-6)"
        lines += [f"y = y + {block.replace('(x', f'({again}')}  # the same weights once more"]
    if "beside" in places:
        lines += ["y = y + self.beside(x)"]
    if "after" in places:
        lines += ["y = y + self.after(F.rms_norm(x + y, (x.shape[-1],), eps=1e-6))"]
    return "def forward(self, x):\n" + indent("\n".join([*lines, "return y"]), 1)


def _safe(text: str) -> str:
    """Foreign text for use inside a docstring, which it cannot end."""
    return text.replace("\\", "/").replace('"""', "'''").strip().rstrip('"')
