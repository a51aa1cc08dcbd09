"""The search: repeatable, never twice the same, heeding preferences, and faster than chance on a planted landscape."""

from __future__ import annotations

import math
from random import Random
from statistics import median
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from move37.agents.arms import Designer, SearchSpace, Tried
from move37.agents.research_context import OperatorFacts
from move37.agents.search.catalogue import CATALOGUE
from move37.agents.search.evolution import Draw, Knowledge, SearchParent, change, draw, scores
from move37.agents.search.grammar import BASELINES, Genome, faults, operators_in
from move37.agents.search.operators import OPERATORS, crossover, put, take
from move37.agents.search.preferences import Preferences, recognise

PARENTS = tuple(SearchParent(id=n, name=n, genome=BASELINES[n]) for n in ("gated_delta", "ssd"))


def knowing(**changes: Any) -> Knowledge:
    """What weights a draw by default: nothing measured yet."""
    return Knowledge(**({"scale": 0.05} | changes))


def measured(tried: int, gain: float) -> OperatorFacts:
    return OperatorFacts(tried=tried, mean_effect=gain, sd=0.05 / (1 + tried) ** 0.5)


def drawn(known: Knowledge, seed: int = 0, **options: int) -> Draw:
    found = draw(PARENTS, known, Random(seed), **options)
    assert found is not None
    return found


def test_equal_seeds_give_equal_draws_and_other_seeds_others() -> None:
    assert drawn(knowing(), 7) == drawn(knowing(), 7)
    assert len({drawn(knowing(), seed).genome for seed in range(20)}) > 10


@given(st.integers(min_value=0, max_value=10**6))
@settings(max_examples=50, deadline=None)
def test_what_was_tried_and_the_baselines_are_never_drawn(seed: int) -> None:
    first = drawn(knowing(), seed)
    again = drawn(knowing(tried=frozenset({first.genome})), seed)
    assert again.genome != first.genome
    assert first.genome not in BASELINES.values() and not faults(first.genome)


@given(st.integers(min_value=0, max_value=10**6), st.sampled_from(["beta_two", "long_conv", "hierarchical_router"]))
@settings(max_examples=40, deadline=None)
def test_a_wish_of_the_person_is_in_the_draw(seed: int, operator: str) -> None:
    found = drawn(knowing(preferences=Preferences(wanted=(operator,), unwanted=("short_conv", "rotary"))), seed)
    present = operators_in(found.genome)
    assert operator in present and "rotary" not in present and "short_conv" not in present


@given(st.dictionaries(st.sampled_from(sorted(CATALOGUE)), st.floats(-0.2, 0.2)), st.floats(-0.1, 0.1))
def test_an_operator_is_worth_what_was_measured_and_nobody_guesses_the_rest(
    gains: dict[str, float], adding: float
) -> None:
    found = scores(knowing(record={o: measured(3, gain) for o, gain in gains.items()}, adding=adding))
    assert found == {o: gains.get(o, adding) for o in CATALOGUE}


def test_the_record_and_memorys_advice_move_the_draws() -> None:
    def share(known: Knowledge) -> int:
        return sum("learned_floor" in drawn(known, seed).gained for seed in range(300))

    plain = share(knowing())
    assert share(knowing(advice={"learned_floor": 0.9})) > 1.3 * plain
    assert share(knowing(record={"learned_floor": measured(10, 0.1), "rotary": measured(10, -0.1)})) > 1.5 * plain
    assert share(knowing(record={"learned_floor": measured(10, -0.2), "rotary": measured(10, 0.1)})) < 0.7 * plain


def test_without_readable_parents_it_starts_from_known_families() -> None:
    found = draw((), knowing(), Random(0))
    assert found is not None and found.base.name in BASELINES


def test_boldness_goes_further() -> None:
    def moves(boldness: int) -> float:
        draws = [drawn(knowing(), seed, boldness=boldness) for seed in range(60)]
        return sum(len(d.gained) + len(d.lost) for d in draws) / len(draws)

    assert moves(2) > moves(0) + 1


# The planted optimum: every operator has a hidden worth, pairs matter, and a genome's value is their sum.


