"""Beside the program: figures that it shows become files. A Matplotlib backend that travels along, without a screen."""

from __future__ import annotations

import os
from typing import Any

from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

_shown = 0


class FigureManager(FigureManagerBase):  # type: ignore[misc]  # Matplotlib is not installed here
    """What `figure.show()` asks: one figure, which stays open."""

    def show(self) -> None:
        """Write it."""
        _write(self)


class FigureCanvas(FigureCanvasAgg):  # type: ignore[misc]
    """pyplot takes the manager that its canvas names."""

    manager_class = FigureManager


def show(*args: Any, **kwargs: Any) -> None:
    """Write every open figure to $MOVE37_OUT as figure-1.png, figure-2.png, ... and close it."""
    for manager in Gcf.get_all_fig_managers():
        _write(manager)
        Gcf.destroy(manager)


def _write(manager: FigureManagerBase) -> None:
    """Under the next name that neither the program nor a process of it has taken."""
    global _shown
    while True:
        _shown += 1
        path = os.path.join(os.environ["MOVE37_OUT"], f"figure-{_shown}.png")
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            continue
        manager.canvas.figure.savefig(path)
        return
