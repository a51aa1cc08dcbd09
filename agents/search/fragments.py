"""What a path of a mixer is made of: parameters, a method, and the functions that it calls, as source text."""

from __future__ import annotations

import textwrap

from move37.agents.search.genome import ERASING, GATED_DECAY, MODES, TAPS, Genome, Path

ROTATE = '''\
def rotate(x):
    """Rotary positions on [batch, time, head, dim]: pairs (i, i + dim/2) turn by time * 10000^(-2i/dim)."""
    time, half = x.shape[1], x.shape[-1] // 2
    rates = 10000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float64) / half)
    angles = torch.arange(time, device=x.device, dtype=torch.float64)[:, None] * rates
    cos, sin = angles.cos().to(x.dtype)[:, None], angles.sin().to(x.dtype)[:, None]
    a, b = x[..., :half], x[..., half : 2 * half]
    return torch.cat([a * cos - b * sin, a * sin + b * cos, x[..., 2 * half :]], dim=-1)'''

WINDOWED = '''\
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

LONG = '''\
def long_convolution(u, taps):
    """y_t = sum_{s<=t} taps_{t-s} u_s on [batch, time, channel] by FFT, padded so that nothing wraps around."""
    time = u.shape[1]
    size = 1 << (2 * time - 1).bit_length()
    spectrum = torch.fft.rfft(u.to(taps.dtype), size, dim=1) * torch.fft.rfft(taps, size, dim=0)
    return torch.fft.irfft(spectrum, size, dim=1)[:, :time].to(u.dtype)'''


BEFORE = '''\
def token_before(x):
    """[batch, time, channel] one token later; zeros come first."""
    return F.pad(x, (0, 0, 1, 0))[:, :-1]'''

STEPPED = '''\
def with_steps(first, more, steps):
    """A row a step: [batch, time, head, dim] and [batch, time, (steps - 1) * head * dim] joined in time."""
    more = rearrange(more, "b t (n h d) -> b t n h d", n=steps - 1, h=first.shape[2])
    return torch.cat([first[:, :, None], more], dim=2).flatten(1, 2)'''


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
        lines += [f"self.{name}_beta = nn.Linear(d_model, {heads}, bias=False)"]
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
    return "x, q, k, v" if path.family in (*ERASING, *GATED_DECAY) else "q, k, v"


def method(path: Path, genome: Genome) -> str:
    """The method of a path: queries, keys and values [batch, time, head, dim] -> what was read, likewise."""
    lines = [f'"""{_what(path, genome)}"""', *_stepped(path), *_prepared(path)]
    lines += _decayed(path, genome)
    beta = f"{'2 * ' if path.beta == 2 else ''}self.{path.family}_beta(x).sigmoid()"
    if path.steps > 1:
        lines += [f'beta = rearrange({beta}, "b t (n h) -> b (t n) h", n={path.steps})']
        decay = "g" if path.family == "gated_delta" else "None"
        lines += [f"o, _ = chunk_gated_delta_product(q, k, v, {decay}, beta, {path.steps})", "return o"]
        return f"def {path.family}(self, {arguments(path)}):\n" + indent("\n".join(lines), 1)
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
        case "kda":
            lines += [f"o, _ = chunk_kda(q, k, v, g, {beta})", "return o"]
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
    return f"def {path.family}(self, {arguments(path)}):\n" + indent("\n".join(lines), 1)


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
