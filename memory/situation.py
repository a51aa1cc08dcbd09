"""The question that memory is asked, from facts: families in words, probes that failed, what was seen (pure).

Papers' insights are found by their symptoms, and symptoms are what one sees before one knows a cause. So the words here
are those of a probe's result and of a layer, not names of code: `gated_delta` alone finds nothing. Solved probes ask
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from move37.memory.records import ProbeResult, Situation

SOLVED = 0.9  # value of a probe from which there is nothing to ask about
AT_CHANCE = 0.1  # above chance by less than this share of what is missing

FAMILIES = {
    "softmax": "softmax attention, a cache that grows with the text",
    "linear": "linear attention, a state that only adds",
    "retention": "retention, a fixed decay of the state by head",
    "ssd": "state space model with a scalar decay that depends on the input",
    "gla": "gated linear attention, a decay by channel that depends on the input",
    "delta": "delta rule, a write that erases what stood under its key",
    "gated_delta": "gated delta rule, a decay of the state and an erasing write",
    "conv": "long convolution over the sequence",
}


def question(asked: str | Situation) -> str:
    """The text that is searched for; a text stays as it is."""
    if isinstance(asked, str):
        return asked
    return "\n".join(line for line in _lines(asked) if line) or "sequence mixer"


def _lines(asked: Situation) -> Iterator[str]:
    yield asked.change.strip()
    yield asked.direction.strip()
    yield from (symptom.strip() for symptom in asked.symptoms)
    yield from (failing(probe) for probe in dict.fromkeys(asked.probes))
    yield from (f"{FAMILIES.get(family, family.replace('_', ' '))}." for family in dict.fromkeys(asked.families))


def failing(probe: ProbeResult) -> str:
    """What a probe shows, as a symptom says it; "" when it is solved.

    >>> failing(Probe(name="parity", value=0.52, chance=0.5))
    'Parity stays at chance.'
    """
    if not probe.value < SOLVED:
        return ""
    name = probe.name.replace("_", " ")
    name = name[:1].upper() + name[1:]
    chance = probe.chance
    if chance is not None and probe.value - chance < AT_CHANCE * (1.0 - chance):
        return f"{name} stays at chance."
    return f"{name} is solved in part only, some answers are wrong."