class Landscape:
    def __init__(self, seed: int) -> None:
        rng = Random(seed)
        self._worth = {name: rng.gauss(0.0, 0.05) for name in OPERATORS}
        self._pairs = {tuple(sorted(rng.sample(OPERATORS, 2))): rng.gauss(0.0, 0.05) for _ in range(15)}

    def value(self, genome: Genome) -> float:
        present = {*operators_in(genome)}
        return sum(self._worth[o] for o in present) + sum(w for p, w in self._pairs.items() if present.issuperset(p))


def evolve(world: Landscape, seed: int, budget: int) -> list[float]:
    """Best value after each evaluation, as a campaign would run it: record, tried plans, two ranked parents."""
    known: dict[Genome, float] = {genome: world.value(genome) for genome in BASELINES.values()}
    top = max(known.values())
    best = []
    for number in range(budget):
        rng = Random(f"{seed}:{number}")
        ranked = sorted(known, key=lambda g: -known[g])
        weights = [2.718 ** (-rank / 2.5) for rank in range(len(ranked))]
        parents = tuple(
            SearchParent(id=str(n), name=str(n), genome=g) for n, g in enumerate(rng.choices(ranked, weights, k=2))
        )
        effects: dict[str, list[float]] = {}
        for genome, value in known.items():
            for operator in operators_in(genome):
                effects.setdefault(operator, []).append(value - top)
        record = {o: measured(len(v), sum(v) / len(v)) for o, v in effects.items()}
        found = draw(parents, knowing(record=record, tried=frozenset(known)), rng)
        assert found is not None
        known[found.genome] = world.value(found.genome)
        best.append(max(known.values()))
    return best


def wander(world: Landscape, seed: int, budget: int) -> list[float]:
    """Uniform moves from a random baseline: the grammar without a search."""
    rng = Random(f"random:{seed}")
    best, found = max(world.value(genome) for genome in BASELINES.values()), []
    for _ in range(budget):
        genome = rng.choice(list(BASELINES.values()))
        for _ in range(rng.randint(1, 8)):
            genome = rng.choice((put, put, take))(rng.choice(OPERATORS), genome, rng) or genome
        if rng.random() < 0.35:
            genome = crossover(genome, rng.choice(list(BASELINES.values())), rng) or genome
        best = max(best, world.value(genome))
        found.append(best)
    return found


def test_the_search_reaches_what_chance_reaches_in_a_third_of_the_evaluations() -> None:
    budget, ratios = 60, []
    for seed in range(8):
        world = Landscape(seed)
        goal = wander(world, seed, budget)[-1]
        path = evolve(world, seed, budget)
        ratios.append(next((n + 1 for n, value in enumerate(path) if value >= goal), 2 * budget) / budget)
    assert median(ratios) < 1 / 3, ratios


# The words --------------------------------------------------------------------------------------------------------


def test_words_of_the_grammar_are_recognised_and_nothing_else() -> None:
    assert recognise("Use the gated delta rule with beta up to two").wanted == ("gated_delta_rule", "beta_two")
    assert recognise("gated linear attention, but without conv") == Preferences(
        wanted=("gla",), unwanted=("short_conv",)
    )
    assert recognise("a hyena-like long convolution") == Preferences(wanted=("long_conv",))
    assert recognise("avoid routers").unwanted
    assert "decay_init_long" in recognise("Try decays.").wanted
    assert not recognise("Good morning, how is it going?")


def test_every_operator_is_recognised_by_its_own_name() -> None:
    for operator in OPERATORS:
        assert operator in recognise(f"please try {operator} now").wanted, operator


def test_what_operators_are_called_leads_back_to_them() -> None:
    for operator, lore in CATALOGUE.items():
        assert operator in recognise(lore.phrase).wanted, (operator, lore.phrase)


def test_a_later_line_overrules_an_earlier_one() -> None:
    assert recognise("use rope").without(recognise("no rope")) == Preferences(unwanted=("rotary",))


# Metrics ----------------------------------------------------------------------------------------------------------

UNITS = st.floats(1e-6, 1e6)
METRICS = st.sampled_from(["accuracy", "share_of_wrong_answers", "combined_score", "perplexity", "bits_per_byte_2"])


