"""What gates measure a candidate with: fresh modules, drawn inputs, differences. In the trusted process.

Mixers compute in processes of their own; inputs, weights and comparisons are here. Every `run` executes the source
again, in one of a few processes by name, so that state which a candidate keeps (in a buffer, a list, a global) is found
by the gate for it, `purity`, and disturbs no other gate. Runs that must not share state use different names.
Weights are perturbed a little before a comparison, or an initialisation of zeros would hide differences.
Mixers are built as in a training: one to be counted, then all layers, after the fixed network has drawn from the
generator. Each gate measures another one of the layers.
"""

from __future__ import annotations

import math
import random
from functools import cached_property

import torch
from torch import Tensor

from move37.lab.inside.building import around_mixers
from move37.lab.inside.built_mixer import BuiltMixer
from move37.lab.inside.conformity import started_alike
from move37.lab.inside.named_processes import NamedProcesses
from move37.lab.inside.remote import CandidateDied, CandidateFault
from move37.lab.inside.spawner import Spawner
from move37.lab.inside.tensors import difference, perturb, slopes_apart
from move37.lab.training.contract import ContractError
from move37.lab.training.sizes import D_MODEL, N_HEADS, N_LAYERS, TARGET_PARAMETERS, fit_mlp_width

JITTER = 1e-6  # relative change of the inputs, in place of rounding
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
STEPS = (1e-4, 1e-3)  # relative changes of the input; bfloat16 rounds at 4e-3, float32 at 6e-8
MISMATCH = 0.5  # of two derivatives, relative
DIRECTIONS = 3
TOKENS = (8, 200)  # different vectors in token-like inputs, least and most
DRAWN = (64, 128)  # tokens, where rounding is measured


