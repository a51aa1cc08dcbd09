"""Sizes of tensors, differences between them, and small moves. A complex number is two real ones everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

PERTURBATION = 0.05  # standard deviation of the noise on weights, in units of the parameter's own spread plus this
QUIET = 0.25  # share of the outputs by which two derivatives are compared: those that differ least


def moves(tensor: Tensor) -> bool:
    """Whether its numbers can be moved a little, and have gradients."""
    return tensor.is_floating_point() or tensor.is_complex()


def real(tensor: Tensor) -> Tensor:
    """The same numbers as real ones, complex ones as pairs in a dimension more."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def like(numbers: Tensor, tensor: Tensor) -> Tensor:
    """Real `numbers` of the shape of `real(tensor)`, as numbers of the dtype of `tensor`."""
    if not tensor.is_complex():
        return numbers.to(tensor.dtype)
    return torch.view_as_complex(numbers.to(tensor.real.dtype).contiguous())


def rms(tensor: Tensor) -> float:
    """Root mean square of the real numbers; 0 for an empty tensor."""
    return math.sqrt(float(real(tensor).double().square().mean())) if tensor.numel() else 0.0


def real_numbers(tensors: Sequence[Tensor]) -> int:
    """How many real numbers `tensors` hold."""
    return sum(t.numel() * (2 if t.is_complex() else 1) for t in tensors)


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


def same_numbers(one: Tensor, other: Tensor) -> bool:
    """Equal, with what is no number in the same places."""
    if torch.equal(one, other):
        return True
    if one.shape != other.shape or not (moves(one) and moves(other)):
        return False
    a, b = real(one), real(other)
    return torch.equal(a.isnan(), b.isnan()) and torch.equal(a.nan_to_num(), b.nan_to_num())


def perturb(parameters: Sequence[Tensor], seed: int) -> None:
    """Move every parameter that can be moved a little, in place."""
    generator = torch.Generator().manual_seed(seed + 17)
    for parameter in parameters:
        if moves(parameter) and parameter.numel():
            spread = float(real(parameter).float().std(correction=0))
            noise = torch.randn(real(parameter).shape, generator=generator)
            parameter.add_(like(PERTURBATION * (spread + PERTURBATION) * noise, parameter))


def slopes_apart(small: Tensor, large: Tensor) -> float:
    """How far two estimates of one derivative differ, relative, where they differ least.

    A hard choice changes outputs in some places only (and later ones through the state), rounding changes all of them.
    """
    quiet = torch.quantile(large.abs().flatten(), QUIET), torch.quantile((small - large).abs().flatten(), QUIET)
    size, off = (float(q) for q in quiet)
    if size == 0.0:
        size, off = float(large.abs().mean()), float((small - large).abs().mean())
    return off / size if size > 0 else 0.0
