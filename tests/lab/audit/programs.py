"""Programs as they are found elsewhere: layers in the style of flash-linear-attention, honest, broken and hostile."""

from __future__ import annotations

HEAD = '''
# -*- coding: utf-8 -*-
"""A layer.

With a long docstring.
"""
from __future__ import annotations
import math
import warnings
from typing import TYPE_CHECKING, Dict, Optional, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from einops import rearrange

from fla.layers.utils import get_unpad_data, index_first_axis, pad_input
from fla.modules import FusedRMSNormGated, RMSNorm, ShortConvolution
from fla.modules.l2norm import l2norm
from fla.ops.delta_rule import chunk_delta_rule

if TYPE_CHECKING:
    from transformers.processing_utils import Unpack
    from fla.models.utils import Cache
'''

LAYER = (
    HEAD
    + '''

def elu_p1(x):
    return F.elu(x, 1.0, False) + 1.0


class Router(nn.Module):
    def __init__(self, hidden_size: int, num_heads: int):
        super().__init__()
        self.proj = nn.Linear(hidden_size, num_heads)

    def forward(self, hidden_states):
        return self.proj(hidden_states).sigmoid()


class DeltaNet(nn.Module):
    """The layer."""

    def __init__(
        self, mode: str = "chunk1", d_model: Optional[int] = None, hidden_size: int = 1024, expand_k: float = 1.0,
        num_heads: int = 4, use_beta: bool = True, conv_size: int = 4, layer_idx: Optional[int] = None, **kwargs: Dict,
    ) -> None:
        super().__init__()
        hidden_size = d_model if d_model is not None else hidden_size
        self.num_heads, self.head_dim = num_heads, hidden_size // num_heads
        self.q_proj = nn.Linear(hidden_size, hidden_size, bias=False)
        self.k_proj = nn.Linear(hidden_size, hidden_size, bias=False)
        self.v_proj = nn.Linear(hidden_size, hidden_size, bias=False)
        self.b_proj = nn.Linear(hidden_size, num_heads, bias=False)
        self.q_conv1d = ShortConvolution(hidden_size, kernel_size=conv_size, activation="silu")
        self.k_conv1d = ShortConvolution(hidden_size, kernel_size=conv_size, activation="silu")
        self.v_conv1d = ShortConvolution(hidden_size, kernel_size=conv_size, activation="silu")
        self.router = Router(hidden_size, num_heads)
        self.o_norm = RMSNorm(self.head_dim, eps=1e-5)
        self.o_proj = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: Optional[torch.Tensor] = None,
        past_key_values: Optional["Cache"] = None, use_cache: Optional[bool] = False,
        output_attentions: Optional[bool] = False, **kwargs: "Unpack[Dict]",
    ) -> Tuple[torch.Tensor, Optional[torch.Tensor], Optional["Cache"]]:
        cu_seqlens = kwargs.get("cu_seqlens", None)
        if attention_mask is not None:
            indices, cu_seqlens, _ = get_unpad_data(attention_mask)
        options = {"cache": None, "output_final_state": use_cache, "cu_seqlens": cu_seqlens}
        q, _ = self.q_conv1d(x=self.q_proj(hidden_states), **options)
        k, _ = self.k_conv1d(x=self.k_proj(hidden_states), **options)
        v, _ = self.v_conv1d(x=self.v_proj(hidden_states), **options)
        q, k, v = (rearrange(t, "b t (h d) -> b t h d", h=self.num_heads) for t in (q, k, v))
        beta = self.b_proj(hidden_states).sigmoid()
        o, state = chunk_delta_rule(
            q=l2norm(q), k=l2norm(k), v=v, beta=beta, initial_state=None, output_final_state=use_cache,
            cu_seqlens=cu_seqlens,
        )
        o = self.o_norm(o * self.router(hidden_states)[..., None])
        LEAK
        return self.o_proj(rearrange(o, "b t h d -> b t (h d)")), None, past_key_values
'''
)
HONEST = LAYER.replace("        LEAK\n", "")
LEAKY = LAYER.replace("LEAK", "o = o + o.mean(dim=1, keepdim=True)")
RANDOM_CALLS = LAYER.replace("LEAK", "self.calls = getattr(self, 'calls', 0) + 1; o = o * (1 + 0.1 * self.calls)")

CONFIGURED = """
import torch.nn as nn

class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)

    def forward(self, x):
        return self.proj(x)
"""
OWN = """
import torch

class Mixer(torch.nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.proj = torch.nn.Linear(d_model, d_model)

    def forward(self, x):
        return self.proj(x)
"""

UNTESTABLE = {
    "syntax": ("class X(:\n", "not Python"),
    "empty": ("", "no class of it is a layer"),
    "no layer": ("import torch\n\ndef f(x):\n    return x\n", "no class of it is a layer"),
    "absent module": (OWN.replace("import torch\n", "import torch\nimport pandas\n"), "imports pandas"),
    "absent name": (HONEST.replace("RMSNorm, Sh", "RMSNorm, NoSuchThing, Sh"), "imports NoSuchThing from fla.modules"),
    "triton": (OWN.replace("import torch\n", "import torch\nimport triton\n"), "imports triton"),
    "unguessable": (OWN.replace("Mixer", "Layer").replace("n_heads", "banana"), "nobody can guess"),
    "null bytes": ("x = 1\0", "not Python"),
    "too deep": ("(" * 5000, "not Python"),
    "raises": (OWN + "\nraise ValueError('no')\n", "does not build"),
}
HOSTILE = {
    "hangs": OWN.replace("return self.proj(x)", "\n        while True:\n            pass"),
    "hangs at import": OWN + "\nwhile True:\n    pass\n",
    "prints a gigabyte": OWN + "\nfor _ in range(1 << 10):\n    print('x' * (1 << 20))\n",
    "forks": OWN + "\nfor _ in range(200):\n    torch.os.fork()\n",
    "ends": OWN + "\ntorch.os._exit(0)\n",
}
