"""Figures that a program shows come back as files: in the image, which brings Matplotlib where a machine has none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.docker
PNG = b"\x89PNG"
PROGRAMS = {
    "all of them, twice": (
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()\nplt.plot([3]); plt.figure(); plt.show()\n",
        [PNG, PNG, PNG],
    ),
    "one by itself, beside a file of that name": (
        "import os\nopen(os.environ['MOVE37_OUT'] + '/figure-1.png', 'w').write('mine')\n"
        "from pylab import *\nf = figure(); f.show(); show()\n",
        [b"mine", PNG, PNG],
    ),
}


@pytest.mark.parametrize("how", PROGRAMS)
def test_what_is_shown_is_a_file_and_takes_no_other_ones_place(how: str, tmp_path: Path) -> None:
    program, begins = PROGRAMS[how]
    (tmp_path / "p.py").write_text(program)
    command = [sys.executable, "-m", "move37", "exec", "p.py", "--sandbox", "docker", "--out", "out"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = {path.name: path.read_bytes()[:4] for path in (tmp_path / "out").iterdir()}
    assert found == {f"figure-{n}.png": start for n, start in enumerate(begins, 1)}
