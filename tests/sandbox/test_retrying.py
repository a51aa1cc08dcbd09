"""A campaign's sandbox waits for what can come back, and for nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from move37.sandbox.errors import DaemonUnreachable, DiskFull, ImageMissing, SandboxBroken
from move37.sandbox.job import Job, OnOutput, Outcome, Protection, Status, left_out_words
from move37.sandbox.retrying import RetryingSandbox

JOB = Job(id="j", trust="c1-001", argv=("python", "main.py"))
DONE = Outcome(job="j", status=Status.DONE, exit_code=0)


class Breaking:
    """Raises what it was given, in turn, and then works."""

    name = "breaking"

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.runs = 0
        self.released: list[str] = []

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        self.runs += 1
        if self._errors:
            raise self._errors.pop(0)
        return DONE

    async def release(self, trust: str) -> None:
        self.released.append(trust)

    async def protections(self) -> tuple[Protection, ...]:
        return ()

    async def close(self) -> None: ...


async def test_a_broken_container_is_replaced_and_the_job_run_again() -> None:
    inner = Breaking(SandboxBroken("it ended"), DaemonUnreachable("restarting"))
    said: list[str] = []
    outcome = await RetryingSandbox(inner, pauses=(0.0, 0.0, 0.0), on_wait=said.append).run(JOB)
    assert outcome is DONE and inner.runs == 3
    assert inner.released == ["c1-001"] * 2 and len(said) == 2


async def test_patience_ends() -> None:
    inner = Breaking(*[SandboxBroken("again")] * 9)
    with pytest.raises(SandboxBroken):
        await RetryingSandbox(inner, pauses=(0.0, 0.0)).run(JOB)
    assert inner.runs == 4  # and the last was the job that asks whether the sandbox is sound


async def test_a_job_that_breaks_a_sound_sandbox_every_time_has_failed() -> None:
    inner = Breaking(*[SandboxBroken("it ended under it")] * 3)
    outcome = await RetryingSandbox(inner, pauses=(0.0,) * 5).run(JOB)
    assert (outcome.status, outcome.exit_code, outcome.job) == (Status.FAILED, 125, JOB.id)
    assert "3 times" in outcome.message and inner.runs == 4
    assert outcome.left_out_count == 0


async def test_results_of_a_job_that_breaks_its_sandbox_are_unknown_not_none() -> None:
    inner = Breaking(*[SandboxBroken("it ended under it")] * 3)
    outcome = await RetryingSandbox(inner, pauses=(0.0,) * 5).run(replace(JOB, collect=("*",)))
    assert outcome.left_out_count == 1 and "killed" in left_out_words(outcome)


@pytest.mark.parametrize("error", [DaemonUnreachable("restarting"), DiskFull("no room")])
async def test_what_is_no_jobs_doing_is_never_blamed_on_one(error: Exception) -> None:
    inner = Breaking(*[error] * 9)
    with pytest.raises(type(error)):
        await RetryingSandbox(inner, pauses=(0.0,) * 4).run(JOB)
    assert inner.runs == 5


async def test_what_waiting_cannot_mend_is_raised_at_once() -> None:
    inner = Breaking(ImageMissing("build it"))
    with pytest.raises(ImageMissing):
        await RetryingSandbox(inner, pauses=(0.0,)).run(JOB)
    assert inner.runs == 1
