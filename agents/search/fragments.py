"""What a path of a mixer is made of, as source text: its parameters and its method. What it calls: functions.py."""

from __future__ import annotations

import textwrap

from move37.agents.search.genome import ERASING, GATED_DECAY, MODES, TAPS, Genome, Path


def path_init(path: Path, genome: Genome, *, keys: str, values: str, key: str) -> list[str]:
    """Lines of `__init__`; `keys` and `values` say in source how wide all are, `key` how wide a head's are."""
    name, lines = path.family, []
    if path.norm == "rms":
        lines += [
            f"self.{name}_q_norm = nn.RMSNorm({key}, eps=1e-6)",
            f"self.{name}_k_norm = nn.RMSNorm({key}, eps=1e-6)",
        ]
    if path.family in ERASING:
        heads = f"{path.steps} * heads" if path.steps > 1 else "heads"
        gates = ("erase", "write") if path.separate else ("beta",)
        lines += [f"self.{name}_{gate} = nn.Linear(d_model, {heads}, bias=False)" for gate in gates]
    if path.tree:
        lines += [f"self.{name}_levels = nn.Linear(d_model, 2 * heads, bias=False)  # how near and far are read"]
    if path.steps > 1:
        more = f"{path.steps - 1} * " if path.steps > 2 else ""
        lines += [
            f"self.{name}_more_k = nn.Linear(d_model, {more}{keys}, bias=False)  # of the further steps",
            f"self.{name}_more_v = nn.Linear(d_model, {more}{values}, bias=False)",
        ]
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
    if path.family in ("gla", "kda"):
        lines += [
            "rank = max(1, d_model // 16)",
            f"self.{name}_decay = nn.Sequential(nn.Linear(d_model, rank, bias=False), nn.Linear(rank, {keys}))",
        ]
        if path.decay != "default":
            lines += [
                f"rate = {_rates(path)}.repeat_interleave({key})  # lost per step",
                "with torch.no_grad():",
                f"    self.{name}_decay[1].bias.copy_(-torch.log(torch.expm1(16 * rate)))"
                "  # logsigmoid(bias) / 16 = -rate",
            ]
    if path.family == "short_conv":
        lines += [f"self.taps = nn.Parameter(torch.empty({values}, {genome.taps}).uniform_(-0.5, 0.5))"]
    if path.family == "long_conv":
        lines += [
            f"modes = {MODES}  # damped waves that a channel's filter is the sum of",
            f"self.wave = nn.Parameter(torch.randn(modes, {values}) / modes)",
            f"self.damping = nn.Parameter(torch.linspace(-5, 0, modes)[:, None].repeat(1, {values}))",
            f"self.pitch = nn.Parameter(torch.rand(modes, {values}))",
        ]
    return lines


def _rates(path: Path) -> str:
    """Decay rates by head: 1/rate is the memory span in steps."""
    low, high = {"default": (-2, 0), "long": (-3, -1.5), "short": (-1, 0), "spread": (-3, 0)}[path.decay]
    if path.family == "retention":  # a rate of one would forget everything
        low, high = {"default": (-2, -0.3), "long": (-3, -1.5), "short": (-1, -0.2), "spread": (-3, -0.2)}[path.decay]
    return f"torch.logspace({low}, {high}, heads)"


# One method a path ---------------------------------------------------------------------------------------------

_WHAT = {
    "softmax": "Softmax inside a window.",
    "linear": "A memory that only adds.",
    "retention": "A memory with one fixed decay a head.",
    "ssd": "The step size decides what is kept and what is written.",
    "gla": "Every key dimension decides for itself what to forget.",
    "delta": "Erases what the key held before it writes.",
    "gated_delta": "Erases what the key held, and forgets everything at once when the gate says so.",
    "kda": "Erases what the key held; every key dimension decides for itself what to forget.",
    "short_conv": "A gated convolution over the last four positions.",
    "long_conv": "A gated convolution over the whole past.",
}


def arguments(path: Path) -> str:
    return "x, q, k, v" if path.tree or path.family in (*ERASING, *GATED_DECAY) else "q, k, v"


def method(path: Path, genome: Genome) -> str:
    """The method of a path: queries, keys and values [batch, time, head, dim] -> what was read, likewise."""
    lines = [f'"""{_what(path, genome)}"""', *_stepped(path), *_prepared(path), *_decayed(path, genome)]
    strengths, beta = _strengths(path)
    lines += [*strengths, *(_from_the_tree(path, beta) if path.tree else _read(path, beta))]
    return f"def {path.family}(self, {arguments(path)}):\n" + indent("\n".join(lines), 1)


