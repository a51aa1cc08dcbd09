"""How long an audit takes, and what it finds: layers in flash-linear-attention's style, a fifth with a planted fault.

    python -m benchmarks.audit --programs 100 --sandbox process

Layers differ in recurrence, convolution, output norm and gate; every fifth has a fault that its gate should name. They
are written as one archive in JSON, which `move37 audit` reads as a user's. The last line is JSON: how many were tested,
how many faults were planted and found, honest layers that were refused, seconds of wall time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RULES = {  # name -> import, call
    "delta": ("fla.ops.delta_rule", "chunk_delta_rule", "q=l2norm(q), k=l2norm(k), v=v, beta=beta"),
    "gated_delta": (
        "fla.ops.gated_delta_rule", "chunk_gated_delta_rule", "q=l2norm(q), k=l2norm(k), v=v, g=g, beta=beta"
    ),
    "simple_gla": ("fla.ops.simple_gla", "chunk_simple_gla", "q=q, k=k, v=v, g=g"),
    "gla": ("fla.ops.gla", "chunk_gla", "q=q, k=k, v=v, g=F.logsigmoid(k) / 16"),
    "retention": ("fla.ops.retention", "chunk_retention", "q=q, k=k, v=v"),
}  # fmt: skip
FAULTS = {  # what is planted -> gates of which one has to refuse it, and the line
    "mean over time": (("causality", "truncation"), "o = o + o.mean(dim=1, keepdim=True)"),
    "next token": (("causality", "truncation"), "o = o + o.roll(-1, dims=1)"),
    "sums from the end": (("causality", "truncation"), "o = o + o.flip(1).cumsum(1).flip(1) / o.shape[1]"),
    "mean over rows": (("batch",), "o = o + o.mean(dim=0, keepdim=True)"),
    "counts its calls": (("purity",), "self.calls = getattr(self, 'calls', 0) + 1; o = o * (1 + 0.1 * self.calls)"),
}
LAYER = '''"""{name}"""
from typing import Dict, Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
from einops import rearrange
from fla.modules import RMSNorm, ShortConvolution
from fla.modules.l2norm import l2norm
from {module} import {rule}


class Layer(nn.Module):
    def __init__(self, hidden_size: int = 1024, num_heads: int = 4, layer_idx: Optional[int] = None, **kwargs: Dict):
        super().__init__()
        self.num_heads = num_heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            nn.Linear(hidden_size, hidden_size, bias=False) for _ in range(4)
        )
        self.b_proj = nn.Linear(hidden_size, num_heads, bias=False)
        self.a_proj = nn.Linear(hidden_size, num_heads, bias=False)
        {conv}
        {norm}

    def forward(self, hidden_states, attention_mask=None, past_key_values=None, use_cache=False, **kwargs):
        q, k, v = self.q_proj(hidden_states), self.k_proj(hidden_states), self.v_proj(hidden_states)
        {convolved}
        q, k, v = (rearrange(t, "b t (h d) -> b t h d", h=self.num_heads) for t in (q, k, v))
        beta, g = self.b_proj(hidden_states).sigmoid(), F.logsigmoid(self.a_proj(hidden_states))
        o = {rule}({call})[0]
        {gate}
        {normed}
        {fault}
        return self.o_proj(rearrange(o, "b t h d -> b t (h d)")), None, past_key_values
'''


def layers(count: int) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Name -> source, and the gates of which one has to refuse it (none for an honest one)."""
    forms = itertools.cycle(itertools.product((0, 2, 3, 4), (True, False), (True, False), RULES))
    faults = itertools.cycle(FAULTS)
    found = {}
    for number in range(count):
        size, normed, gated, rule = next(forms)
        module, call, arguments = RULES[rule]
        planted = next(faults) if number % 5 == 4 else ""
        name = f"{number:03d}_{rule}_conv{size}{'_norm' if normed else ''}{'_gate' if gated else ''}"
        convolution = f"self.conv = ShortConvolution(hidden_size, kernel_size={size}, activation='silu')"
        gates, line = FAULTS[planted] if planted else ((), "pass")
        source = LAYER.format(
            name=name, module=module, rule=call, call=arguments, fault=line,
            conv=convolution if size else "pass",
            convolved="v, _ = self.conv(x=v, cache=None, output_final_state=use_cache)" if size else "pass",
            norm="self.o_norm = RMSNorm(hidden_size // num_heads, eps=1e-5)" if normed else "pass",
            normed="o = self.o_norm(o)" if normed else "pass",
            gate="o = o * (beta * (1 + g.tanh()))[..., None]" if gated else "o = o + (beta - g)[..., None] * v",
        )  # fmt: skip
        found[name] = (source, gates)
    return found


def main() -> None:
    """Write the archive, audit it by the command, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=100)
    parser.add_argument("--sandbox", default="process")
    given = parser.parse_args()
    planted = layers(given.programs)
    with tempfile.TemporaryDirectory() as folder:
        archive, out = Path(folder, "layers.json"), Path(folder, "audit.json")
        archive.write_text(json.dumps([{"name": n, "program": source} for n, (source, _) in planted.items()]))
        began = time.monotonic()
        command = [
            sys.executable,
            "-m",
            "move37",
            "audit",
            str(archive),
            "--sandbox",
            given.sandbox,
            "--json",
            str(out),
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall = time.monotonic() - began
        verdicts = {p["name"]: p for p in json.loads(out.read_text())["programs"]}
    failed = {name: {g["name"] for g in v["gates"] if g["passed"] is False} for name, v in verdicts.items()}
    bad = {name: gates for name, (_, gates) in planted.items() if gates}
    figures = {
        "programs": len(planted),
        "tested": sum(v["tested"] for v in verdicts.values()),
        "planted": len(bad),
        "found": sum(bool(failed[name] & {*gates}) for name, gates in bad.items()),
        "honest and refused": {name: sorted(failed[name]) for name in planted if name not in bad and failed[name]},
        "wall_seconds": round(wall, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
