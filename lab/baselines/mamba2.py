"""Mamba-2, state space duality (2405.21060): the step size of each token and head decides what is kept and written.

S_t = e^{-A dt_t} S_{t-1} + B_t^T (dt_t x_t), y_t = C_t S_t + D x_t, then norm and gate. C, B and x stand where
attention has query, key and value; every head has its own.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from move37.kernels import causal_conv1d, chunk_simple_gla, rms_norm_gated


class Mixer(nn.Module):
    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.cbx = nn.Linear(d_model, 3 * d_model, bias=False)
        self.conv = nn.Parameter(torch.empty(3 * d_model, 4).uniform_(-0.5, 0.5))
        self.dt = nn.Linear(d_model, n_heads, bias=False)
        dt = torch.logspace(-2, 0, n_heads)
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))  # softplus(dt_bias) = dt
        self.A_log = nn.Parameter(torch.zeros(n_heads))
        self.skip = nn.Parameter(torch.ones(n_heads, 1))
        self.gate = nn.Linear(d_model, d_model, bias=False)
        self.norm = nn.Parameter(torch.ones(d_model // n_heads))
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        cbx, _ = causal_conv1d(self.cbx(x), self.conv, activation="silu")
        c, b, v = rearrange(cbx, "b t (three h d) -> three b t h d", three=3, h=self.n_heads)
        dt = F.softplus(self.dt(x) + self.dt_bias)  # [batch, time, head]
        o, _ = chunk_simple_gla(c, b, v * dt[..., None], -self.A_log.exp() * dt)
        o = o + self.skip * v
        gate = rearrange(self.gate(x), "b t (h d) -> b t h d", h=self.n_heads)
        o = rms_norm_gated(o, gate, self.norm, activation="silu")
        y: Tensor = self.out(rearrange(o, "b t h d -> b t (h d)"))
        return y
