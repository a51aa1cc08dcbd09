"""Where the user's cache holds what is ours: fetched models, wheels of the image. Imports nothing heavy."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """The folder, by the standard for such; it need not be there."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "move37"
