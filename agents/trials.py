"""What Engineer and Debugger may try before they answer: a file through the gates, a snippet of Python. In the sandbox.

Both take one of the slots for jobs. A trial changes nothing: the file that is handed in goes through the gates again.
"""

from __future__ import annotations

from uuid import uuid4

from move37.agents import blocks
from move37.agents.edits import EditRefused, written
from move37.agents.execution import fingerprints
from move37.agents.experiment_context import ExperimentContext
from move37.agents.replies import LONGEST_FILE
from move37.lab.records import Candidate, GateResult
from move37.sandbox.job import MIB, Job, Limits

RUN_SECONDS = 60.0
SHOWN_OUTPUT = 4_000  # characters of each stream


class Trials:
    """The trying tools of one experiment's conversation."""

    def __init__(self, ctx: ExperimentContext) -> None:
        self._ctx = ctx

    async def check(self, source: str) -> str:
        """Put a whole candidate file through every gate and get their answers, without handing it in."""
        try:
            candidate = Candidate(source=written(source, (), ""), author="a trial")
        except EditRefused as error:
            return str(error)
        campaign = self._ctx.campaign
        known = fingerprints(campaign, self._ctx.id)
        async with campaign.job_slots:
            checked = await campaign.task.check(candidate, trust=self._ctx.id, sandbox=campaign.sandbox, known=known)
        refused = [g for g in checked.results if g.passed is False]
        if not refused:
            return f"All gates let it through ({', '.join(g.name for g in checked.results if g.passed)})."
        return "\n".join(_gate(g) for g in refused)

    async def run(self, snippet: str) -> str:
        """Run a snippet of Python with torch in the sandbox (60 seconds, no network) and get what it prints."""
        if len(snippet) > LONGEST_FILE:
            return f"The snippet is longer than {LONGEST_FILE} characters."
        campaign = self._ctx.campaign
        job = Job(
            id=f"{self._ctx.id}-run-{uuid4().hex[:8]}",
            trust=self._ctx.id,
            argv=("python", "main.py"),
            files={"main.py": snippet.encode("utf-8", errors="replace")},
            limits=Limits(wall_seconds=RUN_SECONDS, memory_bytes=1024 * MIB, output_bytes=MIB),
        )
        async with campaign.job_slots:
            outcome = await campaign.sandbox.run(job)
        parts = [f"{outcome.status.value}, exit status {outcome.exit_code}. {outcome.message}".strip()]
        for name, stream in (("output", outcome.stdout), ("errors", outcome.stderr)):
            text = stream.decode("utf-8", errors="replace").strip()
            if text:
                cut = f"(cut: {len(text)} characters in all)\n" if len(text) > SHOWN_OUTPUT else ""
                parts.append(f"{name}:\n{cut}{blocks.fence(text[-SHOWN_OUTPUT:], 'text')}")
        return "\n".join(parts)


def _gate(gate: GateResult) -> str:
    trace = f"\n{blocks.fence(gate.traceback, 'text')}" if gate.traceback else ""
    return f"Gate {gate.name} (measured {gate.value}, limit {gate.limit}): {gate.message}{trace}"
