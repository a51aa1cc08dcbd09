"""designer_3."""

# genome: {"around":[{"block":{"conv":false,"floor":"none","gate":"none","heads":"same","keys":"quarter","out_norm":true,"paths":[{"beta":2,"decay":"default","family":"delta","feature":"none","norm":"l2","rotary":false,"window":0}],"residual":false,"router":"none","values":"quarter"},"feeds":"memory","place":"before"}],"conv":true,"floor":"decay","gate":"low","heads":"more","keys":"half","out_norm":true,"paths":[{"beta":1,"decay":"short","family":"gla","feature":"elu","norm":"l2","rotary":false,"window":0}],"residual":true,"router":"none","streams":[{"mix":"shift","name":"input","norm":false},{"mix":"none","name":"value","norm":true},{"mix":"shift","name":"gate","norm":false}]}

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from kernels import causal_conv1d, chunk_delta_rule, chunk_gla, l2norm, rms_norm_gated


def token_before(x):
    """[batch, time, channel] one token later; zeros come first."""
    return F.pad(x, (0, 0, 1, 0))[:, :-1]


class Before(nn.Module):
    """A block whose output the main one reads."""

    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        heads, size = self.n_heads, d_model // self.n_heads
        key, value = max(1, size // 4), max(1, size // 4)  # of a head
        keys, values = heads * key, heads * value
        self.qkv = nn.Linear(d_model, 2 * keys + values, bias=False)
        self.delta_beta = nn.Linear(d_model, heads, bias=False)
        self.norm = nn.Parameter(torch.ones(value))
        self.out = nn.Linear(values, d_model, bias=False)

    def forward(self, x):
        qkv = self.qkv(x)
        q, k, v = rearrange(qkv, "b t (three h d) -> three b t h d", three=3, h=self.n_heads)
        o = self.delta(x, q, k, v)  # [batch, time, head, dim]
        o = F.rms_norm(o, (o.shape[-1],), self.norm, eps=1e-6)
        return self.out(rearrange(o, "b t h d -> b t (h d)"))

    def delta(self, x, q, k, v):
        """Erases what the key held before it writes."""
        q, k = l2norm(q), l2norm(k)
        o, _ = chunk_delta_rule(q, k, v, 2 * self.delta_beta(x).sigmoid())
        return o


class Mixer(nn.Module):
    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.before = Before(d_model, n_heads)
        self.n_heads = 2 * n_heads if d_model % (4 * n_heads) == 0 else n_heads
        heads, size = self.n_heads, d_model // self.n_heads
        key, value = max(1, size // 2), size  # of a head
        keys, values = heads * key, heads * value
        self.q = nn.Linear(d_model, keys, bias=False)
        self.k = nn.Linear(d_model, keys, bias=False)
        self.v = nn.Linear(d_model, values, bias=False)
        self.widths = (keys, keys, values)
        self.conv = nn.Parameter(torch.empty(2 * keys + values, 4).uniform_(-0.5, 0.5))
        self.input_shift = nn.Parameter(torch.full((d_model,), 0.5))  # share of the token before
        self.value_norm = nn.Parameter(torch.ones(values))
        self.gate_shift = nn.Parameter(torch.full((values,), 0.5))  # share of the token before
        rank = max(1, d_model // 16)
        self.gla_decay = nn.Sequential(nn.Linear(d_model, rank, bias=False), nn.Linear(rank, keys))
        rate = torch.logspace(-1, 0, heads).repeat_interleave(key)  # lost per step
        with torch.no_grad():
            self.gla_decay[1].bias.copy_(-torch.log(torch.expm1(16 * rate)))  # logsigmoid(bias) / 16 = -rate
        self.floor = nn.Parameter(torch.full((heads,), -3.0))  # sigmoid: the least that is kept
        self.skip = nn.Parameter(torch.ones(heads, 1))
        rank = max(1, d_model // 4)  # a full gate would exceed the parameter limit
        self.gate = nn.Sequential(nn.Linear(d_model, rank, bias=False), nn.Linear(rank, values, bias=False))
        self.norm = nn.Parameter(torch.ones(value))
        self.out = nn.Linear(values, d_model, bias=False)

    def forward(self, x):
        fed = x + self.before(x)
        y = self.mix(x, fed)
        return y

    def mix(self, x, fed):
        x = torch.lerp(x, token_before(x), self.input_shift)
        qkv = torch.cat([self.q(x), self.k(fed), self.v(fed)], dim=-1)
        qkv, _ = causal_conv1d(qkv, self.conv, activation="silu")
        q, k, v = qkv.split(self.widths, dim=-1)
        v = F.rms_norm(v, (v.shape[-1],), self.value_norm, eps=1e-6)
        q, k, v = (rearrange(s, "b t (h d) -> b t h d", h=self.n_heads) for s in (q, k, v))
        o = self.gla(x, q, k, v)  # [batch, time, head, dim]
        o = o + self.skip * v
        gate = self.gate(x)
        gate = torch.lerp(gate, token_before(gate), self.gate_shift)
        gate = rearrange(gate, "b t (h d) -> b t h d", h=self.n_heads)
        o = rms_norm_gated(o, gate, self.norm, activation="silu")
        return self.out(rearrange(o, "b t h d -> b t (h d)"))

    def gla(self, x, q, k, v):
        """Every key dimension decides for itself what to forget."""
        q, k = F.elu(q) + 1, F.elu(k) + 1
        q, k = l2norm(q), l2norm(k)
        g = F.logsigmoid(rearrange(self.gla_decay(x), "b t (h d) -> b t h d", h=self.n_heads)) / 16
        floor = self.floor[:, None]
        g = torch.logaddexp(F.logsigmoid(floor), F.logsigmoid(-floor) + g)
        o, _ = chunk_gla(q, k, v, g)
        return o
