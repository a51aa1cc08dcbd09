"""What holds for every room's tests."""

from __future__ import annotations

import os
import shutil

from hypothesis import settings

# Times belong into benchmarks: on a busy machine an example that waits for the disk is no fault.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Temporary folders in memory where there is room: archives and stores sync often, and no test looks at a power cut.
RAM, NEEDED = "/dev/shm", 2 * 2**30
if os.access(RAM, os.W_OK) and shutil.disk_usage(RAM).free >= NEEDED:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", RAM)
