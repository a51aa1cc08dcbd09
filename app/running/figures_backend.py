"""Beside the program: figures that it shows become files. A Matplotlib backend that travels along, without a screen."""

from __future__ import annotations

import os
from typing import Any

from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

FigureCanvas = FigureCanvasAgg
FigureManager = FigureManagerBase
_shown = 0


def show(*args: Any, **kwargs: Any) -> None:
    """Write every open figure to $MOVE37_OUT as figure-1.png, figure-2.png, ... and close it."""
    global _shown
    for manager in Gcf.get_all_fig_managers():
        _shown += 1
        manager.canvas.figure.savefig(os.path.join(os.environ["MOVE37_OUT"], f"figure-{_shown}.png"))
        Gcf.destroy(manager)
