"""One block of a mixer as source text: what its class builds (`init`) and what it computes (`forward`).

A block has shared queries, keys and values, a method a path (fragments.py), a router or a chain, a gate and an output
projection. codegen.py puts blocks together into a file.
"""

from __future__ import annotations

from move37.agents.search.fragments import arguments, indent, path_init
from move37.agents.search.genome import CONVOLVING, PROJECTED, SHARES, Feeds, Genome, Stream, Width
from move37.agents.search.streams import treatments

SIZES = {"quarter": "max(1, size // 4)", "half": "max(1, size // 2)", "same": "size", "double": "2 * size"}


# __init__ ------------------------------------------------------------------------------------------------------


def init(genome: Genome, feeds: Feeds = "all", around: tuple[str, ...] = ()) -> str:
    """`__init__`. `feeds` is what a block before it feeds; `around` are the lines that build the blocks around it."""
    same = genome.keys == genome.values == "same"
    keys, values = ("d_model", "d_model") if same else ("keys", "values")
    lines = ["super().__init__()", *around]
    lines += {
        "same": ["self.n_heads = n_heads"],
        "fewer": ["self.n_heads = n_heads // 2 if n_heads % 2 == 0 else n_heads"],
        "more": ["self.n_heads = 2 * n_heads if d_model % (4 * n_heads) == 0 else n_heads"],
    }[genome.heads]
    lines += ["heads, size = self.n_heads, d_model // self.n_heads"] if not same or _needs_sizes(genome) else []
    if not same:
        lines += [f"key, value = {SIZES[genome.keys]}, {SIZES[genome.values]}  # of a head"]
        lines += ["keys, values = heads * key, heads * value"]
    total = "3 * d_model" if same else "2 * keys + values"
    if feeds == "all":
        lines += [f"self.qkv = nn.Linear(d_model, {total}, bias=False)"]
    else:
        for name, width in (("q", keys), ("k", keys), ("v", values)):
            lines += [f"self.{name} = nn.Linear(d_model, {width}, bias=False)"]
    if not same and not _is_one_cut(genome):
        lines += ["self.widths = (keys, keys, values)"]
    if genome.conv:
        lines += [f"self.conv = nn.Parameter(torch.empty({total}, {genome.taps}).uniform_(-0.5, 0.5))"]
    widths = {"input": "d_model", "query": keys, "key": keys}
    for stream in genome.streams:
        lines += _stream_init(stream, widths.get(stream.name, values))
    for path in genome.paths:
        lines += path_init(path, genome, keys=keys, values=values, key="size" if same else "key")
    if genome.router not in ("none", "chain"):
        lines += [f"self.router = nn.Linear(d_model, {len(genome.paths)} * heads, bias=False)"]
    if genome.floor == "router":
        lines += ["self.floor = nn.Parameter(torch.full((heads, 1), -3.0))  # sigmoid: every path keeps 5 % at first"]
    if genome.floor == "decay":
        lines += ["self.floor = nn.Parameter(torch.full((heads,), -3.0))  # sigmoid: the least that is kept"]
    if genome.residual:
        lines += ["self.skip = nn.Parameter(torch.ones(heads, 1))"]
    if genome.gate == "full":
        lines += [f"self.gate = nn.Linear(d_model, {values}, bias=False)"]
    if genome.gate == "low":
        rank = "max(1, d_model // 4)"
        lines += [f"rank = {rank}  # a full gate would exceed the parameter limit"]
        lines += [
            f"self.gate = nn.Sequential(nn.Linear(d_model, rank, bias=False), nn.Linear(rank, {values}, bias=False))"
        ]
    lines += [f"self.norm = nn.Parameter(torch.ones({'size' if same else 'value'}))"] if genome.out_norm else []
    lines += [f"self.out = nn.Linear({values}, d_model, bias=False)"]
    return "def __init__(self, d_model: int, n_heads: int):\n" + indent("\n".join(lines), 1)


def _stream_init(stream: Stream, width: str) -> list[str]:
    lines = []
    if stream.mix == "conv":
        lines += [f"self.{stream.name}_conv = nn.Parameter(torch.empty({width}, {stream.taps}).uniform_(-0.5, 0.5))"]
    if stream.mix == "shift":
        lines += [f"self.{stream.name}_shift = nn.Parameter(torch.full(({width},), 0.5))  # share of the token before"]
    if stream.norm:
        lines += [f"self.{stream.name}_norm = nn.Parameter(torch.ones({width}))"]
    return lines


def _needs_sizes(genome: Genome) -> bool:
    return (
        genome.out_norm
        or genome.router not in ("none", "chain")
        or genome.floor != "none"
        or genome.residual
        or any(p.norm == "rms" or p.tree or p.family not in ("softmax", "linear", *CONVOLVING) for p in genome.paths)
    )


