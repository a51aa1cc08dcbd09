"""Checks, where a candidate is trained and before the first step, that it is the one that the gates judged.

A candidate can distinguish its jobs by their files and limits, and behave differently in them. So rules of the contract
that no number of a training depends on are checked again here, with a fresh process: the number of parameters, whether
a seed decides the start, whether all layers are the same mixer, and whether its named weights are all that it has.
Reading ahead and dependence on other rows are found by the scoring, false gradients by `verify`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from move37.lab.inside.building import Built, around_mixers, rebuild
from move37.lab.inside.remote import Forward, Layer, Remote
from move37.lab.inside.tensors import difference, real, same_numbers
from move37.lab.training.contract import REGISTER, ContractError

DISTINCT = 0.9  # share of different numbers above which a matrix may have been drawn
NEIGHBOURS = 0.75  # standard deviations between neighbours: 1.13 in a normal draw, 1.15 in a uniform one
ALIKE, SHORTEST = 0.9, 16  # cosine of two rows that are one start with noise on it, and how long rows must be for it
SMOOTHEST = 0.1  # quantile of the rows by how far apart neighbours are: bases have some smooth rows, draws have none
SHAPE = (2, 65)  # rows and time of the inputs with which two layers are compared
APART = 2e-2  # of the outputs' rms; equal layers at equal weights do not differ at all


def check_conformity(fresh: Callable[[], Remote], built: Built, network: Mapping[str, Any], *, seed: int) -> None:
    """`fresh` makes a process with the file loaded, `seed` is another than the training's. Raises `ContractError`."""
    for layer in built.layers:
        for names, value in zip(layer.names, layer.values, strict=False):
            if not value.isfinite().all():
                raise ContractError(f"the initial {names[0]} is not finite: no gradient moves what is no number")
    shapes = [[value.shape for value in layer.values] for layer in built.layers]
    if any(layer != shapes[0] for layer in shapes):
        raise ContractError("a layer's mixer holds other weights than the first one's: all are one mixer")
    _, state, _ = around_mixers(network, built.mlp_width, seed=seed)
    remote = fresh()
    try:
        others = rebuild(remote, built, state=state)
        for one, two in zip(built.layers, others, strict=True):
            if fixed := started_alike(one, two):
                raise ContractError(
                    f"every seed starts alike: {fixed[0]}; draw with torch's generator and seed nothing"
                )
        _compare(fresh, built, remote, others)
    finally:
        remote.end()


def started_alike(one: Layer, two: Layer) -> list[str]:
    """What two layers that were built under two seeds have in common and should not, in words."""
    if torch.equal(one.state_after, two.state_after):
        return ["the constructor seeds torch's generator itself"]
    there, found = _named(two), []
    for name, value in _named(one).items():
        other = there.get(name)
        if other is None or other.shape != value.shape:
            continue
        if torch.equal(value, other):
            if looks_random(value):
                found.append(f"{name} looks random and is the same under two seeds")
        elif has_one_start(value, other):
            found.append(f"{name} is one start under two seeds, with noise or in another order")
    return found


def _named(layer: Layer) -> dict[str, Tensor]:
    return {names[0]: value for names, value in zip(layer.names, layer.values, strict=False)}


def looks_random(value: Tensor) -> bool:
    """Whether a matrix has hardly a number twice, and neighbours in no direction that are nearer than chance has them.

    Ramps, rates, products of two of them, positions and bases are not: they are designed.
    """
    numbers = real(value).double().squeeze()
    if numbers.dim() < 2 or len(set(numbers.flatten().tolist())) <= DISTINCT * numbers.numel():
        return False
    apart = [float(numbers.diff(dim=axis).abs().mean()) for axis in range(numbers.dim())]
    return min(apart) > NEIGHBOURS * float(numbers.std())


def has_one_start(one: Tensor, two: Tensor) -> bool:
    """Whether most rows (or columns) that look drawn stand in the other matrix too, up to noise, order, sign and size.

    A start that somebody chose and hid so is as good as one that is equal. What rows or columns have in common is left
    out: ones and ramps with noise on them are designed.
    """
    a, b = (real(value).double().squeeze() for value in (one, two))
    if a.dim() < 2:
        return False
    a, b = ((m - m.mean(0) - m.mean(1, keepdim=True) + m.mean()) for m in (a.flatten(1), b.flatten(1)))
    return _rows_return(a, b) or _rows_return(a.t(), b.t())


def _rows_return(a: Tensor, b: Tensor) -> bool:
    if a.shape[1] < SHORTEST:
        return False
    one, two = (torch.nn.functional.normalize(m, dim=1) for m in (a, b))
    if float((one @ two.t()).abs().amax(1).median()) < ALIKE:
        return False
    apart = a.diff(dim=1).abs().mean(1) / (a.std(dim=1) + 1e-12)
    return float(apart.quantile(SMOOTHEST)) > NEIGHBOURS


def _compare(fresh: Callable[[], Remote], built: Built, remote: Remote, layers: list[Layer]) -> None:
    """The last layer, and the same weights in a process where it is the first: of the same draws, and of others.

    No seed here is one that the candidate has: what its own layers draw from would tell it `x`, and so who asks.
    """
    x = torch.randn(*SHAPE, built.d_model, generator=torch.Generator().manual_seed(secrets.randbits(63)))
    last, how = layers[-1], Forward(seed=secrets.randbits(56))
    y = remote.forward(len(layers) - 1, x, how, last.values)
    other = fresh()
    if not y.isfinite().all():
        raise ContractError("before the first step the outputs are not finite: look for a division, log, exp or norm")

    def apart(first: Layer) -> bool:
        if [value.shape for value in first.values] != [value.shape for value in last.values]:
            raise ContractError("the last layer's mixer holds other weights than the first one's: all are one mixer")
        return difference(other.forward(0, x, how, last.values), y) > APART

    try:
        if len(layers) > 1 and apart(*rebuild(other, built, layers=1, state=layers[-2].state_after)):
            raise ContractError("the last layer's mixer is another than the first one's: all are one mixer")
        (first,) = rebuild(other, built, layers=1)
        for names, one, two in zip(first.names, first.values, built.layers[0].values, strict=False):
            if not same_numbers(one, two.cpu()):
                raise ContractError(f"one seed gives {names[0]} two starts: draw in __init__ with torch's generator")
        if apart(first):
            raise ContractError(f"under the same weights a mixer of another seed gives another output: {REGISTER}")
    finally:
        other.end()
