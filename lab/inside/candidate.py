"""The candidate's process: the only place where a candidate is executed. It serves one request after another.

It has mixers and nothing else: no tokens, targets, optimiser or files of the job. Weights come with a request and are
overwritten by the next; its answers are checked by the trusted process. Read `serve`, then the operations.

    load       source, seed                             -> nothing
    build      d_model, n_heads, layers, dtype, state   -> what each layer holds, and its tensors
    forward    layer, x [, weights]                     -> y
    backward   layer, gradient of y                     -> gradient of x and of each parameter
    read       layer                                    -> its weights and buffers as they are
    leftovers, count   layer, x                         -> for gates: what a call leaves behind, what it costs
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from move37 import kernels
from move37.lab.inside.leftovers import changed_settings, global_settings, left_by_a_call, restore_settings
from move37.lab.inside.tracebacks import frames_of, one_line
from move37.lab.inside.wire import DTYPES, BadMessage, Channel, ChannelClosed, Head
from move37.lab.training.contract import ContractError, load_mixer

Reply = tuple[Head, list[Tensor]]
CPU = torch.device("cpu")


def serve(channel: Channel, device: torch.device = CPU) -> None:
    """Answer until the other end closes; then this process ends. `device`: where mixers compute."""
    worker = Worker(device)
    while True:
        try:
            head, tensors = channel.receive()
        except ChannelClosed:
            os._exit(0)
        try:
            reply, out = worker.answer(head, tensors)
            channel.send(reply, out)
        except ChannelClosed:
            os._exit(0)
        except BaseException as error:  # any exception of the candidate is an answer
            contract = isinstance(error, ContractError | BadMessage)
            channel.send({"error": one_line(error), "traceback": frames_of(error), "contract": contract})


class Worker:
    """The candidate's class and the layers that were built of it."""

    def __init__(self, device: torch.device = CPU) -> None:
        self.device = device
        self.mixer: type[nn.Module] | None = None
        self.layers: list[_Layer] = []
        self._operations: dict[str, Callable[[Head, list[Tensor]], Reply]] = {
            "load": self._load,
            "build": self._build,
            "forward": self._forward,
            "backward": self._backward,
            "read": self._read,
            "leftovers": self._leftovers,
            "count": self._count,
        }
        self._changed_by_import: list[str] = []

    def answer(self, head: Head, tensors: list[Tensor]) -> Reply:
        return self._operations[head["do"]](head, tensors)

    def _load(self, head: Head, tensors: list[Tensor]) -> Reply:
        restore_settings()
        self._seed(head["seed"])
        before = global_settings()
        self.mixer = load_mixer(head["source"])
        self._changed_by_import = changed_settings(before)
        return {}, []

    def _seed(self, seed: int) -> None:
        """As `torch.manual_seed`, which visits every kind of accelerator and keeps the stack for each."""
        (torch.default_generator.manual_seed if self.device == CPU else torch.manual_seed)(seed)

    def _build(self, head: Head, tensors: list[Tensor]) -> Reply:
        """`state` is the generator's before the first layer draws; without one, what stands there is used."""
        if self.mixer is None:
            raise RuntimeError("nothing is loaded")
        if tensors:
            torch.set_rng_state(tensors[0])
        before = global_settings()
        mixers: list[nn.Module] = []
        states = []
        for _ in range(head["layers"]):
            mixers.append(self.mixer(head["d_model"], head["n_heads"]))
            states.append(torch.get_rng_state())
        self._changed_by_import += changed_settings(before)
        if head["dtype"] is not None:
            mixers = [_cast(mixer, DTYPES[head["dtype"]]) for mixer in mixers]
        if self.device != CPU:  # drawn on the CPU, so that a seed gives one start everywhere
            mixers = [mixer.to(self.device) for mixer in mixers]
        self.layers = [_Layer(mixer) for mixer in mixers]
        values = [tensor.detach() for layer in self.layers for tensor in layer.tensors]
        return {"layers": [layer.names for layer in self.layers]}, [*values, *states]

    def _forward(self, head: Head, tensors: list[Tensor]) -> Reply:
        x, *values = (tensor.to(self.device) for tensor in tensors)
        layer = self.layers[head["layer"]]
        if values:
            layer.take(values)
        layer.mixer.train(head["train"])
        if head["seed"] is not None:
            self._seed(head["seed"])
        with _placed(self.device):
            if head["mode"] == "grad":
                leaf = x.requires_grad_()
                y = checked(layer.mixer(leaf.clone()))  # not the leaf, which refuses an operation in place
                layer.held = leaf, y
            else:
                with torch.inference_mode() if head["mode"] == "inference" else torch.no_grad():
                    y = checked(layer.mixer(x))
        return {}, [y.detach()]

    def _backward(self, head: Head, tensors: list[Tensor]) -> Reply:
        layer = self.layers[head["layer"]]
        if layer.held is None:
            raise RuntimeError("there was no forward pass")
        (leaf, y), layer.held = layer.held, None
        for parameter in layer.parameters:
            parameter.grad = None
        if y.requires_grad:
            torch.autograd.backward([y], [tensors[0].to(self.device)])
        gradients = [leaf.grad, *(parameter.grad for parameter in layer.parameters)]
        return {"given": [g is not None for g in gradients]}, [g for g in gradients if g is not None]

    def _read(self, head: Head, tensors: list[Tensor]) -> Reply:
        return {}, [tensor.detach() for tensor in self.layers[head["layer"]].tensors]

    def _leftovers(self, head: Head, tensors: list[Tensor]) -> Reply:
        found = [f"importing or building changes torch's {', '.join(set(self._changed_by_import))}"]
        found = found if self._changed_by_import else []
        return {"found": [*found, *left_by_a_call(self.layers[head["layer"]].mixer, tensors[0])]}, []

    def _count(self, head: Head, tensors: list[Tensor]) -> Reply:
        from move37.lab.inside.op_counter import OpCounter  # late: it loads parts of torch that trainings do not need

        mixer = self.layers[head["layer"]].mixer.eval()
        if self.device != CPU:  # a kernel that is compiled for a card shows no operations
            mixer = mixer.cpu()
        with torch.no_grad(), OpCounter() as counter:
            mixer(tensors[0])
        return {"counts": asdict(counter.counts())}, []


