"""What audited programs import to configure a layer and to map features, served as `ecosystem.py` serves the rest.

Also read as text: no more than torch may be imported here. A dataclass of an audited program keeps its fields, defaults
and `__post_init__`; comparison, order and freezing are left out, as no layer is built by them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Absent:
    pass


class _Field:
    def __init__(self, default: Any, factory: Any) -> None:
        self.default, self.factory = default, factory


def field(*, default: Any = _Absent, default_factory: Any = None, **_: Any) -> Any:
    return _Field(default, default_factory)


def dataclass(cls: Any = None, **_: Any) -> Any:
    if cls is None:
        return dataclass
    owners = [base for base in reversed(cls.__mro__) if base is not object]
    names = list(dict.fromkeys(name for base in owners for name in getattr(base, "__annotations__", {})))
    defaults = {name: getattr(cls, name, _Absent) for name in names}

    def init(self: Any, *values: Any, **named: Any) -> None:
        given = {**dict(zip(names, values, strict=False)), **named}
        for name in names:
            value = given.pop(name, defaults[name])
            if isinstance(value, _Field):
                value = value.factory() if value.factory is not None else value.default
            if value is _Absent:
                raise TypeError(f"{cls.__name__} needs {name}")
            setattr(self, name, value)
        if given:
            raise TypeError(f"{cls.__name__} has no {', '.join(given)}")
        if hasattr(self, "__post_init__"):
            self.__post_init__()

    cls.__init__ = init
    return cls


class dataclasses:
    dataclass = staticmethod(dataclass)
    field = staticmethod(field)


class PretrainedConfig:
    def __init__(self, **given: Any) -> None:
        for name, value in given.items():
            setattr(self, name, value)


PreTrainedConfig = PretrainedConfig


class HedgehogFeatureMap(nn.Module):
    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.layer = nn.Linear(head_dim, head_dim)
        nn.init.eye_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        twice = 2 * self.layer(x)
        return torch.cat((twice, -twice), -1).softmax(-1)


class T2RFeatureMap(nn.Module):
    def __init__(self, head_dim: int, dot_dim: int | None = None, bias: bool | None = False) -> None:
        super().__init__()
        self.layer = nn.Linear(head_dim, dot_dim or head_dim, bias=bool(bias))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y.relu()


class ReLUFeatureMap(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu()


class SwishFeatureMap(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.silu(x)
