"""What the guide shows runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "autogen.md"


def test_the_example_of_the_executor_runs_and_prints_what_the_guide_says(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(import asyncio.*?asyncio\.run\(main\(\)\)\n)```", GUIDE.read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "42" in done.stdout.split() and "no output" in done.stdout
