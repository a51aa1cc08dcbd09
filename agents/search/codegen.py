"""From a genome to one readable PyTorch file to the candidate contract: fragments, joined; nothing is executed here.

The file's parts in order: docstring (name and motivation), `# genome:` header (the plan; `genome_of` reads it back),
imports, the functions it needs, `class Mixer`. Queries, keys and values are shared by all paths; a path is a method.
"""

from __future__ import annotations

import ast
import re
import textwrap
from functools import lru_cache

from move37.agents.search.fragments import LONG, ROTATE, WINDOWED, arguments, indent, method, path_init
from move37.agents.search.grammar import CONVOLVING, Genome, from_json, operators_in

_HEADER = re.compile(r"^# genome: (\{.*\})$", re.MULTILINE)
_KERNEL_OPERATORS = {
    "chunk_gated_delta_rule": "gated_delta_rule",
    "chunk_delta_rule": "delta_rule",
    "chunk_gla": "gla",
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
    parts = [
        f"{doc}\n\n# genome: {genome.to_json()}\n\n{_imports(genome)}",
        *_functions(genome),
        f"class Mixer(nn.Module):\n{indent(_init(genome), 1)}\n\n{indent(_forward(genome), 1)}"
        + "".join(f"\n\n{indent(method(path, genome), 1)}" for path in genome.paths),
    ]
    return "\n\n\n".join(parts) + "\n"


def genome_of(source: str) -> Genome | None:
    """The genome in a file's header, or None: not ours, or damaged."""
    found = _HEADER.search(source)
    return from_json(found.group(1)) if found else None


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


def _imports(genome: Genome) -> str:
    families = {path.family for path in genome.paths}
    kernels = set()
    if genome.conv or "short_conv" in families:
        kernels.add("causal_conv1d")
    if families & {"linear", "retention", "ssd"}:
        kernels.add("chunk_simple_gla")
    kernels |= {k for f, k in (("gla", "chunk_gla"), ("delta", "chunk_delta_rule")) if f in families}
    kernels |= {"chunk_gated_delta_rule"} if "gated_delta" in families else set()
    kernels |= {"l2norm"} if any(path.norm == "l2" for path in genome.paths) else set()
    kernels |= {"rms_norm_gated"} if genome.gate != "none" and genome.out_norm else set()
    functional = "from torch.nn import functional as F\n" if _needs_functional(genome) else ""
    ours = f"\nfrom kernels import {', '.join(sorted(kernels))}\n" if kernels else ""
    return f"import torch\nfrom einops import rearrange\nfrom torch import nn\n{functional}{ours}".rstrip()


def _needs_functional(genome: Genome) -> bool:
    return "F." in _init(genome) + _forward(genome) + "".join(
        [*_functions(genome), *(method(path, genome) for path in genome.paths)]
    )


# Functions beside the class ------------------------------------------------------------------------------------


def _functions(genome: Genome) -> list[str]:
    families = {path.family for path in genome.paths}
    found = [ROTATE] if any(path.rotary for path in genome.paths) else []
    found += [WINDOWED] if "softmax" in families else []
    return found + ([LONG] if "long_conv" in families else [])


# __init__ ------------------------------------------------------------------------------------------------------


def _init(genome: Genome) -> str:
    lines = ["super().__init__()"]
    lines += {
        "same": ["self.n_heads = n_heads"],
        "fewer": ["self.n_heads = n_heads // 2 if n_heads % 2 == 0 else n_heads"],
        "more": ["self.n_heads = 2 * n_heads if d_model % (4 * n_heads) == 0 else n_heads"],
    }[genome.heads]
    lines += ["heads, size = self.n_heads, d_model // self.n_heads"] if _needs_sizes(genome) else []
    lines += ["self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)"]
    if genome.conv:
        lines += ["self.conv = nn.Parameter(torch.empty(3 * d_model, 4).uniform_(-0.5, 0.5))"]
    for path in genome.paths:
        lines += path_init(path, genome)
    if genome.router != "none":
        lines += [f"self.router = nn.Linear(d_model, {len(genome.paths)} * heads, bias=False)"]
    if genome.floor == "router":
        lines += ["self.floor = nn.Parameter(torch.full((heads, 1), -3.0))  # sigmoid: every path keeps 5 % at first"]
    if genome.floor == "decay":
        lines += ["self.floor = nn.Parameter(torch.full((heads,), -3.0))  # sigmoid: the least that is kept"]
    if genome.residual:
        lines += ["self.skip = nn.Parameter(torch.ones(heads, 1))"]
    if genome.gate == "full":
        lines += ["self.gate = nn.Linear(d_model, d_model, bias=False)"]
    if genome.gate == "low":
        rank = "max(1, d_model // 4)"
        lines += [f"rank = {rank}  # a full gate would exceed the parameter limit"]
        lines += [
            "self.gate = nn.Sequential(nn.Linear(d_model, rank, bias=False), nn.Linear(rank, d_model, bias=False))"
        ]
    lines += ["self.norm = nn.Parameter(torch.ones(size))"] if genome.out_norm else []
    lines += ["self.out = nn.Linear(d_model, d_model, bias=False)"]
    return "def __init__(self, d_model: int, n_heads: int):\n" + indent("\n".join(lines), 1)


def _needs_sizes(genome: Genome) -> bool:
    return (
        genome.out_norm
        or genome.router != "none"
        or genome.floor != "none"
        or genome.residual
        or any(path.norm == "rms" or path.family not in ("softmax", "linear", *CONVOLVING) for path in genome.paths)
    )


# forward -------------------------------------------------------------------------------------------------------


def _forward(genome: Genome) -> str:
    lines = []
    if genome.conv:
        lines += ['qkv, _ = causal_conv1d(self.qkv(x), self.conv, activation="silu")']
    else:
        lines += ["qkv = self.qkv(x)"]
    lines += ['q, k, v = rearrange(qkv, "b t (three h d) -> three b t h d", three=3, h=self.n_heads)']
    calls = [f"self.{path.family}({arguments(path)})" for path in genome.paths]
    if len(calls) == 1:
        lines += [f"o = {calls[0]}  # [batch, time, head, dim]"]
    else:
        # Each path is brought to unit scale, so that the router's weights mean the same for all.
        lines += ["paths = torch.stack(["]
        lines += [f"    F.rms_norm({call}, (v.shape[-1],), eps=1e-6)," for call in calls]
        lines += ["], dim=-2)  # [batch, time, head, path, dim]", *_routing(genome)]
        lines += ["o = (weights[..., None] * paths).sum(dim=-2)"]
    if genome.residual:
        lines += ["o = o + self.skip * v"]
    lines += _finish(genome)
    lines += ['return self.out(rearrange(o, "b t h d -> b t (h d)"))']
    return "def forward(self, x):\n" + indent("\n".join(lines), 1)


def _routing(genome: Genome) -> list[str]:
    count = len(genome.paths)
    lines = ['logits = rearrange(self.router(x), "b t (h p) -> b t h p", h=self.n_heads)  # p: path']
    if genome.router == "softmax":
        lines += ["weights = logits.softmax(dim=-1)"]
    elif genome.router == "sigmoid":
        lines += ["weights = logits.sigmoid()"]
    else:
        lines += [
            f"first = logits[..., :1].sigmoid()  # first level: {genome.paths[0].family} or the other two",
            "weights = torch.cat([first, (1 - first) * logits[..., 1:].softmax(dim=-1)], dim=-1)",
        ]
    if genome.floor == "router":
        lines += ["floor = self.floor.sigmoid()", f"weights = floor / {count} + (1 - floor) * weights"]
    return lines


def _finish(genome: Genome) -> list[str]:
    gate = 'rearrange(self.gate(x), "b t (h d) -> b t h d", h=self.n_heads)'
    if genome.gate != "none" and genome.out_norm:
        return [f"gate = {gate}", 'o = rms_norm_gated(o, gate, self.norm, activation="silu")']
    if genome.gate != "none":
        return [f"o = o * F.silu({gate})"]
    return ["o = F.rms_norm(o, (o.shape[-1],), self.norm, eps=1e-6)"] if genome.out_norm else []


def _safe(text: str) -> str:
    """Foreign words inside a docstring: they cannot end it."""
    return text.replace("\\", "/").replace('"""', "'''").strip().rstrip('"')
