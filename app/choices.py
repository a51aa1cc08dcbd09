"""The words that a person may choose from, for settings and flags alike. Imports nothing, so that help stays quick."""

from __future__ import annotations

from typing import Literal

Device = Literal["auto", "cpu", "cuda"]  # auto: a GPU for every scale but the smallest, where there is one
Approve = Literal["never", "hypotheses", "code", "promotions", "auto"]
Backend = Literal["auto", "docker", "process"]
Effort = Literal["none", "minimal", "low", "medium", "high"]  # of reasoning
LogLevel = Literal["debug", "info", "warning", "error"]
Preset = Literal["quick", "full"]
ScaleName = Literal["cpu", "small", "paper", "own"]  # own: the sizes under [scale]
Runtime = Literal["runc", "crun", "runsc"]
