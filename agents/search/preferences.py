"""Operators that a user's text asks for or rules out: their names and synonyms, with negations.

Read `recognise` (operators of the grammar) and `recognise_edits` (kinds of edits of a program). Nothing else is
understood.
"""

from __future__ import annotations

import itertools
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

# What rules out the words that follow it, up to the end of its clause or to a word that asks for something again.
_NEGATION = re.compile(
    r"\b(not only|not just|no|not|never|without|avoid\w*|ban\w*|stop\w*|drop\w*|remov\w*|exclud\w*|less|minus|except|"
    r"skip(?!\s+connection)\w*|instead of|rather than|get rid of|don't|dont|won't|nor|neither)\b",
    re.I,
)
_BOTH = ("not only", "not just")  # say that more is wanted, not less
_LISTING = re.compile(r"(avoid|ban|stop|drop|remov|exclud|skip|neither|without|no$)", re.I)  # rule out a whole list
_ASKING = re.compile(r"\b(with|use|using|try|add|take|want|keep|include|prefer|plus|give|make|put|but)\b", re.I)
_SENTENCE = re.compile(r"(?<=[.;!?\n])")
_QUESTION = re.compile(
    r"^\W*(why|what|how|when|where|which|who|whose|do|does|did|is|are|was|were|has|have|had|can|could|would|should|will|"
    r"might|may|shall)\b.*\?|\?\W*$|^\W*(why|how come|what if)\b",
    re.I | re.S,
)
_CLAUSE = re.compile(r"[.;!?\n,]|\bbut\b", re.I)
_FILLER = re.compile(
    r"\b(please|try|use|using|with|and|or|the|a|an|it|to|of|for|in|on|me|you|i|we|want|would|like|think|about|next|some|"
    r"more|also|then|now|let|us|do|not|no|never|without|avoid|ban|stop|drop|remove|less|one|is|be|as|at|by|this|that|so)\b",
    re.I,
)


EDITS = {  # of a program, with what people call them
    "literal": r"\b(literal|number|constant|parameter)s?\b",
    "delete": r"\b(delet|remov|drop)\w*",
    "copy": r"\b(cop(y|ies|ied|ying)|duplicat\w*)\b",
    "swap": r"\b(swap|exchang|reorder)\w*",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """Operators that a text asks for, and those that it rules out, in the order of the text."""

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.wanted or self.unwanted)

    def without(self, other: Preferences) -> Preferences:
        """These preferences where a later text (`other`) says nothing else."""
        said = {*other.wanted, *other.unwanted}
        return Preferences(
            wanted=(*(o for o in self.wanted if o not in said), *other.wanted),
            unwanted=(*(o for o in self.unwanted if o not in said), *other.unwanted),
        )


def recognise(text: str) -> Preferences:
    """The grammar's words in `text`: operator names as such, and what people call them.

    A negation inverts what follows it in its clause; two of them cancel; of two mentions of the
    same operator the later one counts; a question asks for nothing. Nothing else is understood.
    """
    return _preferences(text, _named)


def recognise_edits(text: str) -> Preferences:
    """The same for a program: which kinds of edits are asked for, and which are ruled out."""
    return _preferences(text, _named_edits)


def ignored(text: str, *, program: bool = False) -> tuple[str, ...]:
    """The clauses of `text` in which nothing was recognised, questions whole; the search tells the user of them."""
    named = _named_edits if program else _named
    found = []
    for sentence in _sentences(text):
        clauses = [sentence] if is_question(sentence) else _CLAUSE.split(sentence)
        for clause in clauses:
            silent = is_question(sentence) or not named(clause)
            if silent and re.search(r"\w{3}", _FILLER.sub("", clause)):
                found.append(clause.strip(" .;!\n"))
    return tuple(found)


def is_question(sentence: str) -> bool:
    """Whether it asks instead of ordering."""
    return bool(_QUESTION.search(sentence.strip()))


def only_asks(text: str) -> bool:
    """Whether the text has questions only."""
    found = _sentences(text)
    return bool(found) and all(is_question(sentence) for sentence in found)


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE.split(text) if part.strip(" .;!?\n")]


def _preferences(text: str, named: Callable[[str], list[tuple[int, str]]]) -> Preferences:
    found: dict[str, bool] = {}  # operator -> whether it is wanted, in the order of the last words about it
    for sentence in _sentences(text):
        if is_question(sentence):
            continue
        ruled_out = _ruled_out(sentence)
        for start, operator in sorted(named(sentence)):
            found.pop(operator, None)
            found[operator] = not any(begin <= start < end for begin, end in ruled_out)
    return Preferences(
        wanted=tuple(o for o, wanted in found.items() if wanted),
        unwanted=tuple(o for o, wanted in found.items() if not wanted),
    )


def _ruled_out(sentence: str) -> list[tuple[int, int]]:
    """The stretches of a sentence that an odd number of negations governs."""
    spans = []
    for match in _NEGATION.finditer(sentence):
        if match[0].lower() not in _BOTH:
            spans.append((match.end(), _scope_end(sentence, match)))
    cuts = sorted({edge for span in spans for edge in span})
    return [
        (begin, end)
        for begin, end in itertools.pairwise(cuts)
        if sum(first <= begin and end <= last for first, last in spans) % 2
    ]


def _scope_end(sentence: str, negation: re.Match[str]) -> int:
    """Where what a negation governs ends: at a word that asks for something, or at a comma that ends no list."""
    rest = sentence[negation.end() :]
    asking = _ASKING.search(rest.lstrip())
    if asking and asking.start() == 0:  # "do not use X": the verb belongs to the negation
        asking = _ASKING.search(rest, len(rest) - len(rest.lstrip()) + asking.end())
    end = asking.start() + 0 if asking else len(rest)
    if (comma := rest.find(",")) != -1 and comma < end and not _goes_on(rest[:end], negation[0]):
        end = comma
    return negation.end() + end


def _goes_on(stretch: str, negation: str) -> bool:
    """Whether the commas behind a negation part the members of one list: "avoid a, b and c", "no a, b or c"."""
    if re.search(r"\b(or|nor)\b", stretch, re.I):
        return True
    return bool(_LISTING.match(negation)) and bool(re.search(r",[^,]*\band\b[^,]*$", stretch, re.I))


def _named_edits(clause: str) -> list[tuple[int, str]]:
    return [(m.start(), kind) for kind, words in EDITS.items() for m in re.finditer(words, clause, re.I)]


def _named(clause: str) -> list[tuple[int, str]]:
    """(position, operator); of overlapping names the longest counts, and a group's word only where no member stands."""
    spans: list[tuple[int, int, tuple[str, ...]]] = []
    for operator, entry in CATALOGUE.items():
        for match in re.finditer(rf"\b{operator}\b|{entry.words}", clause, re.I):
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
