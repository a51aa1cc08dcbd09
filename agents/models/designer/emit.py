"""From a genome to one readable PyTorch file to the candidate contract: fragments, joined; nothing is executed here.

The file's parts in order: docstring (name and motivation), `# genome:` header (the plan; `genome_of` reads it back),
imports, the functions it needs, `class Mixer`. Queries, keys and values are shared by all paths; a path is a method.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence
from functools import lru_cache

from move37.agents.models.designer.grammar import (
    CONVOLVING,
    ERASING,
    FAMILY_OPERATOR,
    GATED_DECAY,
    MODES,
    Genome,
    Path,
    from_json,
    operators_in,
)

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
        f"class Mixer(nn.Module):\n{_indent(_init(genome), 1)}\n\n{_indent(_forward(genome), 1)}"
        + "".join(f"\n\n{_indent(_method(path, genome), 1)}" for path in genome.paths),
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
        [*_functions(genome), *(_method(path, genome) for path in genome.paths)]
    )


# Functions beside the class ------------------------------------------------------------------------------------

_ROTATE = '''\
def rotate(x):
    """Rotary positions on [batch, time, head, dim]: pairs (i, i + dim/2) turn by time * 10000^(-2i/dim)."""
    time, half = x.shape[1], x.shape[-1] // 2
    rates = 10000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float64) / half)
    angles = torch.arange(time, device=x.device, dtype=torch.float64)[:, None] * rates
    cos, sin = angles.cos().to(x.dtype)[:, None], angles.sin().to(x.dtype)[:, None]
    a, b = x[..., :half], x[..., half : 2 * half]
    return torch.cat([a * cos - b * sin, a * sin + b * cos, x[..., 2 * half :]], dim=-1)'''

_WINDOWED = '''\
def windowed_attention(q, k, v, window):
    """Softmax over the last `window` positions, [batch, time, head, dim]: in blocks, so cost grows like time."""
    time = q.shape[1]
    q, k, v = (F.pad(t, (0, 0, 0, 0, 0, -time % window)) for t in (q, k, v))
    q, k, v = (rearrange(t, "b (n w) h d -> b n h w d", w=window) for t in (q, k, v))
    # Each block of queries sees its own block of keys and the one before it.
    k, v = (torch.cat([F.pad(t, (0, 0, 0, 0, 0, 0, 1, 0))[:, :-1], t], dim=3) for t in (k, v))
    row = torch.arange(window, device=q.device)[:, None] + window
    column = torch.arange(2 * window, device=q.device)
    seen = (column <= row) & (column > row - window)  # [window, 2 window]
    block = torch.arange(q.shape[1], device=q.device)[:, None, None]
    seen = seen & ((column >= window) | (block > 0))  # nothing stands before the first block
    o = F.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None])
    return rearrange(o, "b n h w d -> b (n w) h d")[:, :time]'''

_LONG = '''\
def long_convolution(u, taps):
    """y_t = sum_{s<=t} taps_{t-s} u_s on [batch, time, channel] by FFT, padded so that nothing wraps around."""
    time = u.shape[1]
    size = 1 << (2 * time - 1).bit_length()
    spectrum = torch.fft.rfft(u.to(taps.dtype), size, dim=1) * torch.fft.rfft(taps, size, dim=0)
    return torch.fft.irfft(spectrum, size, dim=1)[:, :time].to(u.dtype)'''


def _functions(genome: Genome) -> list[str]:
    families = {path.family for path in genome.paths}
    found = [_ROTATE] if any(path.rotary for path in genome.paths) else []
    found += [_WINDOWED] if "softmax" in families else []
    return found + ([_LONG] if "long_conv" in families else [])


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
        lines += _path_init(path, genome)
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
    return "def __init__(self, d_model: int, n_heads: int):\n" + _indent("\n".join(lines), 1)


def _needs_sizes(genome: Genome) -> bool:
    return (
        genome.out_norm
        or genome.router != "none"
        or genome.floor != "none"
        or genome.residual
        or any(path.norm == "rms" or path.family not in ("softmax", "linear", *CONVOLVING) for path in genome.paths)
    )


def _path_init(path: Path, genome: Genome) -> list[str]:
    name, lines = path.family, []
    if path.norm == "rms":
        lines += [
            f"self.{name}_q_norm = nn.RMSNorm(size, eps=1e-6)",
            f"self.{name}_k_norm = nn.RMSNorm(size, eps=1e-6)",
        ]
    if path.family in ERASING:
        lines += [f"self.{name}_beta = nn.Linear(d_model, heads, bias=False)"]
    if path.family == "retention":
        lines += [
            f"rate = {_rates(path)}  # lost per step, by head",
            'self.register_buffer("retention_decay", torch.log1p(-rate))',
        ]
    if path.family in ("ssd", "gated_delta"):
        lines += [
            f"self.{name}_dt = nn.Linear(d_model, heads, bias=False)",
            f"dt = {_rates(path)}  # step sizes that the heads start with",
            f"self.{name}_dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))  # softplus(dt_bias) = dt",
            f"self.{name}_a_log = nn.Parameter(torch.zeros(heads))",
        ]
    if path.family == "gla":
        lines += [
            "rank = max(1, d_model // 16)",
            "self.gla_decay = nn.Sequential(nn.Linear(d_model, rank, bias=False), nn.Linear(rank, d_model))",
        ]
        if path.decay != "default":
            lines += [
                f"rate = {_rates(path)}.repeat_interleave(size)  # lost per step",
                "with torch.no_grad():",
                "    self.gla_decay[1].bias.copy_(-torch.log(torch.expm1(16 * rate)))  # logsigmoid(bias) / 16 = -rate",
            ]
    if path.family == "short_conv":
        lines += ["self.taps = nn.Parameter(torch.empty(d_model, 4).uniform_(-0.5, 0.5))"]
    if path.family == "long_conv":
        lines += [
            f"modes = {MODES}  # damped waves that a channel's filter is the sum of",
            "self.wave = nn.Parameter(torch.randn(modes, d_model) / modes)",
            "self.damping = nn.Parameter(torch.linspace(-5, 0, modes)[:, None].repeat(1, d_model))",
            "self.pitch = nn.Parameter(torch.rand(modes, d_model))",
        ]
    return lines


def _rates(path: Path) -> str:
    """Forgetting rates by head: 1/rate is the memory span in steps."""
    low, high = {"default": (-2, 0), "long": (-3, -1.5), "short": (-1, 0), "spread": (-3, 0)}[path.decay]
    if path.family == "retention":  # a rate of one would forget everything
        low, high = {"default": (-2, -0.3), "long": (-3, -1.5), "short": (-1, -0.2), "spread": (-3, -0.2)}[path.decay]
    return f"torch.logspace({low}, {high}, heads)"


# forward -------------------------------------------------------------------------------------------------------


def _forward(genome: Genome) -> str:
    lines = []
    if genome.conv:
        lines += ['qkv, _ = causal_conv1d(self.qkv(x), self.conv, activation="silu")']
    else:
        lines += ["qkv = self.qkv(x)"]
    lines += ['q, k, v = rearrange(qkv, "b t (three h d) -> three b t h d", three=3, h=self.n_heads)']
    calls = [f"self.{path.family}({_arguments(path)})" for path in genome.paths]
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
    return "def forward(self, x):\n" + _indent("\n".join(lines), 1)


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


# One method a path ---------------------------------------------------------------------------------------------

_WHAT = {
    "softmax": "Softmax inside a window.",
    "linear": "A memory that only adds.",
    "retention": "A memory with one fixed decay a head.",
    "ssd": "The step size decides what is kept and what is written.",
    "gla": "Every key dimension decides for itself what to forget.",
    "delta": "Erases what the key held before it writes.",
    "gated_delta": "Erases what the key held, and forgets everything at once when the gate says so.",
    "short_conv": "A gated convolution over the last four positions.",
    "long_conv": "A gated convolution over the whole past.",
}


def _arguments(path: Path) -> str:
    return "x, q, k, v" if path.family in (*ERASING, *GATED_DECAY) else "q, k, v"


def _method(path: Path, genome: Genome) -> str:
    lines = [f'"""{_WHAT[path.family]}"""', *_prepared(path)]
    lines += _decayed(path, genome)
    beta = f"{'2 * ' if path.beta == 2 else ''}self.{path.family}_beta(x).sigmoid()"
    match path.family:
        case "softmax":
            lines += [f"return windowed_attention(q, k, v, {path.window})"]
        case "linear":
            lines += ["o, _ = chunk_simple_gla(q, k, v)", "return o"]
        case "retention":
            lines += ["o, _ = chunk_simple_gla(q, k, v, g_gamma=self.retention_decay)", "return o"]
        case "ssd":
            lines += ["o, _ = chunk_simple_gla(q, k, v * dt[..., None], g)", "return o"]
        case "gla":
            lines += ["o, _ = chunk_gla(q, k, v, g)", "return o"]
        case "delta":
            lines += [f"o, _ = chunk_delta_rule(q, k, v, {beta})", "return o"]
        case "gated_delta":
            lines += [f"o, _ = chunk_gated_delta_rule(q, k, v, g, {beta})", "return o"]
        case "short_conv":
            lines += [
                'y, _ = causal_conv1d(rearrange(k * v, "b t h d -> b t (h d)"), self.taps)',
                'return q * rearrange(y, "b t (h d) -> b t h d", h=self.n_heads)',
            ]
        case "long_conv":
            lines += [
                "wide = torch.promote_types(v.dtype, torch.float32)  # an FFT has no bfloat16",
                "step = torch.arange(v.shape[1], device=v.device, dtype=wide)[:, None, None]",
                "fade = torch.exp(-F.softplus(self.damping.to(wide)) * step)",
                "taps = (self.wave.to(wide) * fade * torch.cos(self.pitch.to(wide) * step)).sum(dim=1)",
                'y = long_convolution(rearrange(k * v, "b t h d -> b t (h d)"), taps)',
                'return q * rearrange(y, "b t (h d) -> b t h d", h=self.n_heads)',
            ]
    return f"def {path.family}(self, {_arguments(path)}):\n" + _indent("\n".join(lines), 1)


def _prepared(path: Path) -> list[str]:
    lines = {
        "none": [],
        "elu": ["q, k = F.elu(q) + 1, F.elu(k) + 1"],
        "relu": ["q, k = F.relu(q), F.relu(k)"],
        "silu": ["q, k = F.silu(q), F.silu(k)"],
        "softmax": ["q, k = q.softmax(dim=-1), k.softmax(dim=-1)"],
    }[path.feature]
    if path.norm == "l2":
        lines = [*lines, "q, k = l2norm(q), l2norm(k)"]
    if path.norm == "rms":
        lines = [*lines, f"q, k = self.{path.family}_q_norm(q), self.{path.family}_k_norm(k)"]
    return [*lines, "q, k = rotate(q), rotate(k)"] if path.rotary else lines


def _decayed(path: Path, genome: Genome) -> list[str]:
    name, lines = path.family, []
    if name in ("ssd", "gated_delta"):
        lines += [
            f"dt = F.softplus(self.{name}_dt(x) + self.{name}_dt_bias)  # [batch, time, head]",
            f"g = -self.{name}_a_log.exp() * dt  # log of the decay",
        ]
    if name == "gla":
        lines += ['g = F.logsigmoid(rearrange(self.gla_decay(x), "b t (h d) -> b t h d", h=self.n_heads)) / 16']
    if genome.floor == "decay" and name in GATED_DECAY:
        floor = "self.floor[:, None]" if name == "gla" else "self.floor"
        lines += [f"floor = {floor}", "g = torch.logaddexp(F.logsigmoid(floor), F.logsigmoid(-floor) + g)"]
    return lines


def _indent(text: str, levels: int) -> str:
    return textwrap.indent(text, "    " * levels)


def _safe(text: str) -> str:
    """Foreign words inside a docstring: they cannot end it."""
    return text.replace("\\", "/").replace('"""', "'''").strip().rstrip('"')


def families_text(genome: Genome) -> str:
    """The families of a genome as the lab's operators, joined."""
    names: Sequence[str] = [FAMILY_OPERATOR[path.family] for path in genome.paths]
    return " + ".join(names)
