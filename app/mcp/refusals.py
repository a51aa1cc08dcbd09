"""What a tool says when it cannot do what it was asked, and where a campaign stands, in words."""

from __future__ import annotations

WAITS = "{0.experiment} waits for the user's word ({0.kind})"
PHASES = {
    "opening": "the laboratory opens",
    "baselines": "the baselines are measured, which the proposals are compared with",
    "search": "proposals are tried",
    "climb": "the generation's best go up a rung",
    "confirm": "the best is measured on fresh seeds",
    "claims": "who beat its rivals on fresh seeds is asked the rest of a claim",
    "done": "the campaign has ended",
    "stopped": "what is finished is kept; `move37 mcp` in this home goes on with it",
}
UPPER = ("climb", "confirm", "claims")  # phases that measure again what was tried


class CallRefused(Exception):
    """A tool cannot do what it was asked; the message is one sentence that says what to do instead."""
