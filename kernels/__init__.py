"""Delta-rule family building blocks: one contract, a float64 reference, chunked PyTorch and Triton behind it.

    S_t = e^{g_t} (I - beta_t k_t^T k_t) S_{t-1} + beta_t k_t^T v_t        o_t = scale * q_t S_t

Names, shapes and argument meanings follow flash-linear-attention 0.6; README.md has the mathematics and what differs.
This file imports nothing heavy: a public name is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from move37.kernels.dispatch import implementation
    from move37.kernels.ops.convolution.api import causal_conv1d
    from move37.kernels.ops.cross_entropy.api import fused_linear_cross_entropy_loss
    from move37.kernels.ops.delta_product.api import chunk_gated_delta_product, fused_recurrent_gated_delta_product
    from move37.kernels.ops.log_linear.api import log_linear_attention
    from move37.kernels.ops.low_rank.api import (
        chunk_dplr_delta_rule,
        chunk_rwkv7,
        fused_recurrent_dplr_delta_rule,
        fused_recurrent_rwkv7,
    )
    from move37.kernels.ops.norms.api import l2norm, rms_norm_gated
    from move37.kernels.ops.scalar_decay.api import (
        chunk_delta_rule,
        chunk_gated_delta_rule,
        chunk_simple_gla,
        fused_recurrent_delta_rule,
        fused_recurrent_gated_delta_rule,
        fused_recurrent_simple_gla,
    )
    from move37.kernels.ops.vector_decay.api import chunk_gla, chunk_kda, fused_recurrent_gla, fused_recurrent_kda

_HOMES = {
    "chunk_gated_delta_rule": "ops.scalar_decay.api",
    "chunk_delta_rule": "ops.scalar_decay.api",
    "chunk_simple_gla": "ops.scalar_decay.api",
    "fused_recurrent_gated_delta_rule": "ops.scalar_decay.api",
    "fused_recurrent_delta_rule": "ops.scalar_decay.api",
    "fused_recurrent_simple_gla": "ops.scalar_decay.api",
    "chunk_gla": "ops.vector_decay.api",
    "fused_recurrent_gla": "ops.vector_decay.api",
    "chunk_kda": "ops.vector_decay.api",
    "fused_recurrent_kda": "ops.vector_decay.api",
    "chunk_gated_delta_product": "ops.delta_product.api",
    "fused_recurrent_gated_delta_product": "ops.delta_product.api",
    "chunk_dplr_delta_rule": "ops.low_rank.api",
    "fused_recurrent_dplr_delta_rule": "ops.low_rank.api",
    "chunk_rwkv7": "ops.low_rank.api",
    "fused_recurrent_rwkv7": "ops.low_rank.api",
    "log_linear_attention": "ops.log_linear.api",
    "causal_conv1d": "ops.convolution.api",
    "rms_norm_gated": "ops.norms.api",
    "l2norm": "ops.norms.api",
    "fused_linear_cross_entropy_loss": "ops.cross_entropy.api",
    "implementation": "dispatch",
}

__all__ = [
    "causal_conv1d",
    "chunk_delta_rule",
    "chunk_dplr_delta_rule",
    "chunk_gated_delta_product",
    "chunk_gated_delta_rule",
    "chunk_gla",
    "chunk_kda",
    "chunk_rwkv7",
    "chunk_simple_gla",
    "fused_linear_cross_entropy_loss",
    "fused_recurrent_delta_rule",
    "fused_recurrent_dplr_delta_rule",
    "fused_recurrent_gated_delta_product",
    "fused_recurrent_gated_delta_rule",
    "fused_recurrent_gla",
    "fused_recurrent_kda",
    "fused_recurrent_rwkv7",
    "fused_recurrent_simple_gla",
    "implementation",
    "l2norm",
    "log_linear_attention",
    "rms_norm_gated",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"move37.kernels.{home}"), name)
