"""Proxies of a candidate's mixers in the trusted process, which exchange tensors with the candidate's process.

Read in this order: `Remote` (one candidate's process and what can be asked of it), `RemoteMixer` (a module of the
trusted process that holds a mixer's weights, under the candidate's own names, and computes elsewhere), `Far` (its place
in autograd), `build_model` (the fixed network around such mixers).

The weights are here. A copy is sent with every forward pass; changes to it in the other process are discarded.
"""

from __future__ import annotations

import re
import secrets
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from move37.lab.inside.spawner import Process, Spawner, wait, where_it_hangs
from move37.lab.inside.tensors import real_numbers
from move37.lab.inside.wire import BadMessage, ChannelClosed, Head
from move37.lab.training.contract import ContractError, bare_source

FREE_CONSTANTS = 256  # numbers in a mixer's persistent buffers; more count as weights, drawn or not
LARGEST_LAYER = 16 * 2**20  # bytes of one mixer's weights and buffers
TAKEN = frozenset(dir(nn.Module()))  # names that torch itself gives to no weight
_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")


class CandidateFault(Exception):
    """The candidate raised, ended its process, or sent an invalid answer. One line, and its traceback."""

    def __init__(self, line: str, traceback: str = "") -> None:
        super().__init__(line)
        self.line, self.traceback = line, traceback


class CandidateDied(CandidateFault):
    """Its process ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one built mixer holds."""

    names: tuple[tuple[str, ...], ...]  # of each parameter, more than one where it is shared
    trained: tuple[bool, ...]  # whether it wants a gradient
    buffers: tuple[str, ...]  # persistent ones
    values: tuple[Tensor, ...]  # of the parameters, then of the buffers
    state_after: Tensor  # of torch's generator once it was built

    @property
    def parameters(self) -> int:
        """Real numbers: a complex one is two. Persistent buffers count too, but for a few rates or taps."""
        weights, buffers = self.values[: len(self.names)], self.values[len(self.names) :]
        constants = real_numbers(buffers)
        return real_numbers(weights) + (constants if constants > FREE_CONSTANTS else 0)

    @property
    def saved_bytes(self) -> int:
        """Of weights and persistent buffers."""
        return sum(value.numel() * value.element_size() for value in self.values)


@dataclass(slots=True)
class Forward:
    """How a forward pass is to run."""

    train: bool = False
    mode: str = "no_grad"  # "grad", "no_grad" or "inference"
    seed: int | None = None  # of torch's generator before the pass


@dataclass(slots=True)
class Record:
    """One layer's pass, kept for a check."""

    x: Tensor
    y: Tensor
    values: list[Tensor]
    seed: int | None
    of_y: Tensor | None = None
    of_x: Tensor | None = None
    of_values: list[Tensor | None] = field(default_factory=list)


