"""Each probe's data against a slow twin that states its meaning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from move37.lab.probes import copying, mqar, overwrite, parity, word_problem
from move37.lab.probes.probe import IGNORE, Probe, Tokens, accuracy
from move37.lab.probes.run import CHANCE, PROBES, QUICK_PROBES, due

seeds = st.integers(0, 2**32 - 1)


def drawn(make: object, seed: int, count: int = 4) -> tuple[Tokens, Tokens]:
    return make(np.random.default_rng(seed), count)  # type: ignore[operator, no-any-return]


@given(seeds)
def test_overwrite_asks_for_the_latest_value_of_a_key(seed: int) -> None:
    for inputs, answers in zip(*drawn(overwrite.make, seed), strict=True):
        held: dict[int, int] = {}
        for at in range(0, 32, 2):
            held[int(inputs[at])] = int(inputs[at + 1])
        assert set(held) == {0, 1, 2, 3}
        assert (answers[:32] == IGNORE).all()
        assert [held[int(key)] for key in inputs[32:]] == answers[32:].tolist()


@given(seeds)
def test_parity_counts_every_bit_so_far(seed: int) -> None:
    for inputs, answers in zip(*drawn(parity.make, seed), strict=True):
        assert [sum(inputs[: i + 1].tolist()) % 2 for i in range(40)] == answers.tolist()


@given(seeds)
def test_parity_far_asks_once_a_row_beyond_the_trained_length(seed: int) -> None:
    for inputs, answers in zip(*drawn(parity.make_far, seed), strict=True):
        (last,) = np.flatnonzero(answers != IGNORE)
        assert len(inputs) == 256 and 40 <= last + 1 <= 256
        assert sum(inputs[: last + 1].tolist()) % 2 == answers[last]


@given(seeds)
def test_the_word_problem_asks_for_the_product_of_what_stands_before(seed: int) -> None:
    """By permuting three things, from right to left, without the table."""
    for make, length, first in ((word_problem.make, 16, 0), (word_problem.make_far, 64, 32)):
        for word, answers in zip(*drawn(make, seed), strict=True):
            assert len(word) == length and (answers[:first] == IGNORE).all()
            for at in range(first, length):
                held = (0, 1, 2)
                for permutation in reversed(word[: at + 1].tolist()):
                    held = tuple(word_problem.GROUP[permutation][i] for i in held)
                assert word_problem.GROUP[answers[at]] == held


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.name)
def test_a_guess_scores_the_chance_that_is_printed(probe: Probe) -> None:
    """Drawn evenly from the tokens that are answers at all."""
    rng = np.random.default_rng(1)
    _, answers = replace(probe, tests=2000).draw_test(rng)
    right = answers[answers != IGNORE]
    guessed = rng.choice(np.unique(right), size=right.shape)
    assert float(np.mean(guessed == right)) == pytest.approx(CHANCE[probe.name], abs=0.04)


@given(seeds)
def test_selective_copy_asks_for_the_symbols_in_their_order(seed: int) -> None:
    for inputs, answers in zip(*drawn(copying.make, seed), strict=True):
        symbols = [t for t in inputs[: copying.SPAN].tolist() if t != copying.BLANK]
        assert len(symbols) == copying.KEPT and symbols == answers[copying.SPAN :].tolist()
        assert (inputs[copying.SPAN :] == copying.MARK).all() and (answers[: copying.SPAN] == IGNORE).all()


@given(seeds)
def test_mqar_asks_for_the_value_beside_a_key(seed: int) -> None:
    for inputs, answers in zip(*drawn(mqar.make, seed), strict=True):
        held = {int(inputs[at]): int(inputs[at + 1]) for at in range(0, 32, 2)}
        assert len(held) == mqar.PAIRS
        assert [held[int(key)] for key in inputs[32:]] == answers[32:].tolist()


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.name)
@settings(max_examples=10)
@given(seed=seeds)
def test_shapes_and_tokens_are_what_the_probe_says(probe: Probe, seed: int) -> None:
    inputs, answers = probe.make(np.random.default_rng(seed), 3)
    assert inputs.shape == answers.shape == (3, probe.length)
    assert inputs.dtype == answers.dtype == np.uint8
    assert inputs.max() < probe.vocabulary and answers[answers != IGNORE].max() < probe.vocabulary
    inputs, answers = probe.draw_test(np.random.default_rng(seed))
    assert inputs.shape == answers.shape and len(inputs) == probe.tests and inputs.shape[1] >= probe.length


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.name)
def test_the_same_seed_gives_the_same_examples(probe: Probe) -> None:
    first, second = (probe.make(np.random.default_rng(9), 8) for _ in range(2))
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])


def test_accuracy_counts_answered_positions_only() -> None:
    answers = np.array([[IGNORE, 1, 0]], dtype=np.uint8)
    scores = np.array([[[9.0, 0.0], [0.0, 1.0], [0.0, 1.0]]])
    assert accuracy(scores, answers) == 0.5
    assert due(answers).tolist() == [[-1, 1, 0]]


def test_quick_probes_are_among_all() -> None:
    assert {p.name for p in QUICK_PROBES} == {"overwrite_recall", "parity"} < {p.name for p in PROBES}
