"""What agents may look up: memory, papers, experiments, differences, leaderboards and loss curves. Reads only.

Values that decide (on deciding or sealed text, of fresh seeds) are in none of them: verdict and effects say what they
decided.

Each method is the body of a tool; its docstring is what a model reads about it. A wrong argument is answered with a
sentence that says which ones there are.
"""

from __future__ import annotations

from collections.abc import Sequence

from move37.agents import blocks, ledger
from move37.agents.experiment_context import ExperimentContext, comparable
from move37.agents.research_context import LedgerRow
from move37.lab.archive.live import Curve, LiveReader
from move37.lab.effects import effect_between
from move37.lab.numbers import effect_text, scale_of
from move37.lab.records import Experiment, ExperimentStatus
from move37.memory import render
from move37.memory.records import MEMORY_KINDS

KINDS = ("any", *MEMORY_KINDS)
SHOWN_IDS = 20
POINTS = 12  # of a loss curve


class Lookups:
    """The looking-up tools of one experiment's conversation."""

    def __init__(self, ctx: ExperimentContext) -> None:
        self._ctx = ctx

    async def recall(self, query: str, kind: str = "any") -> str:
        """Search the laboratory's memory for an observation or a question. kind: any, cognition (papers), analysis (own
        experiments) or principle."""
        if kind not in KINDS:
            return f"There is no kind {kind[:60]!r}: use {', '.join(KINDS)}."
        if not query.strip():
            return "The query is empty: describe what was seen, or what you want to know."
        campaign = self._ctx.campaign
        kinds = tuple(k for k in MEMORY_KINDS if kind in ("any", k))
        found = await campaign.memory.recall(query[:2_000], k=8, task=campaign.task.name, kinds=kinds)
        return "\n\n".join(f"[{r.key}] {render.recollection(r)}" for r in found) or "Memory returned nothing."

    async def read_paper(self, id: str) -> str:
        """Everything that memory holds of one paper, by its key as it was cited, e.g. 2412.06464."""
        found = await self._ctx.campaign.memory.paper(id.strip())
        return (
            "\n\n".join(render.stored(e) for e in found) or f"There is no paper {id[:60]!r}: recall names their keys."
        )

    async def read_experiment(self, id: str) -> str:
        """One experiment in full: what it changed, its numbers on the screening text, gates, verdict, analysis, and its
        file."""
        experiment, why = self._one(id)
        if experiment is None:
            return why
        everybody, metric = comparable(self._ctx.campaign), self._ctx.campaign.task.metric
        rows = [r for r in ledger.ledger(everybody, metric) if r.experiment == experiment.id]
        return "\n".join(_experiment(experiment, rows))

    async def diff(self, old: str, new: str) -> str:
        """What the file of experiment `new` changes in the file of experiment `old` (a baseline's id works too)."""
        (one, why), (other, reason) = self._one(old), self._one(new)
        if one is None or other is None:
            return why or reason
        return blocks.fence(ledger.diff(one, other), "diff") if ledger.diff(one, other) else "The files are equal."

    async def leaderboard(self, steps: int) -> str:
        """The best experiments at that number of training steps."""
        found = ledger.leaderboard(comparable(self._ctx.campaign), self._ctx.campaign.task.metric)
        if steps not in found:
            return f"Nothing was measured at {steps} steps: there are {', '.join(map(str, found)) or 'no numbers yet'}."
        rows = found[steps]
        scale = scale_of(self._ctx.campaign.task.metric.name, [row.value for row in rows])
        return "\n".join(blocks.leaderboard_row(n, row, scale) for n, row in enumerate(rows, start=1))

    async def curves(self, id: str) -> str:
        """The training losses of one experiment, a few points of every screening run."""
        experiment, why = self._one(id)
        if experiment is None:
            return why
        with LiveReader(self._ctx.campaign.archive.path.parent) as reader:
            runs = [c for c in reader.curves(experiment.campaign) if c.experiment == experiment.id and not c.fresh]
        return "\n".join(_curve(run) for run in runs) or "No loss curve is stored."

    async def compare(self, one: str, other: str) -> str:
        """The gain of experiment `one` over experiment `other` under equal conditions, with its standard error."""
        (mine, why), (theirs, reason) = self._one(one), self._one(other)
        if mine is None or theirs is None:
            return why or reason
        effect = effect_between(mine, theirs, self._ctx.campaign.task.metric)
        if effect is None:
            return f"{one} and {other} share no measurement under equal conditions."
        seeds = f"{effect.seeds} seed{'s' * (effect.seeds != 1)}"
        return f"{effect_text(effect)} at {effect.steps} steps on text {effect.text}, {seeds}."

    def _one(self, id: str) -> tuple[Experiment | None, str]:
        """An experiment by its id, or a baseline by its name; or a sentence with the ids that there are."""
        found = comparable(self._ctx.campaign)
        named = [e for e in found if id.strip() in (e.id, e.name)]
        if named:
            return named[-1], ""
        ids = [e.id for e in found][-SHOWN_IDS:]
        return None, f"There is no experiment {id[:60]!r}: the newest are {', '.join(ids) or 'none'}."


def _so_far(experiment: Experiment) -> str:
    return " so far" if experiment.status is ExperimentStatus.RUNNING else f" ({blocks.line(experiment.reason)})"


def _experiment(experiment: Experiment, rows: Sequence[LedgerRow]) -> list[str]:
    if experiment.hypothesis is None and experiment.candidate is None:
        return [f"{experiment.id} is {experiment.status.value}, and has no hypothesis{_so_far(experiment)}."]
    lines = [f"{experiment.id} {experiment.name} ({experiment.family}), {experiment.status.value}"]
    lines += [blocks.ledger_line(row) for row in rows]
    h, a = experiment.hypothesis, experiment.analysis
    lines += [f"Motivation: {blocks.line(h.motivation)}"] if h else []
    lines += [f"Predicted: {blocks.line(h.predicted_effect)}"] if h else []
    lines += [
        f"{m.metric} {m.value:.6g} at {m.steps} steps, seed {m.seed}, rate {m.learning_rate:g}"
        for m in ledger.screening(experiment)
    ]
    lines += [f"Verdict: {blocks.line(experiment.verdict.text)}"] if experiment.verdict else []
    lines += [f"Gate {g.name}: {blocks.line(g.message)}" for g in experiment.gates if g.passed is False]
    lines += [f"Seen: {blocks.line(a.seen)}", f"Why: {blocks.line(a.why)}", f"Next: {blocks.line(a.next)}"] if a else []
    source = ledger.source_of(experiment)
    return [*lines, blocks.fence(source)] if source else lines


def _curve(run: Curve) -> str:
    every = max(1, len(run.steps) // POINTS)
    whole = list(zip(run.steps, run.losses, strict=True))
    points = [*whole[:-1:every], *whole[-1:]]  # where it ended is what is asked most
    told = ", ".join(f"{step}: {loss:.4g}" for step, loss in points)
    return f"{run.rung}, seed {run.seed}, rate {run.learning_rate:g}: {told}"