def _is_one_cut(genome: Genome) -> bool:
    """Whether queries, keys and values are split in one line: equal widths, and no stream with an operator."""
    return genome.keys == genome.values and not any(stream.name in PROJECTED for stream in genome.streams)


# forward -------------------------------------------------------------------------------------------------------


def forward(genome: Genome, feeds: Feeds = "all", *, name: str = "forward") -> str:
    """The method that applies the block; with a block before it that feeds some streams alone, `fed` is what they
    read."""
    streams = treatments(genome)
    lines = _treated(streams["input"], "x")
    projected = "self.qkv(x)"
    if feeds != "all":
        read = {"query": "x"} | {s: "fed" if feeds in ("memory", f"{s}s") else "x" for s in ("key", "value")}
        projected = f"torch.cat([{', '.join(f'self.{s[0]}({read[s]})' for s in PROJECTED)}], dim=-1)"
    if genome.conv and feeds == "all":
        lines += [f'qkv, _ = causal_conv1d({projected}, self.conv, activation="silu")']
    else:
        lines += [f"qkv = {projected}"]
        lines += ['qkv, _ = causal_conv1d(qkv, self.conv, activation="silu")'] if genome.conv else []
    if _is_one_cut(genome):
        lines += ['q, k, v = rearrange(qkv, "b t (three h d) -> three b t h d", three=3, h=self.n_heads)']
    else:
        widths = "3 * [qkv.shape[-1] // 3]" if genome.keys == genome.values == "same" else "self.widths"
        lines += [f"q, k, v = qkv.split({widths}, dim=-1)"]
        for stream in (s for s in genome.streams if s.name in PROJECTED):
            lines += _treated(stream, stream.name[0])
        lines += ['q, k, v = (rearrange(s, "b t (h d) -> b t h d", h=self.n_heads) for s in (q, k, v))']
    lines += _paths(genome)
    if genome.residual:
        lines += ["o = o + self.skip * v"]
    lines += _finish(genome)
    output = _treated(streams["output"], "o")
    if output:
        lines += ['o = rearrange(o, "b t h d -> b t (h d)")', *output, "return self.out(o)"]
    else:
        lines += ['return self.out(rearrange(o, "b t h d -> b t (h d)"))']
    arguments_ = "x" if feeds == "all" else "x, fed"
    return f"def {name}(self, {arguments_}):\n" + indent("\n".join(lines), 1)


def _treated(stream: Stream, variable: str) -> list[str]:
    """Lines that mix a stream with its past and scale it, on [batch, time, channel]."""
    name, lines = f"self.{stream.name}", []
    if stream.mix == "conv" and stream.name in PROJECTED:
        lines += [f'{variable}, _ = causal_conv1d({variable}, {name}_conv, activation="silu")']
    elif stream.mix == "conv":
        lines += [f"near, _ = causal_conv1d({variable}, {name}_conv)", f"{variable} = {variable} + near"]
    if stream.mix == "shift":
        lines += [f"{variable} = torch.lerp({variable}, token_before({variable}), {name}_shift)"]
    if stream.norm:
        lines += [f"{variable} = F.rms_norm({variable}, ({variable}.shape[-1],), {name}_norm, eps=1e-6)"]
    return lines


def _paths(genome: Genome) -> list[str]:
    calls = [f"self.{path.family}({arguments(path)})" for path in genome.paths]
    if len(calls) == 1:
        return [f"o = {calls[0]}  # [batch, time, head, dim]"]
    if genome.router == "chain":
        lines = [f"o = {calls[0]}  # [batch, time, head, dim]"]
        for path in genome.paths[1:]:
            lines += ["v = v + F.rms_norm(o, (o.shape[-1],), eps=1e-6)  # what was read is what the next one writes"]
            lines += [f"o = self.{path.family}({arguments(path)})"]
        return lines
    return [
        # Each path is brought to unit scale, so that the router's weights mean the same for all.
        "paths = torch.stack([",
        *(f"    F.rms_norm({call}, (v.shape[-1],), eps=1e-6)," for call in calls),
        "], dim=-2)  # [batch, time, head, path, dim]",
        *_routing(genome),
        "o = (weights[..., None] * paths).sum(dim=-2)",
    ]


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
    if genome.gate == "none":
        return ["o = F.rms_norm(o, (o.shape[-1],), self.norm, eps=1e-6)"] if genome.out_norm else []
    gate, treated = "self.gate(x)", _treated(treatments(genome)["gate"], "gate")
    lines = ["gate = self.gate(x)", *treated] if treated else []
    split = f'rearrange({"gate" if treated else gate}, "b t (h d) -> b t h d", h=self.n_heads)'
    if genome.out_norm:
        return [*lines, f"gate = {split}", 'o = rms_norm_gated(o, gate, self.norm, activation="silu")']
    return [*lines, f"o = o * F.silu({split})"]


def share(width: Width, size: int) -> int:
    """What SIZES says in source, as a number: of a head of `size`."""
    upper, lower = SHARES[width]
    return max(1, size * upper // lower)