def _strengths(path: Path) -> tuple[list[str], str]:
    """What is computed first, and the strength with which the kernel erases and writes."""
    strength = f"{'2 * ' if path.beta == 2 else ''}self.{path.family}_%s(x).sigmoid()"
    if path.steps > 1:
        strength = f'rearrange({strength}, "b t (n h) -> b (t n) h", n={path.steps})'
    if path.separate:
        lines = [f"erase = {strength % 'erase'}.clamp(min=1e-4)  # divided by", f"write = {strength % 'write'}"]
        return [*lines, "v = v * (write / erase)[..., None]  # the kernel writes erase * v"], "erase"
    return ([f"beta = {strength % 'beta'}"], "beta") if path.steps > 1 else ([], strength % "beta")


def _from_the_tree(path: Path, beta: str) -> list[str]:
    decay = {"linear": "", "delta": "", "retention": ", self.retention_decay.expand(v.shape[:3])"}
    given = "q, k, v * dt[..., None]" if path.family == "ssd" else "q, k, v"
    given += f", level_weights(self.{path.family}_levels(x)){decay.get(path.family, ', g')}"
    comment = "# Each bucket of a Fenwick tree over the past has a state of its own, and a weight."
    return [comment, f"return log_linear_attention({given}{f', beta={beta}' if path.family in ERASING else ''})"]


def _read(path: Path, beta: str) -> list[str]:
    if path.steps > 1:
        decay = "g" if path.family == "gated_delta" else "None"
        return [f"o, _ = chunk_gated_delta_product(q, k, v, {decay}, {beta}, {path.steps})", "return o"]
    match path.family:
        case "softmax":
            return [f"return windowed_attention(q, k, v, {path.window})"]
        case "short_conv":
            return [
                'y, _ = causal_conv1d(rearrange(k * v, "b t h d -> b t (h d)"), self.taps)',
                'return q * rearrange(y, "b t (h d) -> b t h d", h=self.n_heads)',
            ]
        case "long_conv":
            return [
                "wide = torch.promote_types(v.dtype, torch.float32)  # an FFT has no bfloat16",
                "step = torch.arange(v.shape[1], device=v.device, dtype=wide)[:, None, None]",
                "fade = torch.exp(-F.softplus(self.damping.to(wide)) * step)",
                "taps = (self.wave.to(wide) * fade * torch.cos(self.pitch.to(wide) * step)).sum(dim=1)",
                'y = long_convolution(rearrange(k * v, "b t h d -> b t (h d)"), taps)',
                'return q * rearrange(y, "b t (h d) -> b t h d", h=self.n_heads)',
            ]
    call = {
        "linear": "chunk_simple_gla(q, k, v)",
        "retention": "chunk_simple_gla(q, k, v, g_gamma=self.retention_decay)",
        "ssd": "chunk_simple_gla(q, k, v * dt[..., None], g)",
        "gla": "chunk_gla(q, k, v, g)",
        "delta": f"chunk_delta_rule(q, k, v, {beta})",
        "gated_delta": f"chunk_gated_delta_rule(q, k, v, g, {beta})",
        "kda": f"chunk_kda(q, k, v, g, {beta})",
    }[path.family]
    return [f"o, _ = {call}", "return o"]


def _what(path: Path, genome: Genome) -> str:
    if path.family == "short_conv" and genome.taps != TAPS:
        return _WHAT["short_conv"].replace("four", str(genome.taps))
    return _WHAT[path.family] if path.steps == 1 else f"{_WHAT[path.family][:-1]}; {path.steps} times a token."


def _stepped(path: Path) -> list[str]:
    if path.steps == 1:
        return []
    return [f"{s} = with_steps({s}, self.{path.family}_more_{s}(x), {path.steps})" for s in ("k", "v")]


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
    if name in ("gla", "kda"):
        lines += [f'g = F.logsigmoid(rearrange(self.{name}_decay(x), "b t (h d) -> b t h d", h=self.n_heads)) / 16']
    if genome.floor == "decay" and name in GATED_DECAY:
        floor = "self.floor[:, None]" if name in ("gla", "kda") else "self.floor"
        lines += [f"floor = {floor}", "g = torch.logaddexp(F.logsigmoid(floor), F.logsigmoid(-floor) + g)"]
    return lines


def indent(text: str, levels: int) -> str:
    return textwrap.indent(text, "    " * levels)
