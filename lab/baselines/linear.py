"""Linear attention (2006.16236) with features silu, short convolution, and norm and gate on the output.

S_t = S_{t-1} + phi(k_t)^T v_t, o_t = phi(q_t) S_t: a memory that only adds. The norm stands in for the denominator, so
features need not be positive: silu after the convolution learns faster here than the paper's elu + 1.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from move37.kernels import causal_conv1d, chunk_simple_gla, rms_norm_gated


class Mixer(nn.Module):
    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.conv = nn.Parameter(torch.empty(3 * d_model, 4).uniform_(-0.5, 0.5))
        self.gate = nn.Linear(d_model, d_model, bias=False)
        self.norm = nn.Parameter(torch.ones(d_model // n_heads))
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        qkv, _ = causal_conv1d(self.qkv(x), self.conv, activation="silu")
        q, k, v = rearrange(qkv, "b t (three h d) -> three b t h d", three=3, h=self.n_heads)
        o, _ = chunk_simple_gla(q, k, v)
        gate = rearrange(self.gate(x), "b t (h d) -> b t h d", h=self.n_heads)
        o = rms_norm_gated(o, gate, self.norm, activation="silu")
        y: Tensor = self.out(rearrange(o, "b t h d -> b t (h d)"))
        return y
