"""An operator with a hand-written gradient, so that every part of PyTorch can use it.

Two faces of one pair of functions: an `autograd.Function` with `setup_context` in eager mode (gradients, saved-tensor
hooks, torch.func), and a custom operator for compilers, which see one node where they would otherwise stop or unroll a
loop over chunks. What the backward pass needs is an output of the forward pass and kept through `save_for_backward`:
hooks that offload or count memory see all of it. Inside, autocast is off: an operator computes in the dtypes that it
was given. vmap is a loop over the mapped axis. Not covered: second derivatives (refused by name).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

Arguments = tuple[Any, ...]  # tensors, None and plain values, in the order of the schema


class Operator:
    """`operator(*arguments)` -> the first `visible` results of `forward`; the others wait for `backward`.

    forward(*arguments) -> tensors, none of which shares memory with an argument or with another one.
    backward(arguments, kept, gradients of the visible results or None) -> a gradient, of the argument's shape and
    dtype, for each argument where `wants(arguments)` is true, in their order.
    shapes(*arguments) -> empty tensors like those of `forward`, without computing anything: what a compiler sees.
    """

    def __init__(
        self,
        name: str,
        schema: str,
        *,
        forward: Callable[..., tuple[Tensor, ...]],
        backward: Callable[[Arguments, tuple[Tensor, ...], Sequence[Tensor | None]], list[Tensor]],
        shapes: Callable[..., list[Tensor]],
        visible: int,
        wants: Callable[[Arguments], list[bool]] | None = None,
    ) -> None:
        self.visible = visible
        self.wants = wants or _every_floating_tensor
        self.function = _function(self, forward, backward)
        self.compiled = _custom_operator(self, name, schema, forward, backward, shapes)
        self.keeps = schema.endswith("bool keep")  # whether the last argument says if `backward` will be needed

    def __call__(self, *arguments: Any) -> tuple[Tensor, ...]:
        made = self.compiled(*arguments) if torch.compiler.is_compiling() else self.function.apply(*arguments)
        return tuple(made[: self.visible])

    def spread(self, arguments: Arguments, gradients: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
        """Gradients where they are wanted, None elsewhere: one for each argument."""
        left = iter(gradients)
        return tuple(next(left) if wanted else None for wanted in self.wants(arguments))


def needs_gradient(*tensors: Tensor | None) -> bool:
    """Whether autograd will ask for a backward pass through these."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def accumulation_dtype(x: Tensor) -> torch.dtype:
    """float64 for float64, otherwise float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _every_floating_tensor(arguments: Arguments) -> list[bool]:
    return [isinstance(x, Tensor) and x.is_floating_point() for x in arguments]


def without_autocast(arguments: Arguments) -> Any:
    """A context in which products are computed in the dtypes that they are given."""
    kind = next(x.device.type for x in arguments if isinstance(x, Tensor))
    if kind in ("cpu", "cuda") and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()


def _function(operator: Operator, forward: Any, backward: Any) -> Any:
    class Backward(torch.autograd.Function):
        """The backward pass as a function of its own, since vmap has to see it as one."""

        @staticmethod
        def forward(count: int, visible: int, *given: Any) -> tuple[Tensor, ...]:
            with without_autocast(given):
                kept = given[count : len(given) - visible]
                return tuple(backward(given[:count], kept, given[len(given) - visible :]))

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            raise NotImplementedError("the kernels have no second derivatives; implementation('reference') has")

        @staticmethod
        def vmap(info: Any, in_dims: Any, *given: Any) -> Any:
            return _loop(Backward.apply, info.batch_size, in_dims, given)

    class Forward(torch.autograd.Function):
        @staticmethod
        def forward(*arguments: Any) -> tuple[Tensor, ...]:
            with without_autocast(arguments):
                return tuple(map(_own, forward(*arguments)))

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            _keep(ctx, operator, inputs, output)

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            arguments, kept = _kept(ctx)
            shown = gradients[: operator.visible]
            made = Backward.apply(len(arguments), operator.visible, *arguments, *kept, *shown)  # type: ignore[no-untyped-call]
            return operator.spread(arguments, made)

        @staticmethod
        def vmap(info: Any, in_dims: Any, *arguments: Any) -> Any:
            return _loop(Forward.apply, info.batch_size, in_dims, arguments)

    return Forward


def _custom_operator(operator: Operator, name: str, schema: str, forward: Any, backward: Any, shapes: Any) -> Any:
    def run(*arguments: Any) -> list[Tensor]:
        with without_autocast(arguments):
            return list(forward(*arguments))

    def run_backward(*given: Any) -> list[Tensor]:
        *arguments, kept, gradients = given
        with without_autocast(tuple(arguments)):
            return list(backward(tuple(arguments), tuple(kept), gradients))

    def shapes_backward(*given: Any) -> list[Tensor]:
        arguments = given[:-2]
        return [torch.empty_like(x) for x, wanted in zip(arguments, operator.wants(arguments), strict=True) if wanted]

    compiled = torch.library.custom_op(f"move37::{name}", run, mutates_args=(), schema=f"({schema}) -> Tensor[]")
    compiled.register_fake(shapes)
    compiled_backward = torch.library.custom_op(
        f"move37::{name}_backward",
        run_backward,
        mutates_args=(),
        schema=f"({schema}, Tensor[] kept, Tensor?[] gradients) -> Tensor[]",
    )
    compiled_backward.register_fake(shapes_backward)

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        _keep(ctx, operator, inputs, output)

    def differentiate(ctx: Any, gradients: Any) -> Any:
        arguments, kept = _kept(ctx)
        made = compiled_backward(*arguments, list(kept), list(gradients[: operator.visible]))
        return operator.spread(arguments, made)

    compiled.register_autograd(differentiate, setup_context=setup)
    return compiled


def _own(x: Tensor) -> Tensor:
    """The same memory, and no view of anything: into a view that a function returns autograd lets nobody write."""
    if not x._is_view():
        return x
    return x.new_empty(0).set_(x.untyped_storage(), x.storage_offset(), x.shape, x.stride())


def _keep(ctx: Any, operator: Operator, arguments: Arguments, made: Sequence[Tensor]) -> None:
    kept = tuple(made[operator.visible :])
    ctx.save_for_backward(*(x if isinstance(x, Tensor) else None for x in arguments), *kept)
    ctx.plain = tuple(None if isinstance(x, Tensor) else x for x in arguments)
    ctx.mark_non_differentiable(*kept)
    ctx.set_materialize_grads(False)


def _kept(ctx: Any) -> tuple[Arguments, tuple[Tensor, ...]]:
    """The arguments and what the forward pass kept."""
    tensors = ctx.saved_tensors
    count = len(ctx.plain)
    arguments = tuple(p if t is None else t for t, p in zip(tensors[:count], ctx.plain, strict=True))
    return arguments, tensors[count:]


def _loop(apply: Any, size: int, in_dims: Any, arguments: Any) -> Any:
    """Call once for each entry of the mapped axes and stack what comes back."""
    rows = [
        apply(*(x if d is None else x.select(d, i) for x, d in zip(arguments, in_dims, strict=True)))
        for i in range(size)
    ]
    return tuple(torch.stack(column) for column in zip(*rows, strict=True)), (0,) * len(rows[0])
