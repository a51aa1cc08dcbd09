"""RetNet (2307.08621): a memory with one fixed decay a head, short convolution, norm and gate on the output.

S_t = gamma_h S_{t-1} + k_t^T v_t, o_t = q_t S_t / sqrt(d), with gamma_h between 1 - 2^-1 and 1 - 2^-7: heads that
remember from two tokens to a hundred.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from move37.kernels import causal_conv1d, chunk_simple_gla, rms_norm_gated


class Mixer(nn.Module):
    log_decay: Tensor  # [head]

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.conv = nn.Parameter(torch.empty(3 * d_model, 4).uniform_(-0.5, 0.5))
        self.gate = nn.Linear(d_model, d_model, bias=False)
        self.norm = nn.Parameter(torch.ones(d_model // n_heads))
        self.out = nn.Linear(d_model, d_model, bias=False)
        self.register_buffer("log_decay", torch.log1p(-(2.0 ** -torch.linspace(1, 7, n_heads))))

    def forward(self, x: Tensor) -> Tensor:
        qkv, _ = causal_conv1d(self.qkv(x), self.conv, activation="silu")
        q, k, v = rearrange(qkv, "b t (three h d) -> three b t h d", three=3, h=self.n_heads)
        g = self.log_decay.expand(x.shape[0], x.shape[1], self.n_heads)
        o, _ = chunk_simple_gla(q, k, v, g)
        gate = rearrange(self.gate(x), "b t (h d) -> b t h d", h=self.n_heads)
        o = rms_norm_gated(o, gate, self.norm, activation="silu")
        y: Tensor = self.out(rearrange(o, "b t h d -> b t (h d)"))
        return y