class Bench:
    """Measures one candidate. Its processes end with `close`, or when a gate ends one."""

    def __init__(self, spawner: Spawner, source: str, *, seconds: float | None = None, draw: int | None = None) -> None:
        self.source = source
        self.processes = NamedProcesses(spawner, seconds=seconds)  # seconds: of CPU time, for one request
        self.draw = random.Random(draw)  # None: the inputs cannot be foreseen
        self.width, self.heads = D_MODEL, N_HEADS  # at which a mixer is asked, where a gate asks for no other
        self.layers, self.parameters = N_LAYERS, TARGET_PARAMETERS  # of the network that a training puts it into
        self._weights: dict[tuple[int, int, int], list[Tensor]] = {}  # by seed, d_model and n_heads
        self._states: dict[tuple[int, ...], Tensor] = {}  # of the generator before the layers draw
        self._salt, self._secret, self._zero, self._number = 0, 0, True, 0

    def close(self) -> None:
        """End every process."""
        self.processes.close()

    @cached_property
    def dtype(self) -> torch.dtype:
        """float32, or the first dtype in which the candidate runs; only the gate `dtype` reports that as a failure."""
        x = self.inputs(2, 64)
        return next((dtype for dtype in DTYPES.values() if self._takes(x.to(dtype))), torch.float32)

    def build(
        self,
        *,
        seed: int = 0,
        d_model: int | None = None,
        n_heads: int | None = None,
        dtype: torch.dtype | None = None,
        perturbed: bool = True,
        drawn: bool = False,
        process: str = "first",
        number: int | None = None,
    ) -> BuiltMixer:
        """A mixer from a fresh execution of the source; `number`: which layer of the network (None: this gate's).

        All builds of one seed have the first one's weights, even where the candidate draws others, unless `drawn`:
        only the gate `determinism` asks for those.
        """
        dtype, d_model, n_heads = dtype or self.dtype, d_model or self.width, n_heads or self.heads
        remote = self.processes.get(process)
        remote.load(self.source)
        cast = None if dtype is torch.float32 else dtype  # a training uses it as it is built
        (counted,) = remote.build(layers=1, d_model=d_model, n_heads=n_heads, dtype=cast)
        state = self._state(seed, d_model, n_heads, counted.parameters)
        built = remote.build(layers=self.layers, d_model=d_model, n_heads=n_heads, state=state, dtype=cast)
        number = min(self._number, self.layers - 1) if number is None else number
        layer, drawn_from = built[number], built[number - 1].state_after if number else state
        values = list(layer.values)
        if not drawn:
            kept = self._weights.setdefault((seed, d_model, n_heads), values)
            fits = [a.shape for a in kept] == [b.shape for b in values]
            values = [v.clone() for v in (kept if fits else values)]
        if perturbed:
            perturb(values[: len(layer.names)], self._secret + seed)
        return BuiltMixer(remote, layer, number, drawn_from, values, self._secret)

    def as_first(self, other: BuiltMixer) -> BuiltMixer:
        """`other` once more, of the same draws and at the same weights, as the first mixer of a network."""
        remote = self.processes.get("second")
        remote.load(self.source)
        remote.build(layers=1, d_model=self.width, n_heads=self.heads)
        cast = None if self.dtype is torch.float32 else self.dtype
        (layer,) = remote.build(layers=1, d_model=self.width, n_heads=self.heads, state=other.drawn_from, dtype=cast)
        return BuiltMixer(remote, layer, 0, other.drawn_from, [value.clone() for value in other.values], self._secret)

    def difference(self, one: Tensor, two: Tensor, *, scale: Tensor | None = None) -> float:
        """Largest, in units of the rms of `scale` (default `two`)."""
        return difference(one, two, scale=scale)

    def started_alike(self, one: BuiltMixer, two: BuiltMixer) -> list[str]:
        """In words, what is equal in mixers of two seeds and should differ."""
        return started_alike(one.layer, two.layer)

    def _state(self, seed: int, d_model: int, n_heads: int, parameters: int) -> Tensor:
        """Of the generator once a training's fixed network has drawn its weights."""
        key = (self._seed(seed), d_model, n_heads, parameters)
        if key not in self._states:
            network = {"kind": "bytes", "width": d_model, "heads": n_heads, "layers": self.layers}
            try:
                width = fit_mlp_width(parameters, self.parameters, d_model=d_model, n_layers=self.layers)
            except ValueError:  # no training could begin; the gate `parameters` fails
                width = 1
            self._states[key] = around_mixers(network, width, seed=key[0])[1]
        return self._states[key]

    def reseed(self, *, known: bool = False) -> None:
        """Before each gate: 0 is a screen's seed 0 or one that nobody knows, as in a confirmation; others are unknown.

        Which layer is measured is drawn too, and inputs and passes have seeds of this gate's. `known`: all are as they
        are called, for who compares with other files.
        """
        # Two, because a constructor reads from torch's generator what seeded it.
        self._salt, self._secret = (0 if known else self.draw.randrange(2**30, 2**31) for _ in range(2))
        self._zero = known or self.draw.random() < 0.5
        self._number = 0 if known else self.draw.randrange(self.layers)
        self._weights.clear()

    def _seed(self, seed: int) -> int:
        return seed if seed == 0 and self._zero else self._salt + seed

    def run(
        self, x: Tensor, *, draw: int = 0, dtype: torch.dtype | None = None, process: str = "first",
        mode: str = "no_grad", train: bool = False,
    ) -> Tensor:  # fmt: skip
        """Output of a freshly executed mixer."""
        dtype = dtype or self.dtype
        module = self.build(dtype=dtype, process=process)
        return module(x.to(dtype), draw=draw, mode=mode, train=train)

    def inputs(self, batch: int, time: int, *, seed: int = 0, d_model: int | None = None) -> Tensor:
        """Standard normal [batch, time, d_model], as a norm in front of the mixer would give them; this gate's own."""
        generator = torch.Generator().manual_seed(self._secret + 1000 * seed + 7 * time + batch)
        return torch.randn(batch, time, d_model or self.width, generator=generator)

    def tokens(self, batch: int, time: int) -> Tensor:
        """Like `inputs`, but of vectors that return, some oftener, as embedded text does; never the same twice."""
        generator = torch.Generator().manual_seed(self.draw.getrandbits(60))
        count = self.draw.randint(*TOKENS)
        table = torch.nn.functional.rms_norm(torch.randn(count, self.width, generator=generator), (self.width,))
        return table[(count * torch.rand(batch, time, generator=generator) ** 2).long()]

    def noise(self, batch: int, time: int) -> Tensor:
        """Like `inputs`, but never the same twice."""
        generator = torch.Generator().manual_seed(self.draw.getrandbits(60))
        return torch.randn(batch, time, self.width, generator=generator)

    @property
    def rounding(self) -> dict[str, float]:
        """Numbers about this candidate's rounding, for `gate.rounding_limit`."""
        return {"roundoff": self.roundoff, "short": float(self.short)}

    @cached_property
    def roundoff(self) -> float:
        """How far outputs change when inputs change by rounding: the unit of every comparison.

        The lesser of two shapes of a drawn length: one that is rough at a shape of its choice gains nothing by it.
        """
        found = []
        for rows in (1, 3):
            x = self.noise(rows, self.draw.randint(*DRAWN))
            y = self.run(x)
            jitters = [1 + JITTER * self.noise(*x.shape[:2]).clamp(-1, 1) for _ in range(2)]
            found.append(max(difference(self.run(x * jitter), y) for jitter in jitters))
        least = min(found)
        return least if math.isfinite(least) else 0.0

    @cached_property
    def random(self) -> bool:
        """Whether eval mode itself draws random numbers that reach the output."""
        return difference(*(self.run(self.inputs(2, 97), draw=draw) for draw in (1, 2))) > 0

    @cached_property
    def random_in_training(self) -> bool:
        """Whether training mode draws random numbers that reach the output (dropout)."""
        return difference(*(self.run(self.inputs(2, 97), draw=draw, train=True) for draw in (1, 2))) > 0

    @cached_property
    def short(self) -> bool:
        """Whether the candidate computes in a short dtype, whatever it was given: asked in float32 and float64.

        Two steps of different size must give nearly the same directional derivative; rounding to eight bits gives
        none. Some directions cross a kink, so the best of three counts.
        """
        if self.dtype is torch.bfloat16:
            return True
        if self.random:
            return False
        x = self.noise(2, self.draw.randint(*DRAWN)).double()
        dtypes = [self.dtype, *([torch.float64] if self._takes(x) else [])]
        return any(self._mismatch(x, dtype) > MISMATCH for dtype in dtypes)

    def _mismatch(self, x: Tensor, dtype: torch.dtype) -> float:
        y = self.run(x, dtype=dtype).double()
        best = float("inf")
        for _ in range(DIRECTIONS):
            u = x * self.noise(*x.shape[:2]).double().clamp(-1, 1)
            small, large = ((self.run(x + step * u, dtype=dtype).double() - y) / step for step in STEPS)
            best = min(best, slopes_apart(small, large))
        return best

    def _takes(self, x: Tensor) -> bool:
        try:
            self.run(x, dtype=x.dtype)
            return True
        except CandidateDied:
            raise  # or the next request would find no process, and say that it had left by itself
        except (CandidateFault, ContractError):
            return False
