"""Log-linear attention (Guo et al., arXiv 2506.04761, section 3) as it is written, a loop over time.

The past of token t is cut as a Fenwick tree cuts it: a bucket of 2^b tokens for each bit b of t, the largest the
oldest. Each has a state of its own, o_t = s sum_l scales_t^l q_t S_t^l. Level 0 is token t itself, level b + 1 the
bucket of 2^b. What a token does to a state (decay, erase) it does to all of them; what it writes goes into level 0.
"""

from __future__ import annotations

import torch
from torch import Tensor


def log_linear(
    q: Tensor, k: Tensor, v: Tensor, scales: Tensor, g: Tensor | None, beta: Tensor | None, scale: float
) -> Tensor:
    """q, k [B, T, H, K], v [B, T, HV, V], scales [B, T, HV, levels], g [B, T, HV] or [B, T, HV, K] -> o like v."""
    group = v.shape[2] // q.shape[2]
    qs, ks = (x.double().repeat_interleave(group, 2) for x in (q, k))
    vs, weights = v.double(), scales.double()
    decay = None if g is None else g.double().exp().view(*g.shape[:3], -1, 1)  # of rows of the state
    buckets: dict[int, Tensor] = {}  # level -> state [B, HV, K, V]
    outputs = []
    for t in range(v.shape[1]):
        key, rate = ks[:, t].unsqueeze(-1), 1.0 if beta is None else beta[:, t, :, None, None].double()
        for level, s in buckets.items():
            s = s if decay is None else s * decay[:, t]
            buckets[level] = s if beta is None else s - rate * key * (key.mT @ s)
        buckets[0] = rate * key * vs[:, t].unsqueeze(-2)
        read = {level: ((qs[:, t] * scale).unsqueeze(-2) @ s).squeeze(-2) for level, s in buckets.items()}
        outputs.append(torch.stack([weights[:, t, :, level, None] * o for level, o in read.items()]).sum(0))
        carried, level = buckets.pop(0), 1
        while level in buckets:
            carried, level = carried + buckets.pop(level), level + 1
        buckets[level] = carried
    return torch.stack(outputs, 1).to(q.dtype)
