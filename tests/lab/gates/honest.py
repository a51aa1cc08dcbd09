"""Mixers that are unusual and right: no gate may fail them."""

from __future__ import annotations

from tests.lab.gates.defects import CLEAN, planted

HONEST: dict[str, str] = {
    "clean": CLEAN,
    "dropout in training": planted(init="self.drop = nn.Dropout(0.1)", last="y = self.drop(y)"),
    "an output projection of zeros": planted(init="nn.init.zeros_(self.outer.weight)\nnn.init.zeros_(self.outer.bias)"),
    "a residual path that starts shut": planted(
        init="self.open = nn.Parameter(torch.zeros(()))", last="y = y + self.open * u"
    ),
    "sums in float32": planted(last="y = y + u.float().cumsum(1).div(64).tanh().to(y.dtype)"),
    "a table of positions that grows": planted(
        init="self.table = None",
        last="""
if self.table is None or len(self.table) < x.shape[1]:
    self.table = torch.cos(torch.arange(2 * x.shape[1]).double() / 9)[:, None]
y = y * (2 + self.table[: x.shape[1]].to(y.dtype))
""",
    ),
    "an FFT filter padded to twice the length": planted(
        init="self.rate = nn.Parameter(torch.linspace(-1, 1, d_model))",
        last="""
time, wide = x.shape[1], u.to(torch.promote_types(u.dtype, torch.float32))
taps = torch.exp(-torch.arange(time).to(wide)[:, None] * self.rate.to(wide).exp() / 9)
spectrum = torch.fft.rfft(wide, n=2 * time, dim=1) * torch.fft.rfft(taps, n=2 * time, dim=0)
y = y + torch.fft.irfft(spectrum, n=2 * time, dim=1)[:, :time].to(u.dtype)
""",
    ),
    "a recurrence written as a loop": planted(
        init="self.keep = nn.Parameter(torch.zeros(d_model))",
        last="""
state, states = torch.zeros_like(u[:, 0]), []
for t in range(u.shape[1]):
    state = self.keep.sigmoid() * state + u[:, t]
    states.append(state)
y = y + torch.stack(states, 1)
""",
    ),
    "softmax within a window of 32": planted(
        last="""
time = u.shape[1]
padded = F.pad(u, (0, 0, 31, -time % 32))
keys = padded.unfold(1, 32, 1)[:, :time]
mask = torch.arange(time)[:, None] + torch.arange(32) < 31
scores = torch.einsum("btd,btdw->btw", u, keys) / u.shape[-1]
y = y + torch.einsum("btw,btdw->btd", scores.masked_fill(mask, -1e4).softmax(-1), keys)
""",
    ),
    "a scan in log depth": planted(
        last="""
state, step = u / 8, 1
while step < u.shape[1]:
    state = state + 0.5**step * F.pad(state, (0, 0, step, 0))[:, : u.shape[1]]
    step *= 2
y = y + state
""",
    ),
    "a hard choice by token": planted(last="y = torch.where(u.sum(-1, keepdim=True) > 0, y, 0.5 * y)"),
    "random features that are a buffer": planted(
        init="self.register_buffer('up', torch.randn(64, 99) / 30)",
        last="y = y + (torch.relu(u @ self.up.to(u)) @ self.up.t().to(u) if u.shape[-1] == 64 else 0)",
    ),
    "complex weights": planted(
        init="self.turn = nn.Parameter(torch.randn(d_model, 8, dtype=torch.complex64) / 8)",
        last="""
turn = self.turn.to(torch.complex128 if x.dtype == torch.float64 else torch.complex64)
wide = u.to(turn.real.dtype)
y = y + ((wide.to(turn.dtype) @ turn).abs() @ turn.imag.t()).to(y.dtype)
""",
    ),
    "keys that are signs, and a state that keeps them": planted(
        top="from kernels import chunk_simple_gla",
        last="""
q, k, v = (part.unflatten(-1, (4, -1)) for part in (u, torch.tanh(u) + (u.sign() - torch.tanh(u)).detach(), gate))
o, _ = chunk_simple_gla(q, k / 4, v, torch.full_like(q[..., 0], -0.1))
y = y + o.flatten(-2)
""",
    ),
    "one weight under two names": planted(
        init="self.shared = nn.Parameter(torch.randn(d_model, d_model) / 8)\nself.again = self.shared",
        last="y = y + torch.tanh(u @ self.shared) @ self.again.t()",
    ),
    "rates that were designed, as a column": planted(
        init="self.rates = nn.Parameter(torch.sqrt(1 + 2 * torch.arange(d_model).float())[:, None] / 9)",
        last="y = y + u * self.rates[:, 0].to(u.dtype)",
    ),
    "torch.compile": CLEAN.replace("    def forward", "    @torch.compile\n    def forward"),
}
