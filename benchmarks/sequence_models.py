"""The networks of the published studies: mixers as their papers have them, between norms and SwiGLUs.

Small on purpose and plain PyTorch over our kernels, so that a core trains one in a minute. `Backbone` takes any mixer
that is made from (width, heads): those of this file, which know the range of their eigenvalues, or the lab's baselines.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from move37.kernels import causal_conv1d, chunk_delta_rule, chunk_gla

MakeMixer = Callable[[int, int], nn.Module]  # (width, heads) -> [batch, time, width] to the same
MULTIPLE = 16  # of which a SwiGLU's inner width is one
EMBEDDING_STD = 0.02


class SwiGLU(nn.Module):
    """width -> 8/3 width -> width, gated by silu, no biases."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = MULTIPLE * math.ceil(width * 8 / 3 / MULTIPLE)
        self.gate, self.up = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> the same."""
        y: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return y


class Backbone(nn.Module):
    """Embedding, `layers` of (norm, mixer, norm, SwiGLU), norm, head."""

    def __init__(self, mixer: MakeMixer, *, vocabulary: int, answers: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
        self.mixers = nn.ModuleList(mixer(width, heads) for _ in range(layers))
        self.mlps = nn.ModuleList(SwiGLU(width) for _ in range(layers))
        self.norms = nn.ModuleList(nn.RMSNorm(width, eps=1e-5) for _ in range(2 * layers + 1))
        self.head = nn.Linear(width, answers)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens: Tensor, rows: Tensor, places: Tensor) -> Tensor:
        """tokens [batch, time]; logits [n, answers] at (rows[i], places[i]): only there are answers due."""
        x = self.embedding(tokens)
        for i, (mixer, mlp) in enumerate(zip(self.mixers, self.mlps, strict=True)):
            x = x + mixer(self.norms[2 * i](x))
            if i == len(self.mixers) - 1:
                x = x[rows, places]  # after the last mixer every position stands alone
            x = x + mlp(self.norms[2 * i + 1](x))
        logits: Tensor = self.head(self.norms[-1](x))
        return logits


class DeltaNet(nn.Module):
    """DeltaNet (2406.06484): convolution and silu, unit keys, norm of each head. Eigenvalues in [1 - top, 1]."""

    def __init__(self, width: int, heads: int, *, top: float) -> None:
        super().__init__()
        self.heads, self.top = heads, top
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.conv = nn.Parameter(torch.empty(3 * width, 4).uniform_(-0.5, 0.5))
        self.beta = nn.Linear(width, heads, bias=False)
        self.norm, self.out = nn.RMSNorm(width // heads, eps=1e-5), nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, time, width] -> the same."""
        batch, time, width = x.shape
        qkv, _ = causal_conv1d(self.qkv(x), self.conv, activation="silu")
        q, k, v = qkv.view(batch, time, 3, self.heads, -1).unbind(2)
        beta = self.top * self.beta(x).sigmoid()
        o, _ = chunk_delta_rule(q, k, v, beta, use_qk_l2norm_in_kernel=True)
        y: Tensor = self.out(self.norm(o).reshape(batch, time, width))
        return y


class GLA(nn.Module):
    """Gated linear attention (2312.06635), without convolution: a decay of each key channel, sigmoid to the 1/16."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.decay = nn.Sequential(nn.Linear(width, 16, bias=False), nn.Linear(16, width))
        self.gate, self.out = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.norm = nn.RMSNorm(width // heads, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, time, width] -> the same."""
        batch, time, width = x.shape
        q, k, v = self.qkv(x).view(batch, time, 3, self.heads, -1).unbind(2)
        g = F.logsigmoid(self.decay(x)).view(batch, time, self.heads, -1) / 16
        o, _ = chunk_gla(q, k, v, g)
        y: Tensor = self.out(self.norm(o).reshape(batch, time, width) * F.silu(self.gate(x)))
        return y


class Attention(nn.Module):
    """Causal softmax attention (1706.03762) with rotary positions (2104.09864)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, time, width] -> the same."""
        batch, time, width = x.shape
        q, k, v = self.qkv(x).view(batch, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        o = F.scaled_dot_product_attention(_turned(q), _turned(k), v, is_causal=True)
        y: Tensor = self.out(o.transpose(1, 2).reshape(batch, time, width))
        return y


def _turned(x: Tensor) -> Tensor:
    """Pairs (i, i + half) of [..., time, channels] turn by time * 10000^(-i/half)."""
    half = x.shape[-1] // 2
    rates = 10000.0 ** (-torch.arange(half) / half)
    angles = torch.arange(x.shape[-2])[:, None] * rates
    a, b = x.split(half, dim=-1)
    return torch.cat([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=-1)


class Mamba(nn.Module):
    """Mamba (2312.00752), a state of 16 a channel, step by step. `low`: its least eigenvalue, 0 or -1 (2411.12537)."""

    def __init__(self, width: int, heads: int, *, low: float, state: int = 16, expand: int = 2) -> None:
        super().__init__()
        inner, rank = expand * width, math.ceil(width / 16)
        self.low, self.state, self.rank = low, state, rank
        self.into, self.out = nn.Linear(width, 2 * inner, bias=False), nn.Linear(inner, width, bias=False)
        self.conv = nn.Parameter(torch.empty(inner, 4).uniform_(-0.5, 0.5))
        self.chosen = nn.Linear(inner, rank + 2 * state, bias=False)  # step size, B and C, all from the input
        self.step = nn.Linear(rank, inner)
        start = torch.exp(torch.empty(inner).uniform_(math.log(1e-3), math.log(1e-1)))
        with torch.no_grad():
            self.step.bias.copy_(start + torch.log(-torch.expm1(-start)))  # softplus(bias) = start
        self.A_log = nn.Parameter(torch.arange(1.0, state + 1).log().repeat(inner, 1))
        self.skip = nn.Parameter(torch.ones(inner))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, time, width] -> the same."""
        x, gate = self.into(x).chunk(2, dim=-1)
        x, _ = causal_conv1d(x.contiguous(), self.conv, activation="silu")
        rank, b, c = self.chosen(x).split([self.rank, self.state, self.state], dim=-1)
        dt = F.softplus(self.step(rank))
        a = -self.A_log.exp()
        h = x.new_zeros(x.shape[0], x.shape[2], self.state)
        seen = []
        for t in range(x.shape[1]):
            decay = (1.0 - self.low) * torch.exp(dt[:, t, :, None] * a) + self.low
            h = decay * h + (dt[:, t] * x[:, t])[..., None] * b[:, t, None]
            seen.append((h * c[:, t, None]).sum(-1))
        y: Tensor = self.out((torch.stack(seen, 1) + self.skip * x) * F.silu(gate))
        return y
