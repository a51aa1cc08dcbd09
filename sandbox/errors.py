"""What can go wrong with the sandbox itself (a job that fails is an `Outcome`, not an error).

    SandboxError
    |- SandboxUnavailable     no daemon, no permission, not this operating system
    |  |- DaemonUnreachable   Docker does not answer
    |  |- ImageMissing        our image is not built
    |  |- ImageUnusable       the image lacks Python or torch
    |  '- GpuUnavailable      no device, no NVIDIA container toolkit, none free in time
    |- SandboxBroken          the worker died or spoke nonsense; the job may be tried again elsewhere
    |- DiskFull               the host has no room for the job
    '- RefusedRequest         asked for something that is refused on purpose (host volumes, extra hosts)

Every message is one sentence that says what to do.
"""


class SandboxError(Exception):
    """The sandbox broke; nothing is known about the job."""


class SandboxUnavailable(SandboxError):
    """This backend cannot run here."""


class DaemonUnreachable(SandboxUnavailable):
    """The Docker daemon does not answer or refuses us."""


class ImageMissing(SandboxUnavailable):
    """Our image is not on this machine."""


class ImageUnusable(SandboxUnavailable):
    """The image is there but cannot run our worker."""


class GpuUnavailable(SandboxUnavailable):
    """A GPU was asked for and cannot be had."""


class SandboxBroken(SandboxError):
    """The worker died or broke the protocol."""


class DiskFull(SandboxError):
    """The host has no room left."""


class RefusedRequest(SandboxError):
    """Something that the sandbox refuses on purpose."""
