"""designer_2."""

# genome: {"conv":true,"floor":"none","gate":"low","heads":"same","keys":"half","out_norm":true,"paths":[{"beta":2,"decay":"default","family":"delta","feature":"none","norm":"l2","rotary":false,"steps":2,"window":0}],"residual":true,"router":"none","streams":[{"mix":"shift","name":"input","norm":false},{"mix":"none","name":"value","norm":true},{"mix":"shift","name":"gate","norm":false}]}

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from kernels import causal_conv1d, chunk_gated_delta_product, l2norm, rms_norm_gated


def token_before(x):
    """[batch, time, channel] one token later; zeros come first."""
    return F.pad(x, (0, 0, 1, 0))[:, :-1]


def with_steps(first, more, steps):
    """A row a step: [batch, time, head, dim] and [batch, time, (steps - 1) * head * dim] joined in time."""
    more = rearrange(more, "b t (n h d) -> b t n h d", n=steps - 1, h=first.shape[2])
    return torch.cat([first[:, :, None], more], dim=2).flatten(1, 2)


class Mixer(nn.Module):
    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        heads, size = self.n_heads, d_model // self.n_heads
        key, value = max(1, size // 2), size  # of a head
        keys, values = heads * key, heads * value
        self.qkv = nn.Linear(d_model, 2 * keys + values, bias=False)
        self.widths = (keys, keys, values)
        self.conv = nn.Parameter(torch.empty(2 * keys + values, 4).uniform_(-0.5, 0.5))
        self.input_shift = nn.Parameter(torch.full((d_model,), 0.5))  # share of the token before
        self.value_norm = nn.Parameter(torch.ones(values))
        self.gate_shift = nn.Parameter(torch.full((values,), 0.5))  # share of the token before
        self.delta_beta = nn.Linear(d_model, 2 * heads, bias=False)
        self.delta_more_k = nn.Linear(d_model, keys, bias=False)  # of the further steps
        self.delta_more_v = nn.Linear(d_model, values, bias=False)
        self.skip = nn.Parameter(torch.ones(heads, 1))
        rank = max(1, d_model // 4)  # a full gate would exceed the parameter limit
        self.gate = nn.Sequential(nn.Linear(d_model, rank, bias=False), nn.Linear(rank, values, bias=False))
        self.norm = nn.Parameter(torch.ones(value))
        self.out = nn.Linear(values, d_model, bias=False)

    def forward(self, x):
        x = torch.lerp(x, token_before(x), self.input_shift)
        qkv, _ = causal_conv1d(self.qkv(x), self.conv, activation="silu")
        q, k, v = qkv.split(self.widths, dim=-1)
        v = F.rms_norm(v, (v.shape[-1],), self.value_norm, eps=1e-6)
        q, k, v = (rearrange(s, "b t (h d) -> b t h d", h=self.n_heads) for s in (q, k, v))
        o = self.delta(x, q, k, v)  # [batch, time, head, dim]
        o = o + self.skip * v
        gate = self.gate(x)
        gate = torch.lerp(gate, token_before(gate), self.gate_shift)
        gate = rearrange(gate, "b t (h d) -> b t h d", h=self.n_heads)
        o = rms_norm_gated(o, gate, self.norm, activation="silu")
        return self.out(rearrange(o, "b t h d -> b t (h d)"))

    def delta(self, x, q, k, v):
        """Erases what the key held before it writes; 2 times a token."""
        k = with_steps(k, self.delta_more_k(x), 2)
        v = with_steps(v, self.delta_more_v(x), 2)
        q, k = l2norm(q), l2norm(k)
        beta = rearrange(2 * self.delta_beta(x).sigmoid(), "b t (n h) -> b (t n) h", n=2)
        o, _ = chunk_gated_delta_product(q, k, v, None, beta, 2)
        return o