class _Layer:
    """One mixer with its parameters, shared ones once, and its persistent buffers."""

    def __init__(self, mixer: nn.Module) -> None:
        self.mixer = mixer
        self.held: tuple[Tensor, Tensor] | None = None
        self._taken: list[Tensor] = []
        aliases: dict[int, list[str]] = {}
        by_id: dict[int, nn.Parameter] = {}
        for name, parameter in mixer.named_parameters(remove_duplicate=False):
            if isinstance(parameter, nn.UninitializedParameter):
                raise ContractError(f"{name} has no shape before the first call: give it one in __init__")
            aliases.setdefault(id(parameter), []).append(name)
            by_id[id(parameter)] = parameter
        self.parameters = list(by_id.values())
        state = mixer.state_dict(keep_vars=True)
        kept = {n: v for n, v in state.items() if isinstance(v, Tensor) and id(v) not in by_id}
        self.tensors: list[Tensor] = [*self.parameters, *kept.values()]
        self.names: dict[str, Any] = {
            "parameters": [aliases[id(p)] for p in self.parameters],
            "trained": [p.requires_grad for p in self.parameters],
            "buffers": list(kept),
        }

    def take(self, values: list[Tensor]) -> None:
        """Overwrite every weight and buffer. Raises `ContractError` where one was changed since they last came."""
        changed = [i for i, value in enumerate(self._taken) if not _same(self.tensors[i].detach(), value)]
        if changed:
            names = [*(names[0] for names in self.names["parameters"]), *self.names["buffers"]]
            raise ContractError(
                f"forward or backward changes {', '.join(names[i] for i in changed[:3])}: "
                "the optimiser alone may change weights, and nothing may change buffers"
            )
        with torch.no_grad():
            for tensor, value in zip(self.tensors, values, strict=True):
                tensor.copy_(value)
        self._taken = values


def _cast(mixer: nn.Module, dtype: torch.dtype) -> nn.Module:
    """As `mixer.to(dtype)`, which would make real numbers of complex ones."""
    wide = torch.complex128 if dtype is torch.float64 else torch.complex64
    cast: nn.Module = mixer._apply(  # type: ignore[no-untyped-call]
        lambda t: t.to(wide) if t.is_complex() else t.to(dtype) if t.is_floating_point() else t
    )
    return cast


@contextlib.contextmanager
def _placed(device: torch.device) -> Iterator[None]:
    """On a card: tensors that a mixer makes without a device lie there, and no kernel is compiled.

    Triton starts a compiler and writes its cache; this process may do neither.
    """
    if device == CPU:
        yield
        return
    with device, kernels.implementation("chunked"):
        yield


def _same(now: Tensor, before: Tensor) -> bool:
    return torch.equal(now, before) or torch.equal(now.nan_to_num(), before.nan_to_num())


def checked(y: object) -> Tensor:
    """`y`, if it is a plain tensor of floating point numbers. Raises `TypeError`."""
    if not isinstance(y, Tensor) or type(y) not in (Tensor, nn.Parameter):
        raise TypeError(f"forward returned {type(y).__name__}, not a tensor")
    if not y.is_floating_point():
        raise TypeError(f"forward returned numbers of {y.dtype}, not of the floating point type that x has")
    return y
