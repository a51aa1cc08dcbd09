"""What a call leaves behind in its own process: settings of torch, random state, threads. Beside the candidate.

This runs in the candidate's own process, which could forge it: it finds honest mistakes, for the messages of gate
`purity`. Whether outputs depend on what was left behind is found in the trusted process, by comparing them.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

_SEED = 4242  # of the generator before the call; used nowhere else


def left_by_a_call(mixer: nn.Module, x: Tensor) -> list[str]:
    """What one call in eval mode changes outside its output, in words."""
    found = []
    restore_settings()
    torch.manual_seed(_SEED)
    settings, kept, noise = global_settings(), x.clone(), torch.get_rng_state()
    threads = len(sys._current_frames())
    with torch.no_grad():
        mixer.eval()(x)
    if not torch.equal(x, kept):
        found.append("forward changes its input in place")
    if not torch.equal(noise, torch.get_rng_state()):
        found.append("a call in eval mode draws or seeds random numbers")
    if switched := changed_settings(settings):
        found.append(f"a call changes torch's {', '.join(switched)}")
    if len(sys._current_frames()) > threads:
        found.append("a thread is left running")
    return found


def changed_settings(before: dict[str, str]) -> list[str]:
    """Names of the settings that differ from `before`."""
    now = global_settings()
    return [name for name, value in before.items() if now[name] != value]


def global_settings() -> dict[str, str]:
    """Global settings of torch that a candidate must not change."""
    settings = {
        "default dtype": torch.get_default_dtype(),
        "grad mode": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "number of threads": torch.get_num_threads(),
        "flush denormal": bool(torch.tensor([1e-310], dtype=torch.float64).mul(1.0).item() == 0.0),
        "anomaly detection": torch.is_anomaly_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
    }
    return {name: str(value) for name, value in settings.items()}


def restore_settings() -> None:
    """Reset to a fresh process's values, so that a fault in one gate does not show in the next."""
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(1)
    torch.set_flush_denormal(False)
    torch.autograd.set_detect_anomaly(False)
    torch.set_autocast_enabled("cpu", False)
