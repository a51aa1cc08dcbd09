"""What holds for every room's tests."""

from __future__ import annotations

from hypothesis import settings

# Times belong into benchmarks: on a busy machine an example that waits for the disk is no fault.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