class Remote:
    """One candidate's process."""

    def __init__(self, spawner: Spawner, source: str | None, *, seconds: float | None = None) -> None:
        """`source` is loaded at once, if given. `seconds`: of CPU time for one request (None: without end)."""
        self._spawner = spawner
        self._seconds = seconds
        self.process: Process = spawner.new()
        self._open = True
        self.cpu_seconds = 0.0  # once it has ended
        if source is not None:
            self.load(source)

    def load(self, source: str) -> None:
        """Execute `source` there, less what is for readers. Raises `CandidateFault` and `ContractError`.

        Under a new seed each time: what a file draws while it is loaded is no part of a mixer, and the seed must not
        tell whether a gate or a training asks.
        """
        self.ask({"do": "load", "source": bare_source(source), "seed": secrets.randbits(63)})

    @property
    def missing(self) -> tuple[str, ...]:
        """Locks that this system does not have."""
        return self.process.missing

    def ask(self, head: Head, tensors: Sequence[Tensor] = ()) -> tuple[Head, list[Tensor]]:
        """One request and its reply. Raises `CandidateFault`; a `ContractError` where the candidate breaks it."""
        try:
            self.process.channel.send(head, tensors)
            if self._seconds is not None:
                wait(self.process, self._seconds)
            reply, out = self.process.channel.receive()
        except (ChannelClosed, TimeoutError) as error:
            raise self._died(error) from error
        except BadMessage as error:  # the channel is out of step from here on
            self.end()
            raise CandidateDied(f"the candidate's process wrote what is no answer: {error}") from error
        if "error" in reply:
            line, traceback = str(reply["error"]), str(reply.get("traceback", ""))
            if reply.get("contract"):
                raise ContractError(line) from (CandidateFault(line, traceback) if traceback else None)
            raise CandidateFault(line, traceback)
        return reply, out

    def _died(self, error: Exception) -> CandidateDied:
        where = where_it_hangs(self.process) if isinstance(error, TimeoutError) else ""
        ended = self.end()
        if isinstance(error, TimeoutError):
            return CandidateDied(f"it did not end within {self._seconds:.0f} s of CPU time", where)
        return CandidateDied(f"the candidate ended its process ({_how(ended)})")

    def build(
        self, *, layers: int, d_model: int, n_heads: int, state: Tensor | None = None, dtype: torch.dtype | None = None
    ) -> list[Layer]:
        """Build mixers there; what each holds. `state`: of torch's generator before the first one draws."""
        kind = None if dtype is None else str(dtype).removeprefix("torch.")
        order = {"do": "build", "layers": layers, "d_model": d_model, "n_heads": n_heads, "dtype": kind}
        reply, values = self.ask(order, [] if state is None else [state])
        if len(values) < layers:
            raise CandidateFault("the mixer's weights cannot be listed")
        values, states = values[: len(values) - layers], values[len(values) - layers :]
        try:
            described = [_described(layer) for layer in reply["layers"]]
            sizes = [len(d["names"]) + len(d["buffers"]) for d in described]
            if len(described) != layers or sum(sizes) != len(values):
                raise ValueError("another number of tensors")
        except (KeyError, TypeError, ValueError) as error:
            raise CandidateFault(f"the mixer's weights cannot be listed: {error}") from error
        cuts = [sum(sizes[:i]) for i in range(layers + 1)]
        built = [
            Layer(**d, values=tuple(values[a:b]), state_after=after)
            for d, a, b, after in zip(described, cuts[:-1], cuts[1:], states, strict=True)
        ]
        for layer in built:
            if layer.saved_bytes > LARGEST_LAYER:
                raise ContractError(f"a mixer holds more than {LARGEST_LAYER // 2**20} MiB of weights and buffers")
        return built

    def forward(self, layer: int, x: Tensor, how: Forward, values: Sequence[Tensor] = ()) -> Tensor:
        """y of one layer; with `values`, after its weights and buffers were overwritten by them."""
        head = {"do": "forward", "layer": layer, "train": how.train, "mode": how.mode, "seed": how.seed}
        _, out = self.ask(head, [x, *values])
        if len(out) != 1:
            raise CandidateFault("forward gave no tensor")
        return out[0]

    def backward(self, layer: int, of_y: Tensor) -> list[Tensor | None]:
        """Gradients of x and of every parameter of the last forward pass with gradients."""
        reply, out = self.ask({"do": "backward", "layer": layer}, [of_y])
        given, left = reply.get("given"), iter(out)
        if not isinstance(given, list) or sum(map(bool, given)) != len(out):
            raise CandidateFault("backward gave no gradients")
        return [next(left) if there else None for there in given]

    def end(self) -> int:
        """Kill the process; its exit status, or minus the signal's number. The second call does nothing."""
        if not self._open:
            return 0
        self._open = False
        ended = self._spawner.end(self.process)
        self.cpu_seconds = ended.cpu_seconds
        return ended.status


def _how(status: int) -> str:
    """Not every signal has a name."""
    if status >= 0:
        return f"exit status {status}"
    return next((name.name for name in signal.Signals if name == -status), f"signal {-status}")


def _described(layer: Mapping[str, Any]) -> dict[str, Any]:
    names = tuple(tuple(str(name) for name in aliases) for aliases in layer["parameters"])
    buffers = tuple(str(name) for name in layer["buffers"])
    flat = [name for aliases in names for name in aliases] + list(buffers)
    bad = next((n for n in flat if not _NAME.fullmatch(n) or len(n) > 200 or TAKEN.intersection(n.split("."))), None)
    if bad is not None or len(set(flat)) < len(flat) or not all(names):
        raise ValueError(f"odd names of parameters: {bad!r}")
    trained = tuple(bool(t) for t in layer["trained"])
    if len(trained) != len(names):
        raise ValueError("another number of parameters")
    return {"names": names, "trained": trained, "buffers": buffers}


