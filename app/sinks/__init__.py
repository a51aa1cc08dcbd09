"""Where a campaign's numbers may go besides: TensorBoard, MLflow, Weights & Biases, trackio. Nothing is imported before
it is asked for; each needs its own package. To add one: a file here and a line in `SINKS`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from move37.app.exits import BadInput
from move37.app.sinks.sink import Sink

# What stands before the colon, the module of ours, the package that it needs and what comes after the colon.
SINKS = {
    "tensorboard": ("tensorboard", "tensorboard", "a folder"),
    "mlflow": ("mlflow", "mlflow-skinny", "a folder, or a tracking server's address"),
    "wandb": ("wandb", "wandb", "a project"),
    "trackio": ("wandb", "trackio", "a project"),
}


def open_sink(uri: str) -> Sink:
    """The sink that `uri` names, such as tensorboard:runs. Raises `BadInput`."""
    name, _, place = uri.partition(":")
    if name not in SINKS or not place:
        known = ", ".join(f"{n}:{what.upper().split()[-1]}" for n, (_, _, what) in SINKS.items())
        raise BadInput(f"{uri!r} names no place to export to: write one of {known}")
    module, package, _ = SINKS[name]
    try:
        opened: Callable[[str, str], Sink] = import_module(f"move37.app.sinks.{module}").open_sink
        return opened(name, place)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("move37"):
            raise
        raise BadInput(f"exporting to {name} needs another package: pip install {package}") from error
