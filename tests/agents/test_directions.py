"""What a person wants from now on stands until it is taken back, and the later preference wins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from move37.agents.directions import Direction, Directions, add, from_facts, matches, undo
from move37.agents.inbox import Inbox
from move37.lab.archive.codec import encode

KINDS = st.sampled_from(["pin", "ban", "say"])
WISHES = st.lists(st.builds(Direction, kind=KINDS, text=st.sampled_from(["gla", "mamba2", "c1-001"])), max_size=12)


def after(preferences: list[Direction]) -> Directions:
    directions = Directions()
    for preference in preferences:
        directions = add(directions, preference)
    return directions


@given(WISHES)
def test_no_word_is_both_pinned_and_banned_and_the_later_wish_wins(preferences: list[Direction]) -> None:
    found = after(preferences)
    assert not set(found.pinned) & set(found.banned)
    for preference in [w for w in preferences if w.kind != "say"][-1:]:
        assert preference.text in (found.pinned if preference.kind == "pin" else found.banned)


@given(WISHES)
def test_undo_takes_back_exactly_the_newest(preferences: list[Direction]) -> None:
    found, gone = undo(after(preferences))
    assert found == after(preferences[:-1]) and gone == (preferences[-1] if preferences else None)


@given(WISHES)
def test_a_resumed_campaign_follows_them(preferences: list[Direction]) -> None:
    assert from_facts({"directions": encode(after(preferences))}) == after(preferences)
    assert from_facts({}) == Directions()


def test_a_word_means_an_id_a_name_or_a_family() -> None:
    where = {"ident": "c1-003", "name": "wide_gla", "family": "gla"}
    assert all(matches(word, **where) for word in where.values()) and not matches("g", **where)


def test_the_inbox_keeps_them_and_takes_them_back() -> None:
    inbox = Inbox()
    inbox.direct("ban", "softmax", "ada")
    inbox.direct("pin", "gla")
    assert inbox.directions.banned == ("softmax",) and inbox.directions.standing[0].user == "ada"
    gone = inbox.undo()
    assert gone is not None and gone.text == "gla" and inbox.directions.pinned == ()
