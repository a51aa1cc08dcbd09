"""Where a campaign stands, as far as an order needs it: who hears it next, what waits, what a search understands."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from move37.agents.budget import Expenses
from move37.agents.search.preferences import ignored, only_asks, recognise, recognise_edits
from move37.app.live_state import Active, LiveState
from move37.app.orders import AGENTS, Order, OrderContext
from move37.app.pace import heard_within
from move37.lab.records import Role
from move37.lab.tasks.registry import kind_of


def situation(
    board: LiveState, order: Order, *, search: bool, task: str, ideas: Sequence[str] = (), models: Collection[str] = ()
) -> OrderContext:
    """Of the campaign behind `board`, for one order. `search`: no language model listens; `models`: the roles that
    language models play."""
    running = [active for active in board.at_work() if not board.is_baseline(active.id)]
    free = [active for active in running if active.id not in board.waiting]
    speaking = _speaking(free)
    busy = _busy(board, speaking)
    since = [(active.stage, time.monotonic() - active.since) for active in free]
    told = board.budget_now()
    spoken = search and order.verb in ("say", "ask", "propose")
    understood, ignored, asks = _read(order.text, task) if spoken else ((), (), False)
    return OrderContext(
        speaking=speaking,
        busy=busy,
        soon=None if busy else heard_within(since, board.experiments.values()),
        interrupts=bool(speaking) and all(who.split()[1] in models for who in speaking),
        search=search,
        understood=understood,
        ignored=ignored,
        asks=asks,
        running=tuple(active.id for active in running),
        waiting=tuple(board.waiting),
        answered=dict(board.answered),
        ideas=tuple(ideas),
        names=_names(board),
        begun=sum(e.role is Role.CANDIDATE for e in board.experiments.values()),
        spent=Expenses(seconds=told.seconds, tokens=told.tokens, cost=told.cost) if told else Expenses(),
    )


def _names(board: LiveState) -> tuple[str, ...]:
    """What a preference may name."""
    known = board.experiments.values()
    named = (e.name for e in known if e.role is Role.BASELINE)
    return tuple(dict.fromkeys([*board.experiments, *filter(None, (*(e.family for e in known), *named))]))


def _speaking(running: Sequence[Active]) -> tuple[str, ...]:
    return tuple(f"the {active.turn} of {active.id}" for active in running if active.turn in AGENTS)


def _busy(board: LiveState, speaking: Sequence[str]) -> str:
    """What has to happen before anybody speaks."""
    if board.paused:
        return "it is paused, /resume goes on"
    if board.phase == "baselines":
        return "the baselines are trained first"
    wait = "waits" if len(board.waiting) == 1 else "wait"
    return f"{', '.join(board.waiting)} {wait} for a word first" if board.waiting and not speaking else ""


def _read(text: str, task: str) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """What the search acts on, the clauses in which it found nothing, and whether the text only asks."""
    program = kind_of(task).writes == "edits"
    preferences = recognise_edits(text) if program else recognise(text)
    understood = (*preferences.wanted, *(f"no {word}" for word in preferences.unwanted))
    return understood, ignored(text, program=program), only_asks(text)
