"""A training or scoring job, from its first line to its last: `main` is what `main.py` runs.

Nothing is read before the spawner exists: candidates' processes are forked from it and so have no token in memory.
    train   steps.safetensors [, checkpoint.safetensors]    -> checkpoint.safetensors, report.json
    score   weights.safetensors, windows.safetensors        -> scores.safetensors, report.json
`report.json` is written by this process; no candidate can change it unless a lock is missing, which it then names.
What the candidate does wrong ends the job with exit status 1, its traceback and one line on standard error.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from move37.lab.inside import process_locks
from move37.lab.inside.building import Built, build_model, rebuild_foreign
from move37.lab.inside.conformity import check_conformity
from move37.lab.inside.device import GPU, chosen, threads
from move37.lab.inside.remote import CandidateFault, Remote
from move37.lab.inside.spawner import Spawner
from move37.lab.training.contract import ContractError, check_source, custom_backward

TRAVELLED = ("move37", "kernels.py")  # our modules in the job's folder, which a candidate may read

Spec = Mapping[str, Any]


class InsideJob:
    """What train and score share: the candidate's processes, the network, and the report."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        load_kernels()
        self._spawner = Spawner(process_locks.job_files(keep=TRAVELLED))
        torch.set_num_threads(threads())
        self.device = chosen()  # the driver starts after the fork
        self.spec: Spec = json.loads(Path("spec.json").read_text())
        self.source = Path("candidate.py").read_text()
        self.declared = custom_backward(check_source(self.source))
        self.remote = Remote(self._spawner, self.source)
        self.built: Built = build_model(self.remote, self.spec["network"], seed=self.spec["seed"])
        self.built.model.to(self.device.kind)

    def fresh(self) -> Remote:
        """Another process of the candidate, with the same mixers in it, which another seed has started."""
        remote = Remote(self._spawner, self.source)
        rebuild_foreign(remote, self.built, seed=secrets.randbits(31))
        return remote

    def check_conformity(self, *, seed: int) -> None:
        """Raises `ContractError` where the candidate breaks a rule that no number depends on."""
        check_conformity(lambda: Remote(self._spawner, self.source), self.built, self.spec["network"], seed=seed)

    def leave(self, save: Callable[[Path], Mapping[str, Any]]) -> None:
        """End the candidate's processes, then write what `save` writes into the given folder, and the report."""
        missing = [*self.remote.missing, *([GPU] if self.device.kind != "cpu" else [])]
        self.remote.end()
        self._spawner.close()
        out = Path(os.environ["MOVE37_OUT"])
        report = save(out)
        said = {"missing": missing, "custom_backward": self.declared}
        (out / "report.json").write_text(json.dumps({**report, **said}))


def main() -> None:
    """Do what spec.json says."""
    from move37.lab.inside import score, train  # after the line below they would be loaded for nothing in a failed job

    try:
        job = InsideJob()
        (train.train if job.spec["mode"] == "train" else score.score)(job)
    except (ContractError, CandidateFault) as fault:
        cause = fault if isinstance(fault, CandidateFault) else fault.__cause__
        traceback = cause.traceback if isinstance(cause, CandidateFault) else ""
        sys.stderr.write(f"{traceback.rstrip()}\n{fault}\n" if traceback else f"{fault}\n")
        sys.stderr.flush()
        os._exit(1)


def load_kernels() -> None:
    """Load the kernels before the fork, so that no candidate's process spends its CPU time on it."""
    from move37 import kernels

    for name in kernels.__all__:
        getattr(kernels, name)
