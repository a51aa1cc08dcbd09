"""DeltaNet (2102.11174, in parallel form 2406.06484): before it writes, it erases what the key held.

S_t = (I - beta_t k_t^T k_t) S_{t-1} + beta_t k_t^T v_t, o_t = q_t S_t / sqrt(d), with keys and queries of length one.
beta reaches 2, so that eigenvalues may be negative and states can be tracked (2411.12537).
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from move37.kernels import causal_conv1d, chunk_delta_rule, rms_norm_gated


class Mixer(nn.Module):
    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.conv = nn.Parameter(torch.empty(3 * d_model, 4).uniform_(-0.5, 0.5))
        self.beta = nn.Linear(d_model, n_heads, bias=False)
        self.gate = nn.Linear(d_model, d_model, bias=False)
        self.norm = nn.Parameter(torch.ones(d_model // n_heads))
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        qkv, _ = causal_conv1d(self.qkv(x), self.conv, activation="silu")
        q, k, v = rearrange(qkv, "b t (three h d) -> three b t h d", three=3, h=self.n_heads)
        beta = 2 * self.beta(x).sigmoid()  # [batch, time, head]
        o, _ = chunk_delta_rule(q, k, v, beta, use_qk_l2norm_in_kernel=True)
        gate = rearrange(self.gate(x), "b t (h d) -> b t h d", h=self.n_heads)
        o = rms_norm_gated(o, gate, self.norm, activation="silu")
        y: Tensor = self.out(rearrange(o, "b t h d -> b t (h d)"))
        return y
