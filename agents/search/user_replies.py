"""The search's answer to a user: the operators that it recognised, or that there were none."""

from __future__ import annotations

from move37.agents.search.catalogue import CATALOGUE
from move37.agents.search.preferences import Preferences, only_asks, recognise, recognise_edits
from move37.agents.search.view import View

_KNOWN = "delta rule, gated delta, decay, beta, short or long convolution, window, router, gate, norm, rotary, heads"


def answered(view: View, *, will: str) -> str:
    """The answer to what the user said last; "" when nobody spoke. `will`: what is done about recognised words."""
    if not view.unanswered:
        return ""
    if all(only_asks(line) for line in view.unanswered):
        return (
            "I am a search without a language model: I answer no questions, and a question orders nothing. /why ID "
            "says what an experiment rests on; what you say as a preference, or /propose, is tried."
        )
    preferences = Preferences()
    for line in view.unanswered:
        preferences = preferences.without(recognise_edits(line) if view.is_program else recognise(line))
    if view.is_program and not preferences:
        return (
            "I am a search without a language model: for a program I can only change numbers and delete, copy or swap "
            "statements, so I cannot act on what you said."
        )
    if not preferences:
        return (
            "I am a search without a language model and recognised no word of the grammar in that, so I do nothing. "
            f"Words that I know: {_KNOWN}."
        )
    parts = []
    if preferences.wanted:
        parts.append(f"you want {', '.join(preferences.wanted)}")
    if preferences.unwanted:
        parts.append(f"you do not want {', '.join(preferences.unwanted)}")
    words = "; ".join(parts)
    if view.is_program:
        return (
            f"I recognised these kinds of edits: {words}. They weigh in the next proposal. "
            "(I am a search and understand nothing else.)"
        )
    return f"I recognised these words of the grammar: {words}. {will} (I am a search and understand nothing else.)"


def listed(operators: tuple[str, ...]) -> str:
    """Operators as a phrase."""
    phrases = [CATALOGUE[o].phrase for o in operators if o in CATALOGUE]
    return ", ".join(phrases[:-1]) + " and " + phrases[-1] if len(phrases) > 1 else "".join(phrases)
