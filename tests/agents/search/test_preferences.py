"""The search understands the grammar's words, or says that it does not; a question, a negation and a later preference
count for what they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.agents.search.catalogue import CATALOGUE
from move37.agents.search.preferences import Preferences, ignored, is_question, recognise

WORDS = {"conv": ("a short convolution", "short_conv"), "gate": ("an output gate", "output_gate")}


@pytest.mark.parametrize(
    "line",
    [
        "why do you not try a short convolution?",
        "Why not a short convolution",
        "what does the output gate do?",
        "would a sigmoid router help?",
        "is the decay long or short?",
        "short convolution?",
        "Do you ever use rope?",
    ],
)
def test_a_question_is_no_order(line: str) -> None:
    assert is_question(line) and not recognise(line)
    assert ignored(line)


@pytest.mark.parametrize(
    ("line", "wanted", "unwanted"),
    [
        ("try a short convolution", {"short_conv"}, set()),
        ("without a short convolution", set(), {"short_conv"}),
        ("gated linear attention without a short convolution", {"gla"}, {"short_conv"}),
        ("without a short convolution, with an output gate", {"output_gate"}, {"short_conv"}),
        ("no short convolution and use rope", {"rotary"}, {"short_conv"}),
        ("no short convolution but rope", {"rotary"}, {"short_conv"}),
        ("stop using a short convolution", set(), {"short_conv"}),
        ("do not use rope", set(), {"rotary"}),
        ("don't drop the output gate", {"output_gate"}, set()),
        ("never without an output gate", {"output_gate"}, set()),
        ("rope instead of a short convolution", {"rotary"}, {"short_conv"}),
        ("not only rope, also an output gate", {"rotary", "output_gate"}, set()),
        ("no rope, an output gate", {"output_gate"}, {"rotary"}),
        ("no rope, output gate or short convolution", set(), {"rotary", "output_gate", "short_conv"}),
        ("avoid rope, an output gate and a short convolution", set(), {"rotary", "output_gate", "short_conv"}),
        ("use rope with an output gate rather than a short convolution", {"rotary", "output_gate"}, {"short_conv"}),
    ],
)
def test_a_negation_turns_what_follows_it_and_nothing_else(line: str, wanted: set[str], unwanted: set[str]) -> None:
    found = recognise(line)
    assert (set(found.wanted), set(found.unwanted)) == (wanted, unwanted)


@given(st.lists(st.tuples(st.sampled_from(sorted(WORDS)), st.booleans()), min_size=1, max_size=6))
def test_of_two_wishes_the_later_one_counts(said: list[tuple[str, bool]]) -> None:
    text = ". ".join(f"{'use' if wanted else 'no'} {WORDS[word][0]}" for word, wanted in said)
    found = recognise(text)
    for word in WORDS:
        last = [wanted for w, wanted in said if w == word][-1:]
        assert (WORDS[word][1] in found.wanted) == (last == [True])
        assert (WORDS[word][1] in found.unwanted) == (last == [False])


def test_a_question_before_an_order_takes_nothing_from_it() -> None:
    found = recognise("why do you not try rope? Use the gated delta rule with a short convolution.")
    assert set(found.wanted) == {"gated_delta_rule", "short_conv"} and not found.unwanted


@pytest.mark.parametrize("operator", sorted(CATALOGUE))
def test_every_operator_is_wanted_and_ruled_out_by_its_name(operator: str) -> None:
    assert operator in recognise(f"please try {operator} now").wanted
    assert operator in recognise(f"please no {operator} now").unwanted


@pytest.mark.parametrize(
    ("line", "silent"),
    [
        ("try rope, and be bold", ("and be bold",)),
        ("use a short convolution", ()),
        ("make it beautiful. no rope.", ("make it beautiful",)),
        ("two decays a head like in that paper, please", ()),
    ],
)
def test_what_was_not_understood_is_named(line: str, silent: tuple[str, ...]) -> None:
    assert all(part in " ".join(ignored(line)) for part in silent) and bool(ignored(line)) == bool(silent)


@given(st.text(max_size=120))
def test_any_text_is_read(text: str) -> None:
    assert isinstance(recognise(text), Preferences) and isinstance(ignored(text), tuple)
