"""The bench on which gates measure a candidate: fresh modules, fixed inputs, differences. Inside the sandbox.

Every `run` executes the source anew, so that state which a candidate keeps between calls (in a buffer, a list, a
global) shows in the gate that looks for it, `purity`, and disturbs no other. Weights are shaken a little before
a comparison: what an initialisation of zeros hides must show. Everything is computed on one thread.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from move37.lab.training.contract import load_mixer
from move37.lab.training.sizes import D_MODEL, N_HEADS

SHAKE = 0.05  # standard deviation of the noise on weights, in units of the parameter's own spread plus this
JITTER = 1e-6  # relative change of the inputs that stands for rounding
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
STEPS = (1e-4, 1e-3)  # relative changes of the input; bfloat16 rounds at 4e-3, float32 at 6e-8
MISMATCH = 0.5  # of two derivatives, relative
DIRECTIONS = 3


class Bench:
    """One candidate on the bench. `given` is a sequence [time, d_model] that the lab drew outside."""

    def __init__(self, source: str, given: Sequence[Sequence[float]] = ()) -> None:
        self.source = source
        self.given = given
        self._weights: dict[tuple[int, int, int], dict[str, Tensor]] = {}  # by seed, d_model and n_heads

    @cached_property
    def dtype(self) -> torch.dtype:
        """float32, unless the candidate runs only in another: that is for `dtype` to say, and for nobody else."""
        for dtype in DTYPES.values():
            try:
                call(self.build(dtype=dtype), self.inputs(2, 64).to(dtype))
                return dtype
            except Exception:
                continue
        return torch.float32

    def build(
        self,
        *,
        seed: int = 0,
        d_model: int = D_MODEL,
        n_heads: int = N_HEADS,
        dtype: torch.dtype | None = None,
        shaken: bool = True,
        drawn: bool = False,
    ) -> nn.Module:
        """A mixer from a fresh execution of the source, in eval mode, seeded before the first line runs.

        All builds of one seed have the first one's weights, even where the candidate draws others: that is for
        `determinism` to find, which asks for them as `drawn`.
        """
        dtype = dtype or self.dtype
        with guarded():
            torch.manual_seed(seed)
            mixer = load_mixer(self.source)(d_model, n_heads)
            if not drawn:
                self._settle(mixer, (seed, d_model, n_heads))
            if shaken:
                shake(mixer, seed)
            return mixer.to(dtype).eval()

    def _settle(self, mixer: nn.Module, key: tuple[int, int, int]) -> None:
        if key in self._weights:
            mixer.load_state_dict(self._weights[key], strict=False)
        else:
            self._weights[key] = {name: value.clone() for name, value in mixer.state_dict().items()}

    def run(self, x: Tensor, *, draw: int = 0, dtype: torch.dtype | None = None) -> Tensor:
        """Output of a fresh mixer for a copy of `x`; `draw` seeds whatever the forward pass itself draws."""
        dtype = dtype or self.dtype
        return call(self.build(dtype=dtype), x.to(dtype), draw=draw)

    def inputs(self, batch: int, time: int, *, seed: int = 0, d_model: int = D_MODEL) -> Tensor:
        """Standard normal [batch, time, d_model] of float32, as a norm in front of the mixer would give them."""
        generator = torch.Generator().manual_seed(1000 * seed + 7 * time + batch)
        return torch.randn(batch, time, d_model, generator=generator)

    @property
    def rounding(self) -> dict[str, float]:
        """What a judge needs to know of this candidate's arithmetic (`gate.rounding_limit`)."""
        return {"roundoff": self.roundoff, "short": float(self.short)}

    @cached_property
    def roundoff(self) -> float:
        """How far outputs move when inputs move by rounding: the yardstick of every comparison."""
        x = self.inputs(2, 97)
        y = self.run(x)
        jitters = [1 + JITTER * self.inputs(2, 97, seed=seed).clamp(-1, 1) for seed in (1, 2, 3)]
        return max(difference(self.run(x * jitter), y) for jitter in jitters)

    @cached_property
    def random(self) -> bool:
        """Whether eval mode itself draws random numbers that reach the output."""
        x = self.inputs(2, 97)
        return difference(self.run(x, draw=1), self.run(x, draw=2)) > 0

    @cached_property
    def short(self) -> bool:
        """Whether the candidate computes in a short dtype, whatever it was given.

        Two steps of different size must give nearly the same directional derivative; rounding to eight bits gives
        none. Some directions cross a kink, so the best of three counts.
        """
        if self.dtype is torch.bfloat16:
            return True
        if self.random:
            return False
        x = self.inputs(2, 65).double()
        dtype = torch.float64 if self._takes(x) else self.dtype
        y = self.run(x, dtype=dtype).double()
        best = float("inf")
        for seed in range(DIRECTIONS):
            u = x * self.inputs(2, 65, seed=20 + seed).double().clamp(-1, 1)
            small, large = ((self.run(x + step * u, dtype=dtype).double() - y) / step for step in STEPS)
            size = float(large.abs().mean())
            best = min(best, float((small - large).abs().mean()) / size if size > 0 else 0.0)
        return best > MISMATCH

    def _takes(self, x: Tensor) -> bool:
        try:
            self.run(x, dtype=x.dtype)
            return True
        except Exception:
            return False