@given(UNITS, st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_a_draw_is_the_same_in_any_unit(unit: float, seed: int) -> None:
    rng = Random(seed)
    effects = {o: rng.gauss(0.0, 0.1) for o in rng.sample(OPERATORS, 12)}

    def known(factor: float) -> Knowledge:
        record = {o: OperatorFacts(tried=3, mean_effect=e * factor, sd=0.04 * factor) for o, e in effects.items()}
        return knowing(scale=0.1 * factor, record=record)

    assert drawn(known(unit), seed) == drawn(known(1.0), seed)


@given(METRICS, UNITS, st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_the_whole_search_does_the_same_in_any_unit(metric: str, unit: float, seed: int) -> None:
    """From values to the next genome, the noise and the size of effects read off the values themselves."""
    world = Landscape(seed % 1000)

    def path(factor: float) -> list[Genome]:
        arm, rng = Designer(with_record=True, space=SearchSpace(metric=metric)), Random(seed)
        tried = [Tried(genome=g, value=-world.value(g) * factor) for g in BASELINES.values()]
        for _ in range(5):
            proposed = arm.propose(tried, rng)
            assert proposed is not None
            value = -world.value(proposed.genome) * factor
            tried.append(Tried(genome=proposed.genome, value=value, base=proposed.base))
        return [t.genome for t in tried]

    # A power of two scales every float exactly: nothing but the unit may tell the two apart.
    assert path(2.0 ** round(math.log2(unit))) == path(1.0)


def test_what_has_shown_nothing_is_tried_less_than_what_was_never_tried() -> None:
    """A flat record: nothing gained, nothing lost. The draw goes on to what is unknown."""
    flat = {o: OperatorFacts(tried=8, mean_effect=0.0, sd=0.01) for o in OPERATORS if o != "residual_path"}
    known = knowing(scale=0.1, record=flat)
    entered = [o for n in range(100) for o in drawn(known, n).put_in]
    assert entered.count("residual_path") > 3 * (len(entered) - entered.count("residual_path")) / len(flat)


HIDDEN = [
    (operator, family)
    for operator in ("beta_two", "key_conv", "learned_floor", "query_conv", "value_conv")
    for family, genome in BASELINES.items()
    if operator not in operators_in(genome) and put(operator, genome, Random(0)) is None
]


@pytest.mark.parametrize(("operator", "family"), HIDDEN)
def test_what_a_parent_cannot_take_is_reached_where_the_record_wants_it(operator: str, family: str) -> None:
    """Two moves away, and of the rest nothing is worth anything: most draws have it, and say how they came there."""
    flat = {o: OperatorFacts(tried=8, mean_effect=0.0, sd=0.01) for o in OPERATORS}
    known = knowing(scale=0.1, record=flat | {operator: OperatorFacts(tried=8, mean_effect=0.2, sd=0.01)})
    parent = SearchParent(id=family, name=family, genome=BASELINES[family])
    found = [draw((parent,), known, Random(n)) for n in range(30)]
    reached = [d.put_in.index(operator) for d in found if d and operator in d.gained and operator in d.put_in]
    assert len(reached) > 15 and min(reached) >= 1, "never by itself: what makes it possible went in before"


@given(st.sampled_from(HIDDEN), st.sampled_from(OPERATORS), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_no_way_leads_over_what_is_unwanted(hidden: tuple[str, str], unwanted: str, seed: int) -> None:
    operator, family = hidden
    assume(unwanted != operator)
    parent = SearchParent(id=family, name=family, genome=BASELINES[family])
    known = knowing(preferences=Preferences(wanted=(operator,), unwanted=(unwanted,)))
    found = draw((parent,), known, Random(seed))
    assert found is None or unwanted not in found.put_in


def test_what_nobody_tried_is_expected_to_do_what_putting_in_does() -> None:
    known = knowing(scale=0.1, adding=-0.05)
    assert {*scores(known).values()} == {-0.05}
    gain = {"rotary": 0.1, "short_conv": -0.05}
    assert change(gain, -0.05, gained=("rotary",), lost=("short_conv",)) == pytest.approx(0.1), "without the cost of it"
    assert change(gain, -0.05, gained=("residual_path",), lost=()) == -0.05
