"""The two networks whose training step is compared: the same but for the mixer. 0.09 M parameters at d = 64."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from move37 import kernels

VOCABULARY = 96


class Softmax(nn.Module):
    """Causal attention with rotary positions; `conv` adds the short convolution that the linear mixers have."""

    def __init__(self, d_model: int, n_heads: int, *, conv: bool) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)
        self.taps = nn.Parameter(torch.randn(3 * d_model, 4) * 0.3) if conv else None
        half = d_model // n_heads // 2
        angle = torch.arange(8192)[:, None] * 10000 ** (-torch.arange(half) / half)
        self.register_buffer("cos", angle.cos()[:, None])
        self.register_buffer("sin", angle.sin()[:, None])

    def forward(self, x: Tensor) -> Tensor:
        batch, time, _ = x.shape
        y = self.qkv(x)
        if self.taps is not None:
            y, _ = kernels.causal_conv1d(y, self.taps, activation="silu")
        q, k, v = y.view(batch, time, 3, self.n_heads, -1).unbind(2)
        q, k = self._rotate(q), self._rotate(k)
        o = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True)
        out: Tensor = self.out(o.transpose(1, 2).flatten(2))
        return out

    def _rotate(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, -1)
        cos, sin = self.cos[: x.shape[1]], self.sin[: x.shape[1]]
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class GatedDelta(nn.Module):
    """Gated DeltaNet: short convolution, normalised keys, output gate, one input projection for everything."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads, self.d_model = n_heads, d_model
        self.into = nn.Linear(d_model, 4 * d_model + 2 * n_heads, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)
        self.taps = nn.Parameter(torch.randn(3 * d_model, 4) * 0.3)
        self.norm = nn.Parameter(torch.ones(d_model // n_heads))
        self.a_log, self.dt = nn.Parameter(torch.zeros(n_heads)), nn.Parameter(torch.zeros(n_heads))

    def forward(self, x: Tensor) -> Tensor:
        batch, time, d = x.shape
        qkv, gate, raw = self.into(x).split([3 * d, d, 2 * self.n_heads], -1)
        qkv, _ = kernels.causal_conv1d(qkv, self.taps, activation="silu")
        q, k, v = qkv.view(batch, time, 3, self.n_heads, -1).unbind(2)
        beta, dt = raw.chunk(2, -1)
        g = -self.a_log.exp() * F.softplus(dt + self.dt)
        o, _ = kernels.chunk_gated_delta_rule(q, k, v, g, beta.sigmoid(), use_qk_l2norm_in_kernel=True)
        o = kernels.rms_norm_gated(o, gate.view(o.shape), self.norm)
        out: Tensor = self.out(o.flatten(2))
        return out


class KernelNetwork(nn.Module):
    """Embedding, blocks of mixer and MLP, head; `forward` gives the loss."""

    def __init__(self, mixer: Callable[[], nn.Module], d_model: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, d_model)
        self.mixers = nn.ModuleList(mixer() for _ in range(layers))
        self.norms = nn.ModuleList(nn.RMSNorm(d_model) for _ in range(2 * layers + 1))
        self.mlps = nn.ModuleList(
            nn.Sequential(
                nn.Linear(d_model, 2 * d_model, bias=False), nn.GELU(), nn.Linear(2 * d_model, d_model, bias=False)
            )
            for _ in range(layers)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens[:, :-1])
        for i, (mixer, mlp) in enumerate(zip(self.mixers, self.mlps, strict=True)):
            x = x + mixer(self.norms[2 * i](x))
            x = x + mlp(self.norms[2 * i + 1](x))
        logits = F.linear(self.norms[-1](x), self.embed.weight)
        return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def training_step(
    mixer: Callable[[], nn.Module],
    *,
    d_model: int = 64,
    layers: int = 2,
    batch: int = 16,
    time: int = 128,
    compiled: bool = False,
) -> tuple[Callable[[], None], int]:
    """One AdamW step on random tokens, and the number of parameters."""
    torch.manual_seed(0)
    network = KernelNetwork(mixer, d_model, layers)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    tokens = torch.randint(0, VOCABULARY, (batch, time + 1))
    forward = torch.compile(network) if compiled else network

    def step() -> None:
        loss = forward(tokens)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step, sum(p.numel() for p in network.parameters())