class RemoteMixer(nn.Module):
    """A mixer whose weights are here and whose arithmetic is in `remote`. `remote` may be exchanged for a fresh one."""

    OWN = frozenset(("remote", "number", "seed", "mode", "records", "_count", "_names"))

    def __setattr__(self, name: str, value: Any) -> None:
        """What is this class's own stays so where the candidate has a weight of that name."""
        if name in self.OWN:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def __init__(self, remote: Remote, layer: Layer, number: int) -> None:
        super().__init__()
        self.remote, self.number = remote, number
        self.seed: int | None = None
        self.mode = "no_grad"  # of passes without gradients
        self.records: list[Record] | None = None  # filled while a step is to be checked
        held: list[Tensor] = []
        for aliases, value, trained in zip(layer.names, layer.values, layer.trained, strict=False):
            parameter = nn.Parameter(value, requires_grad=trained and (value.is_floating_point() or value.is_complex()))
            held.append(parameter)
            for name in aliases:
                place, last = self._place(name)
                place._parameters[last] = parameter
        for name, value in zip(layer.buffers, layer.values[len(layer.names) :], strict=True):
            place, last = self._place(name)
            place._buffers[last] = value
            held.append(value)
        self._count = len(layer.names)
        self._names = [*(names[0] for names in layer.names), *layer.buffers]

    def _place(self, name: str) -> tuple[nn.Module, str]:
        """The module that is to hold `name`, made where it does not exist, and the last part of the name."""
        *folders, last = name.split(".")
        at: nn.Module = self
        for folder in folders:
            inner = at._modules.get(folder)
            if inner is None:
                inner = at._modules[folder] = nn.Module()
            at = inner
        return at, last

    @property
    def tensors(self) -> list[Tensor]:
        """Parameters, then buffers, in the order of messages."""
        found = []
        for i, name in enumerate(self._names):
            place, last = self._place(name)
            held = place._parameters[last] if i < self._count else place._buffers[last]
            assert held is not None
            found.append(held)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """[batch, time, d_model] -> the same. Raises `CandidateFault` and `ContractError`."""
        tensors = self.tensors
        if torch.is_grad_enabled():
            y: Tensor = Far.apply(x, self, *tensors)  # type: ignore[no-untyped-call]
            return y
        return self.compute(x, tensors, Forward(train=self.training, mode=self.mode, seed=self.seed))

    def compute(self, x: Tensor, tensors: Sequence[Tensor], how: Forward) -> Tensor:
        y = self.remote.forward(self.number, x, how, tensors)
        if y.shape != x.shape or y.dtype != x.dtype:
            raise ContractError(
                f"forward returned {list(y.shape)} of {y.dtype} for an input of {list(x.shape)} and {x.dtype}"
            )
        return y.to(x.device)


def _kept(tensor: Tensor) -> Tensor:
    """A copy on the CPU, where checks compare, wherever the training computes."""
    return tensor.detach().to("cpu", copy=True)


class Far(torch.autograd.Function):
    """Autograd function of y = mixer(x); forward and backward are computed in the candidate's process."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mixer: RemoteMixer, *tensors: Tensor) -> Tensor:
        ctx.mixer = mixer
        how = Forward(train=mixer.training, mode="grad", seed=mixer.seed)
        y = mixer.compute(x, tensors, how)
        ctx.shapes = [t.shape for t in tensors]
        ctx.record = None
        if mixer.records is not None:
            kept = [_kept(t) for t in tensors]
            ctx.record = Record(x=_kept(x), y=_kept(y), values=kept, seed=mixer.seed)
            mixer.records.append(ctx.record)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_y: Tensor) -> tuple[Tensor | None, ...]:
        mixer: RemoteMixer = ctx.mixer
        sent = mixer.remote.backward(mixer.number, of_y.contiguous())
        of_x, *of_parameters = (None if g is None else g.to(of_y.device) for g in sent)
        of_x = torch.zeros_like(of_y) if of_x is None else of_x
        missing = [None] * (len(ctx.shapes) - len(of_parameters))
        gradients = [of_x, *of_parameters, *missing]
        for gradient, shape in zip(gradients, [of_y.shape, *ctx.shapes], strict=True):
            if gradient is not None and gradient.shape != shape:
                raise CandidateFault(f"backward gave a gradient of {list(gradient.shape)} for {list(shape)}")
        if ctx.record is not None:
            ctx.record.of_y, ctx.record.of_x = _kept(of_y), _kept(of_x)
            # A weight that is trained and is said to have no gradient is said to change nothing, which is checked too.
            trained = zip(gradients[1:], mixer.tensors, ctx.record.values, strict=True)
            ctx.record.of_values = [
                _kept(g) if g is not None else torch.zeros_like(v) if t.requires_grad else None for g, t, v in trained
            ]
        return of_x, None, *gradients[1:]
