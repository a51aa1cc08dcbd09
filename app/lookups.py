"""What a person at the table may look up without leaving it: `/status`, `/show`, `/diff`, `/why`. Reads only."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, RenderableType
from rich.syntax import Syntax
from rich.text import Text

from move37.app.board import Board
from move37.app.display import doing, status_lines
from move37.app.exits import BadInput
from move37.app.orders import HELP, Order
from move37.app.reading import pick_experiment, reading
from move37.app.text import harmless, one_line
from move37.lab.archive.store import Archive
from move37.lab.errors import LabError
from move37.lab.records import Experiment


def look_up(order: Order, home: Path, board: Board, screen: Console) -> None:
    """Print the answer to an order that only looks; one sentence where there is none."""
    try:
        for part in _ANSWERS[order.verb](order.text, home, board):
            screen.print(part)
    except (LabError, BadInput) as error:
        screen.print(Text(harmless(str(error)), style="bold"))


def _help(_: str, home: Path, board: Board) -> list[RenderableType]:
    return [Text(f"{form:<18} {meaning}") for form, meaning in HELP]


def _status(_: str, home: Path, board: Board) -> list[RenderableType]:
    running = [
        Text.assemble((active.id, "bold"), f" {one_line(board.name(active.id), 40)} {active.stage} ", doing(active))
        for active in board.at_work()
    ]
    return [*running, *(Text(line) for line in status_lines(board))]


def _show(ident: str, home: Path, board: Board) -> list[RenderableType]:
    from move37.app.sections import experiment_sections

    with reading(home) as archive:
        return list(experiment_sections(pick_experiment(archive, ident)))


def _diff(ident: str, home: Path, board: Board) -> list[RenderableType]:
    with reading(home) as archive:
        experiment = pick_experiment(archive, ident)
        parent = _parent(archive, experiment)
    if experiment.candidate is None:
        raise BadInput(f"{experiment.id} has no code yet")
    if parent is None or parent.candidate is None:
        raise BadInput(f"{experiment.id} has no parent with code")
    lines = difflib.unified_diff(
        parent.candidate.source.splitlines(),
        experiment.candidate.source.splitlines(),
        parent.id,
        experiment.id,
        lineterm="",
    )
    text = harmless("\n".join(lines)) or "nothing differs"
    return [Syntax(text, "diff", theme="ansi_dark", background_color="default", word_wrap=True)]


def _why(ident: str, home: Path, board: Board) -> list[RenderableType]:
    with reading(home) as archive:
        experiment = pick_experiment(archive, ident)
        said = [line for line in archive.lines(experiment.id) if line.source == "Critic"]
    h = experiment.hypothesis
    parts = [("parents", ", ".join(experiment.parents) or "none")]
    if h is not None:
        parts += [("built on", h.base), ("motivation", h.motivation), ("expects", h.predicted_effect)]
        parts += [("cites", ", ".join(h.cites)), ("risk", h.risk)]
    parts += [("Critic", said[-1].text if said else ""), ("ended", experiment.reason)]
    return [Text.assemble((f"{label}: ", "bold"), harmless(text)) for label, text in parts if text]


def _parent(archive: Archive, experiment: Experiment) -> Experiment | None:
    """The one it was made from: what the hypothesis names, else the first that was offered."""
    base = experiment.hypothesis.base if experiment.hypothesis else ""
    names = [name for name in (base, *experiment.parents) if name]
    by_name = {e.name: e.id for e in archive.experiments(experiment.campaign)}
    ids = [name if "-" in name else by_name.get(name, name) for name in names]
    known = {e.id: e for e in archive.experiments()}
    return next((known[i] for i in ids if i in known), None)


_ANSWERS: dict[str, Callable[[str, Path, Board], list[RenderableType]]] = {
    "help": _help,
    "status": _status,
    "show": _show,
    "diff": _diff,
    "why": _why,
}
