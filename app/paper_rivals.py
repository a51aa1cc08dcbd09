"""The rivals of a claim: each at its rate, what a tuned family's best changes on its baseline, and its code."""

from __future__ import annotations

from collections.abc import Sequence

from move37.agents.search.codegen import genome_of
from move37.agents.search.grammar import BASELINES, operators_in
from move37.app.text import in_markdown
from move37.lab.confirming import Contender
from move37.lab.records import Claim

NAME = 200  # characters of a rival's name


def rivals_met(claim: Claim, contenders: Sequence[Contender]) -> tuple[Contender, ...]:
    """Those of the stored contenders that a comparison was made with, in the order of the comparisons."""
    known = {c.id: c for c in contenders}
    return tuple(known[ident] for ident in dict.fromkeys(c.rival for c in claim.comparisons) if ident in known)


def rivals_text(met: Sequence[Contender]) -> str:
    """A line of Markdown for each rival."""
    lines = []
    for contender in met:
        name, changed = in_markdown(contender.name, NAME), _changed(contender)
        lines.append(f"- {name}: learning rate {contender.rate:g}{f'; {changed}' if changed else ''}.")
    return "\n".join(lines) if lines else "The archive does not hold them."


def rivals_code(met: Sequence[Contender]) -> tuple[str, ...]:
    """A heading and the file of each rival that is no baseline as it comes, block by block in Markdown."""
    blocks: list[str] = []
    for contender in met:
        if genome_of(contender.candidate.source) is not None or contender.candidate.author != "baseline":
            source = contender.candidate.source.rstrip()
            heading = in_markdown(contender.name[:1].upper() + contender.name[1:], NAME)
            blocks += [f"## {heading}", f"```python\n{source}\n```"]
    return tuple(blocks)


def _changed(contender: Contender) -> str:
    """What a file of the grammar has and lacks against its family's baseline; empty for a file of another kind."""
    genome = genome_of(contender.candidate.source)
    if genome is None:
        return "as it comes" if contender.candidate.author == "baseline" else ""
    own, base = operators_in(genome), operators_in(BASELINES[genome.family])
    more, less = [o for o in own if o not in base], [o for o in base if o not in own]
    told = [f"{word} {', '.join(names)}" for word, names in (("with", more), ("without", less)) if names]
    return f"the baseline of {genome.family} {' and '.join(told) or 'as it comes'}"