def call(mixer: nn.Module, x: Tensor, *, draw: int = 0) -> Tensor:
    """One forward pass without gradients on a copy of `x`. Raises `TypeError` when no tensor comes back."""
    with guarded(), torch.no_grad():
        torch.manual_seed(draw)
        y = mixer(x.clone())
    return checked(y)


def checked(y: object) -> Tensor:
    """`y`, if it is a plain tensor of floating point numbers."""
    if not isinstance(y, Tensor) or type(y) not in (Tensor, nn.Parameter):
        raise TypeError(f"forward returned {type(y).__name__}, not a tensor")
    if not y.is_floating_point():
        raise TypeError(f"forward returned numbers of {y.dtype}, not of the floating point type that x has")
    return y


def difference(a: Tensor, b: Tensor, *, scale: Tensor | None = None) -> float:
    """Largest |a - b| in units of the rms of `scale` (default `b`); infinite where either is not finite."""
    if a.shape != b.shape:
        return float("inf")
    a, b = a.double(), b.double()
    reference = b if scale is None else scale.double()
    if a.numel() == 0:
        return 0.0
    if not (a.isfinite().all() and b.isfinite().all()):
        return float("inf")
    size = float(reference.square().mean().sqrt()) + 1e-12
    return float((a - b).abs().max()) / size


def shake(mixer: nn.Module, seed: int) -> None:
    """Move every floating parameter a little, in place."""
    generator = torch.Generator().manual_seed(seed + 17)
    with torch.no_grad():
        for parameter in mixer.parameters():
            if parameter.is_floating_point() and parameter.numel():
                spread = float(parameter.float().std(correction=0))
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_((SHAKE * (spread + SHAKE) * noise).to(parameter))


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Give torch's global settings and random state back as they were, whatever the candidate does to them."""
    before = global_settings()
    state = torch.get_rng_state()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        restore(before)
        torch.set_rng_state(state)


def global_settings() -> dict[str, object]:
    """Global switches of torch that a candidate has no business with."""
    return {
        "default dtype": torch.get_default_dtype(),
        "grad mode": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "number of threads": torch.get_num_threads(),
        "flush denormal": bool(torch.tensor([1e-310], dtype=torch.float64).mul(1.0).item() == 0.0),
        "anomaly detection": torch.is_anomaly_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
    }


def restore(settings: dict[str, object]) -> None:
    """Undo changes to `global_settings`."""
    if global_settings() == settings:
        return
    dtype = settings["default dtype"]
    assert isinstance(dtype, torch.dtype)
    torch.set_default_dtype(dtype)
    torch.set_grad_enabled(bool(settings["grad mode"]))
    torch.use_deterministic_algorithms(bool(settings["deterministic algorithms"]))
    torch.set_num_threads(int(str(settings["number of threads"])))
    torch.set_flush_denormal(bool(settings["flush denormal"]))
    torch.autograd.set_detect_anomaly(bool(settings["anomaly detection"]))
    torch.set_autocast_enabled("cpu", bool(settings["autocast"]))
