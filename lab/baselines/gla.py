"""Gated linear attention (2312.06635): every key dimension of every head decides for itself what to forget.

S_t = diag(e^{g_t}) S_{t-1} + k_t^T v_t, o_t = q_t S_t / sqrt(d), with g_t = log sigmoid(low rank of x_t).
The paper divides g_t by 16; at a hundred tokens of context the shorter memory is better by far.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from move37.kernels import causal_conv1d, chunk_gla, rms_norm_gated


class Mixer(nn.Module):
    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.conv = nn.Parameter(torch.empty(3 * d_model, 4).uniform_(-0.5, 0.5))
        rank = max(1, d_model // 16)
        self.decay = nn.Sequential(nn.Linear(d_model, rank, bias=False), nn.Linear(rank, d_model))
        self.gate = nn.Linear(d_model, d_model, bias=False)
        self.norm = nn.Parameter(torch.ones(d_model // n_heads))
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        qkv, _ = causal_conv1d(self.qkv(x), self.conv, activation="silu")
        q, k, v = rearrange(qkv, "b t (three h d) -> three b t h d", three=3, h=self.n_heads)
        g = F.logsigmoid(rearrange(self.decay(x), "b t (h d) -> b t h d", h=self.n_heads))
        o, _ = chunk_gla(q, k, v, g)
        gate = rearrange(self.gate(x), "b t (h d) -> b t h d", h=self.n_heads)
        o = rms_norm_gated(o, gate, self.norm, activation="silu")
        y: Tensor = self.out(rearrange(o, "b t h d -> b t (h d)"))
        return y
