"""Gated DeltaNet (2412.06464): the delta rule erases one key at a time, the gate forgets everything at once.

S_t = e^{g_t} (I - beta_t k_t^T k_t) S_{t-1} + beta_t k_t^T v_t, o_t = q_t S_t / sqrt(d), with keys and queries of
length one and g_t = -A softplus(W x_t + b), as in Mamba-2.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from move37.kernels import causal_conv1d, chunk_gated_delta_rule, rms_norm_gated


class Mixer(nn.Module):
    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.conv = nn.Parameter(torch.empty(3 * d_model, 4).uniform_(-0.5, 0.5))
        self.beta = nn.Linear(d_model, n_heads, bias=False)
        self.dt = nn.Linear(d_model, n_heads, bias=False)
        dt = torch.logspace(-2, 0, n_heads)
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))  # softplus(dt_bias) = dt
        self.A_log = nn.Parameter(torch.zeros(n_heads))
        self.gate = nn.Linear(d_model, d_model, bias=False)
        self.norm = nn.Parameter(torch.ones(d_model // n_heads))
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        qkv, _ = causal_conv1d(self.qkv(x), self.conv, activation="silu")
        q, k, v = rearrange(qkv, "b t (three h d) -> three b t h d", three=3, h=self.n_heads)
        g = -self.A_log.exp() * F.softplus(self.dt(x) + self.dt_bias)  # [batch, time, head], log of the decay
        beta = self.beta(x).sigmoid()
        o, _ = chunk_gated_delta_rule(q, k, v, g, beta, use_qk_l2norm_in_kernel=True)
        gate = rearrange(self.gate(x), "b t (h d) -> b t h d", h=self.n_heads)
        o = rms_norm_gated(o, gate, self.norm, activation="silu")
        y: Tensor = self.out(rearrange(o, "b t h d -> b t (h d)"))
        return y
