"""Softmax attention (1706.03762) with rotary positions (2104.09864), short convolution, query-key norm, norm and gate.

o_t = sum_{s<=t} softmax_s(q_t . k_s / sqrt(d)) v_s. Quadratic in time: exempt from the complexity gate as a baseline
only.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from move37.kernels import causal_conv1d, rms_norm_gated


def rotate(x: Tensor) -> Tensor:
    """Rotary positions on [batch, time, head, dim]: pairs (i, i + dim/2) turn by time * 10000^(-2i/dim)."""
    time, half = x.shape[1], x.shape[-1] // 2
    rates = 10000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float64) / half)
    angles = torch.arange(time, device=x.device, dtype=torch.float64)[:, None] * rates
    cos, sin = angles.cos().to(x.dtype)[:, None], angles.sin().to(x.dtype)[:, None]
    a, b = x[..., :half], x[..., half : 2 * half]
    return torch.cat([a * cos - b * sin, a * sin + b * cos, x[..., 2 * half :]], dim=-1)


class Mixer(nn.Module):
    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.conv = nn.Parameter(torch.empty(3 * d_model, 4).uniform_(-0.5, 0.5))
        self.q_norm = nn.RMSNorm(d_model // n_heads, eps=1e-6)
        self.k_norm = nn.RMSNorm(d_model // n_heads, eps=1e-6)
        self.gate = nn.Linear(d_model, d_model, bias=False)
        self.norm = nn.Parameter(torch.ones(d_model // n_heads))
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        qkv, _ = causal_conv1d(self.qkv(x), self.conv, activation="silu")
        q, k, v = rearrange(qkv, "b t (three h d) -> three b t h d", three=3, h=self.n_heads)
        q, k = rotate(self.q_norm(q)), rotate(self.k_norm(k))
        o = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True)
        gate = rearrange(self.gate(x), "b t (h d) -> b t h d", h=self.n_heads)
        o = rms_norm_gated(o.transpose(1, 2), gate, self.norm, activation="silu")
        y: Tensor = self.out(rearrange(o, "b t h d -> b t (h d)"))
        return y
