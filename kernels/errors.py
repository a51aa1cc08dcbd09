"""What can be wrong with a call to a kernel. Every message names the argument, what it got and what it wants.

KernelError (a ValueError)
|- BadShape        a tensor's shape disagrees with the contract or with the other arguments
|- BadDtype        a dtype that this path cannot compute in, or two that may not be mixed
|- BadDevice       tensors on different devices, or a device that the wanted implementation cannot use
|- BadSequences    cu_seqlens does not describe packed sequences
'- BadOption       a value outside what is allowed: activation, target, name of an implementation, no tensor at all
"""

from __future__ import annotations


class KernelError(ValueError):
    """A call that a kernel cannot serve."""


class BadShape(KernelError):
    """A tensor's shape is not what the contract says."""

    def __init__(self, argument: str, got: tuple[int, ...], wants: str) -> None:
        super().__init__(f"{argument} has shape {list(got)}; it must be {wants}")
        self.argument, self.got, self.wants = argument, got, wants


class BadDtype(KernelError):
    """A dtype that cannot be used here."""

    def __init__(self, argument: str, got: object, wants: str) -> None:
        super().__init__(f"{argument} has dtype {got}; it must be {wants}")
        self.argument, self.got, self.wants = argument, got, wants


class BadDevice(KernelError):
    """A tensor or an implementation on a device where it cannot be."""

    def __init__(self, argument: str, got: object, wants: str) -> None:
        super().__init__(f"{argument} is on {got}; it must be on {wants}")
        self.argument, self.got, self.wants = argument, got, wants


class BadSequences(KernelError):
    """cu_seqlens does not describe how sequences are packed."""

    def __init__(self, got: str, wants: str) -> None:
        super().__init__(f"cu_seqlens {got}; it must {wants}")
        self.argument, self.got, self.wants = "cu_seqlens", got, wants


class BadOption(KernelError):
    """A value outside what is allowed."""

    def __init__(self, argument: str, got: object, wants: str) -> None:
        super().__init__(f"{argument} is {got!r}; it must be {wants}")
        self.argument, self.got, self.wants = argument, got, wants
