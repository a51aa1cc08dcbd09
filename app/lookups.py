"""What a user in the conversation may look up without leaving it: `/status`, `/show`, `/diff`, `/why`. Reads only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console, RenderableType
from rich.syntax import Syntax
from rich.text import Text

from move37.app.display import doing, status_lines
from move37.app.exits import BadInput
from move37.app.live_state import LiveState
from move37.app.orders import HELP, Order
from move37.app.reading import pick_experiment, reading
from move37.app.tables import experiment_sections, section
from move37.app.text import harmless, one_line
from move37.app.views.campaign import view_of
from move37.app.views.code import difference
from move37.app.views.experiment import Detail, detail_of
from move37.app.views.ideas import pool_section
from move37.lab.archive.store import Archive
from move37.lab.errors import LabError


def look_up(order: Order, home: Path, board: LiveState, screen: Console) -> None:
    """Print the answer to an order that only looks; one sentence where there is none."""
    try:
        for part in _ANSWERS[order.verb](order.text, home, board):
            screen.print(part)
    except (LabError, BadInput) as error:
        screen.print(Text(harmless(str(error)), style="bold"))


def _help(_: str, home: Path, board: LiveState) -> list[RenderableType]:
    return [Text(f"{form:<18} {meaning}") for form, meaning in HELP]


def _status(_: str, home: Path, board: LiveState) -> list[RenderableType]:
    running = [
        Text.assemble((active.id, "bold"), f" {one_line(board.name(active.id), 40)} {active.stage} ", doing(active))
        for active in board.at_work_unasked()
    ]
    return [*running, *(Text(line) for line in status_lines(board))]


def _show(ident: str, home: Path, board: LiveState) -> list[RenderableType]:
    with reading(home) as archive:
        return list(experiment_sections(_detail(archive, ident)))


def _diff(ident: str, home: Path, board: LiveState) -> list[RenderableType]:
    with reading(home) as archive:
        detail = _detail(archive, ident)
    new, old = detail.experiment.candidate, detail.ancestor.candidate if detail.ancestor else None
    if new is None:
        raise BadInput(f"{detail.experiment.id} has no code yet")
    if old is None or detail.ancestor is None:
        raise BadInput(f"{detail.experiment.id} has no parent with code")
    text = difference(old.source, new.source, detail.ancestor.id) or "nothing differs"
    return [Syntax(text, "diff", theme="ansi_dark", background_color="default", word_wrap=True)]


def _why(ident: str, home: Path, board: LiveState) -> list[RenderableType]:
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


def _ideas(_: str, home: Path, board: LiveState) -> list[RenderableType]:
    with reading(home) as archive:
        found = pool_section(archive.experiments(archive.campaigns()[-1].id))
    return [section(found)] if found else [Text("no idea waits")]


def _detail(archive: Archive, ident: str) -> Detail:
    experiment = pick_experiment(archive, ident)
    return detail_of(view_of(archive, archive.campaign(experiment.campaign)), experiment)


_ANSWERS: dict[str, Callable[[str, Path, LiveState], list[RenderableType]]] = {
    "help": _help,
    "status": _status,
    "show": _show,
    "diff": _diff,
    "why": _why,
    "ideas": _ideas,
}
