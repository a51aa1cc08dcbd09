"""A whole cycle over a real OpenAI-compatible endpoint with a real, very small language model.

A model of 135 M parameters writes no good code: the point is that its campaign ends, and says honestly how.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from move37.lab.archive.store import Archive
from move37.lab.records import ExperimentStatus, Role
from tests.agents.models.server import MODEL, TOKENS, small_model
from tests.agents.test_kill import EVALUATOR, PROGRAM


@pytest.mark.llm
def test_a_campaign_with_a_tiny_model_ends_with_an_honest_record(tmp_path: Path) -> None:
    folder, home = tmp_path / "task", tmp_path / "home"
    folder.mkdir()
    (folder / "initial_program.py").write_text(PROGRAM)
    (folder / "evaluator.py").write_text(EVALUATOR)
    with small_model() as url:
        run = subprocess.run(
            [
                *(sys.executable, "-m", "move37", "--home", str(home), "run", "--task", f"program:{folder}"),
                *("--model", f"openai:{MODEL}", "--base-url", url, "--budget", "1", "--sandbox", "process"),
            ],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=os.environ
            | {"OPENAI_API_KEY": "none", "MOVE37_RECOLLECTIONS": "0", "MOVE37_REPLY_TOKENS": str(TOKENS)},
            timeout=900,
            check=False,
        )
    assert run.returncode == 0, run.stderr[-2000:]
    with Archive.open(home, readonly=True) as archive:
        (experiment,) = [e for e in archive.experiments() if e.role is Role.CANDIDATE]
        tokens, _ = archive.spent(1)
        assert archive.campaigns()[0].status == "finished"
    assert experiment.status is not ExperimentStatus.RUNNING
    assert experiment.reason or experiment.measurements
    assert experiment.analysis is not None and tokens > 0
    recorded = (home / "recordings" / "c1.jsonl").read_text().splitlines()
    assert recorded and all(json.loads(line)["signature"] == f"openai:{MODEL}" for line in recorded)
