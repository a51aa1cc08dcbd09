"""What the user's words ask of the search: names of operators and what people call them, negations turned around.

Read `recognise` (operators of the grammar) and `recognise_edits` (kinds of edits of a program). Nothing else is
understood.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from move37.agents.search.catalogue import CATALOGUE

# Words for several operators at once.
GROUPS: Mapping[str, tuple[str, ...]] = {
    r"\bdecay(s|ing|ed)?\b|\bforget\w*": ("decay_init_long", "decay_init_short", "decay_init_spread"),
    r"\brout(er|ers|ing)\b|parallel|second path|hybrids?\b|combin\w+|mix(es|ture)? of": (
        "parallel_softmax_router",
        "parallel_sigmoid_router",
        "hierarchical_router",
    ),
    r"feature maps?": ("feature_map_elu", "feature_map_relu", "feature_map_silu", "feature_map_softmax"),
    r"\bnormali[sz]\w+|\bnorms\b": ("qk_l2norm", "qk_rmsnorm", "output_norm"),
    r"\bdelta\b": ("delta_rule", "gated_delta_rule"),
}

_NEGATION = re.compile(
    r"\b(no|not|never|without|avoid|ban|stop|drop|remove|less|skip(?= the| using)|instead of|don't|do not|nor)\b", re.I
)
_CLAUSE = re.compile(r"[.;!?\n,]|\bbut\b|\band\b(?= *(no|not|never|without|avoid))", re.I)


EDITS = {  # of a program, with what people call them
    "literal": r"\b(literal|number|constant|parameter)s?\b",
    "delete": r"\b(delet|remov|drop)\w*",
    "copy": r"\b(cop(y|ies|ied|ying)|duplicat\w*)\b",
    "swap": r"\b(swap|exchang|reorder)\w*",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Operators that a text asks for, and those that it rules out, in the order of the text."""

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.wanted or self.unwanted)

    def without(self, other: Wishes) -> Wishes:
        """These wishes where a later text (`other`) says nothing else."""
        said = {*other.wanted, *other.unwanted}
        return Wishes(
            wanted=(*(o for o in self.wanted if o not in said), *other.wanted),
            unwanted=(*(o for o in self.unwanted if o not in said), *other.unwanted),
        )


def recognise(text: str) -> Wishes:
    """The grammar's words in `text`: operator names as such, and what people call them; a negation in the same clause
    turns a wish around. It understands nothing else."""
    return _wishes(text, _named)


def recognise_edits(text: str) -> Wishes:
    """The same for a program: which kinds of edits are asked for, and which are ruled out."""
    return _wishes(
        text,
        lambda clause: [(m.start(), kind) for kind, words in EDITS.items() for m in re.finditer(words, clause, re.I)],
    )


def _wishes(text: str, named: Callable[[str], list[tuple[int, str]]]) -> Wishes:
    wanted: list[str] = []
    unwanted: list[str] = []
    for clause in _CLAUSE.split(text):
        if not clause:
            continue
        negation = _NEGATION.search(clause)
        for start, operator in sorted(named(clause)):
            turned = negation is not None and negation.start() < start
            (unwanted if turned else wanted).append(operator)
    kept = tuple(dict.fromkeys(o for o in wanted if o not in unwanted))
    return Wishes(wanted=kept, unwanted=tuple(dict.fromkeys(unwanted)))


def _named(clause: str) -> list[tuple[int, str]]:
    """(position, operator); of overlapping names the longest counts, and a group's word only where no member stands."""
    spans: list[tuple[int, int, tuple[str, ...]]] = []
    for operator, lore in CATALOGUE.items():
        for match in re.finditer(rf"\b{operator}\b|{lore.words}", clause, re.I):
            spans.append((match.start(), match.end(), (operator,)))
    named = {operators[0] for _, _, operators in spans}
    for words, operators in GROUPS.items():
        for match in re.finditer(words, clause, re.I):
            if not named & set(operators):
                spans.append((match.start(), match.end(), operators))
    kept: list[tuple[int, int, tuple[str, ...]]] = []
    for span in sorted(spans, key=lambda s: (s[0] - s[1], s[0])):
        if all(span[1] <= other[0] or span[0] >= other[1] for other in kept):
            kept.append(span)
    return [(start, operator) for start, _, operators in sorted(kept) for operator in operators]
