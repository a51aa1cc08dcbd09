"""Events and campaigns in a user's words: one short text each, or nothing where a line would only be noise. Pure.

The same sentences stand in the live display, in the plain log and above the prompt of a chat.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from move37.agents.events import ApprovalRequested, BudgetUpdated, Event, ExperimentUpdated, GateChecked, Notice, Spoke
from move37.app.tables import SPEAKERS, effect_text, speaker, summary_text
from move37.app.text import counted, harmless, one_line
from move37.app.units import spell_count, spell_seconds
from move37.lab.archive.message import Message
from move37.lab.numbers import DigitScale
from move37.lab.records import Experiment, ExperimentStatus, Metric, Role
from move37.lab.summary import summarise

LONGEST_SHOWN = 360  # characters of an utterance that the display shows; `move37 show ID --chat` has all of it
OWN_WORDS = 1_000  # the same of what a user typed
PHASES = {
    "baselines": "measuring the baselines",
    "search": "searching",
    "climb": "the best go up the ladder",
    "confirm": "fresh seeds for the finalist and the best baseline",
    "claims": "who beat its rivals is asked the rest of a claim",
    "done": "the session has ended",
}


def event_text(event: Event, before: Experiment | None, phase: str, metric: Metric) -> Text | None:
    """What is worth a line of its own. `before` is the experiment as it was last seen, `phase` the phase so far."""
    match event:
        case Spoke():
            return spoken(event)
        case GateChecked() if event.gate.passed is False:
            words = f" gate {one_line(event.gate.name)}: {one_line(event.gate.message, LONGEST_SHOWN)}"
            return Text.assemble((event.experiment, "bold"), (" ✗", "bold red"), words)
        case ExperimentUpdated():
            return moved(event.experiment, before, metric)
        case BudgetUpdated() if event.phase != phase:
            return Text.assemble(("── ", "dim"), (PHASES.get(event.phase, event.phase), "bold"), (" ──", "dim"))
        case ApprovalRequested():
            ask = f" {event.kind}: {one_line(event.text, LONGEST_SHOWN)}"
            late = f"; without an answer it goes on in {spell_seconds(event.seconds)}" if event.seconds else ""
            return Text.assemble(
                ("▶ your word, please ", "bold black on yellow"),
                f" {event.experiment}",
                ask,
                (f"  /approve {event.experiment} or /veto {event.experiment} REASON", "bold"),
                (late, "dim"),
            )
        case Notice():
            return Text.assemble(("! ", "bold yellow"), harmless(event.text))
    return None


def spoken(event: Spoke) -> Text:
    """Who says what to whom."""
    from_user = event.source not in SPEAKERS
    text = Text.assemble((event.experiment, "dim"), " ", speaker(event.source, user=from_user))
    text.append(f" to {one_line(event.to, 40)}: ", style="dim")
    limit = OWN_WORDS if from_user else None if event.to == "person" else LONGEST_SHOWN
    return text.append(one_line(event.text, limit))


def told_so_far(lines: Sequence[Message], most: int) -> list[Text]:
    """The conversation of the experiments so far, its last `most` lines."""
    said = [line for line in lines if line.experiment]
    cut = [Text(f"the last {most} of {len(said)} lines; `move37 show ID --chat` has all", style="dim")]
    told = [
        spoken(Spoke(experiment=line.experiment or "", source=line.source, to=line.to, text=line.text))
        for line in said[-most:]
    ]
    return [*cut, *told] if len(said) > most else told


def moved(now: Experiment, before: Experiment | None, metric: Metric) -> Text | None:
    """An experiment that changed for good: its status, its number, its verdict."""
    verdict = now.verdict if before is None or before.verdict != now.verdict else None
    same = before is not None and before.status is now.status and len(before.measurements) == len(now.measurements)
    if now.status is ExperimentStatus.RUNNING or (same and verdict is None):
        return None
    head = Text.assemble((now.id, "bold"), " ")
    if now.name and now.role is Role.CANDIDATE:
        head.append(f"{one_line(now.name, 60)} ", style="cyan")
    if now.status in (ExperimentStatus.FAILED, ExperimentStatus.REJECTED):
        head.append(f"{now.status.value}: ", style="red")
        return head.append(one_line(now.reason, LONGEST_SHOWN))
    head.append(f"{now.status.value} ", style="green")
    summary = summarise(now.measurements).get(metric.name)
    scale = DigitScale.of([summary.mean, summary.low, summary.high]) if summary else None
    if summary is not None:
        head.append_text(summary_text(summary, scale)).append(f" {metric.unit}")
        head.append(f" after {summary.steps} steps" if summary.steps else "")
        if summary.fresh:
            head.append(f" on {summary.n} fresh seed{'s' if summary.n > 1 else ''}")
    if verdict is not None:
        head.append("  ").append_text(effect_text(verdict, scale)).append(" against the best baseline", style="dim")
    return head


def budget_text(event: BudgetUpdated) -> str:
    """12 words on what is spent and left."""
    parts = [f"{event.done} of {counted(event.budget, 'experiment')}", f"{spell_seconds(event.seconds)} gone"]
    if event.seconds_left is not None:
        parts.append(f"{spell_seconds(event.seconds_left)} left")
    if event.tokens:
        parts.append(f"{spell_count(event.tokens)} tokens")
    if event.cost:
        parts.append(f"{event.cost:.2f} dollars")
    return ", ".join(parts)
