"""The words that a user may choose from, for settings and flags alike. Imports names only: help stays quick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from move37.sandbox.backends import BACKENDS

Device = Literal["auto", "cpu", "cuda"]  # auto: a GPU for every scale but the smallest, where there is one
Approve = Literal["never", "hypotheses", "code", "promotions", "auto"]
if TYPE_CHECKING:
    Backend = str
else:
    Backend = Literal[("auto", *BACKENDS)]
Effort = Literal["none", "minimal", "low", "medium", "high"]  # of reasoning
LogLevel = Literal["debug", "info", "warning", "error"]
Preset = Literal["quick", "full"]
ScaleName = Literal["cpu", "small", "paper", "own"]  # own: the sizes under [scale]
Runtime = Literal["runc", "crun", "runsc"]
