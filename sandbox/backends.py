"""Which backends there are. To add one: a module with `open_backend`, as in `docker/opening.py`, and a line here.

Imports nothing: help and settings read the names.
"""

from __future__ import annotations

# Name -> the module whose `open_backend(wanted)` gives a `Sandbox`, or raises `SandboxUnavailable`.
BACKENDS: dict[str, str] = {
    "docker": "move37.sandbox.docker.opening",
    "process": "move37.sandbox.process.opening",
}
