"""random_1."""

# genome: {"conv":true,"floor":"none","gate":"full","heads":"same","out_norm":true,"paths":[{"beta":1,"decay":"default","family":"ssd","feature":"none","norm":"none","rotary":false,"window":0}],"residual":true,"router":"none","streams":[{"mix":"conv","name":"input","norm":false,"taps":4}]}

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from kernels import causal_conv1d, chunk_simple_gla, rms_norm_gated


class Mixer(nn.Module):
    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        heads, size = self.n_heads, d_model // self.n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.conv = nn.Parameter(torch.empty(3 * d_model, 4).uniform_(-0.5, 0.5))
        self.input_conv = nn.Parameter(torch.empty(d_model, 4).uniform_(-0.5, 0.5))
        self.ssd_dt = nn.Linear(d_model, heads, bias=False)
        dt = torch.logspace(-2, 0, heads)  # step sizes that the heads start with
        self.ssd_dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))  # softplus(dt_bias) = dt
        self.ssd_a_log = nn.Parameter(torch.zeros(heads))
        self.skip = nn.Parameter(torch.ones(heads, 1))
        self.gate = nn.Linear(d_model, d_model, bias=False)
        self.norm = nn.Parameter(torch.ones(size))
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x):
        near, _ = causal_conv1d(x, self.input_conv)
        x = x + near
        qkv, _ = causal_conv1d(self.qkv(x), self.conv, activation="silu")
        q, k, v = rearrange(qkv, "b t (three h d) -> three b t h d", three=3, h=self.n_heads)
        o = self.ssd(x, q, k, v)  # [batch, time, head, dim]
        o = o + self.skip * v
        gate = rearrange(self.gate(x), "b t (h d) -> b t h d", h=self.n_heads)
        o = rms_norm_gated(o, gate, self.norm, activation="silu")
        return self.out(rearrange(o, "b t h d -> b t (h d)"))

    def ssd(self, x, q, k, v):
        """The step size decides what is kept and what is written."""
        dt = F.softplus(self.ssd_dt(x) + self.ssd_dt_bias)  # [batch, time, head]
        g = -self.ssd_a_log.exp() * dt  # log of the decay
        o, _ = chunk_simple_gla(q, k, v * dt[..., None], g)
        return o
