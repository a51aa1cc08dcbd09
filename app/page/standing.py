"""Where a campaign stands, in a word, a line and a part of its budget. Pure."""

from __future__ import annotations

from move37.app.formatters import PHASES
from move37.app.page.hub import LiveFeed
from move37.app.units import spell_count, spell_seconds


def standing(live: LiveFeed) -> tuple[str, str, float]:
    """A word for where a campaign stands, what is spent and left, and the part of the budget that is done. Pure."""
    state, brief = live.state, live.campaign.brief
    done = int(state.get("done", 0))
    parts = [f"{done} of {brief.budget}"] if state else []
    if live.running and state.get("phase"):
        parts.append(PHASES.get(str(state["phase"]), str(state["phase"])))
    if live.running and state.get("seconds_left") is not None:
        parts.append(f"{spell_seconds(float(state['seconds_left']))} left")
    if state.get("tokens"):
        parts.append(f"{spell_count(int(state['tokens']))} tokens")
    if live.running and live.requests:
        parts.insert(0, f"{len(live.requests)} for your word, the clock stands still")
    if live.running:
        word = "paused" if state.get("paused") else "waits" if live.requests else "running"
    else:
        word = "stopped" if live.campaign.status == "running" else live.campaign.status
    return word, " · ".join(parts), min(1.0, done / brief.budget) if brief.budget else 0.0
