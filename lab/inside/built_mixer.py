"""A handle on one mixer that was built in a candidate's process, for `Bench`. In the trusted process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from torch import Tensor

from move37.lab.inside.remote import CandidateFault, Forward, Layer, Remote
from move37.lab.inside.wire import Head


@dataclass(slots=True)
class BuiltMixer:
    """One built mixer in a candidate's process."""

    remote: Remote
    layer: Layer
    number: int  # of the layer, among those that were built
    drawn_from: Tensor  # state of torch's generator before it drew
    values: list[Tensor]  # of its parameters and buffers, as the next pass is to have them
    secret: int = 0  # so that what seeds a pass does not tell who asks; 0: whoever asks may be known
    names: list[str] = field(init=False)
    sent: bool = False

    def __post_init__(self) -> None:
        self.names = [*(names[0] for names in self.layer.names), *self.layer.buffers]

    def __call__(self, x: Tensor, *, draw: int = 0, train: bool = False, mode: str = "no_grad") -> Tensor:
        """One pass; `draw` decides whatever it draws itself. Raises `CandidateFault`."""
        values, self.sent = ([] if self.sent else self.values), True
        return self.remote.forward(self.number, x, Forward(train=train, mode=mode, seed=self.seed(draw)), values)

    def seed(self, draw: int) -> int:
        """As large as a training's, and as little to be foreseen."""
        if not self.secret:
            return draw
        return int.from_bytes(hashlib.sha256(f"{self.secret} {draw}".encode()).digest()[:7], "big")

    def backward(self, of_y: Tensor) -> tuple[Tensor | None, dict[str, Tensor | None]]:
        """Gradients of x and, by name, of every parameter, after a pass in mode "grad"."""
        of_x, *of_parameters = self.remote.backward(self.number, of_y)
        names = [names[0] for names in self.layer.names]
        return of_x, dict(zip(names, of_parameters, strict=True))

    def state(self) -> dict[str, Tensor]:
        """Parameters and buffers as they are there now."""
        _, values = self.ask("read")
        if len(values) != len(self.names):
            raise CandidateFault("the mixer holds another number of weights")
        return dict(zip(self.names, values, strict=True))

    def ask(self, what: str, *tensors: Tensor) -> tuple[Head, list[Tensor]]:
        """Any other request about this layer."""
        return self.remote.ask({"do": what, "layer": self.number}, tensors)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """By name, as they were built or perturbed here."""
        return dict(zip(self.names[: len(self.layer.names)], self.values, strict=False))
