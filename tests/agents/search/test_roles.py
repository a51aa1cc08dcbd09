"""The search at the table: each role's answer to what it heard, as typed messages."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.agents.errors import ModelReplyInvalid
from move37.agents.messages import Results
from move37.agents.replies import Code, Critique, Fix, Proposals, Report
from move37.agents.research_context import OperatorFacts, TaskCard
from move37.agents.search import researcher
from move37.agents.search.agent import SIGNATURE
from move37.agents.search.analyst import Compared
from move37.agents.search.codegen import genome_of, operators_of
from move37.agents.search.grammar import BASELINES, from_json, operators_in
from move37.agents.search.plans import was_changed
from move37.lab.records import COMBINED_SCORE, Effect, Effects, Forecast, GateResult, Measurement
from move37.memory import records as memory
from move37.memory.records import DeadEnd, Newness, Posterior, Precedent, Recollection
from tests.agents.search.views import accepted_as, ask, changed, known, opening, parent, refused, with_plan

OBJECTION = Critique(accept=False, ground="contradiction", reason="it failed twice")


def plan_of(offer: Proposals) -> str:
    return offer.ideas[0].plan


def operators(offer: Proposals) -> set[str]:
    genome = from_json(plan_of(offer))
    assert genome is not None
    return {*operators_in(genome)}


def test_it_signs_as_a_search() -> None:
    assert SIGNATURE == "designer (evolutionary search, no language model)"


def test_one_number_in_two_campaigns_of_a_home_is_two_proposals() -> None:
    """The search drew by the brief's seed and the number alone, so that a second campaign began as the first."""
    offers = [[plan_of(ask(Proposals, opening(number=n, campaign=c))) for n in range(1, 6)] for c in (1, 2)]
    assert offers[0] == [plan_of(ask(Proposals, opening(number=n))) for n in range(1, 6)] != offers[1]


# Researcher --------------------------------------------------------------------------------------------------


def test_a_repeated_stage_repeats_its_proposal_and_another_experiment_does_not() -> None:
    first = ask(Proposals, opening())
    assert ask(Proposals, opening()) == first
    assert plan_of(ask(Proposals, opening(number=3))) != plan_of(first)
    assert plan_of(ask(Proposals, opening(seed=5))) != plan_of(first)


def test_a_proposal_is_a_valid_untried_mixer_with_its_base_and_its_reasons() -> None:
    offer = ask(Proposals, opening())
    (idea,) = offer.ideas
    genome = from_json(idea.plan)
    assert genome is not None and genome not in BASELINES.values()
    assert idea.family == genome.family and not offer.drop and offer.to_person == ""
    assert idea.base in ("b-gated_delta_net", "b-mamba2") and idea.prediction is not None
    assert plan_of(ask(Proposals, opening(tried_plans=(idea.plan,)))) != idea.plan


def paper(*used: str, **changes: Any) -> Recollection:
    fields: dict[str, Any] = {"key": "2411.12537", "kind": "cognition", "title": "Negative eigenvalues", "claim": "x"}
    return Recollection(**(fields | changes), operators=used)


def test_what_memory_returned_is_cited_when_it_bears_on_the_change() -> None:
    for number in range(8):
        bearing = paper("beta_two", "qk_rmsnorm", "rotary", "residual_path")
        two_insights = (bearing, replace(bearing, claim="another insight of the same paper"))
        offer = ask(Proposals, opening(number=number, recollections=two_insights))
        (idea,) = offer.ideas
        if idea.cites:
            assert idea.cites == ["2411.12537"]
            assert idea.motivation.count("[2411.12537] Negative eigenvalues") == 1
            assert operators(offer) & {*bearing.operators}
            break
    else:
        pytest.fail("advice that fits was never used in eight experiments")
    assert ask(Proposals, opening(recollections=(paper(),))).ideas[0].cites == []


def own(**changes: Any) -> Recollection:
    return Recollection(**({"key": "c1-1", "kind": "analysis", "title": "x", "claim": "y"} | changes))


def evidence(gain: float | None, status: str = "measured") -> memory.Evidence:
    effect = None if gain is None else memory.MeasuredEffect(gain=gain, error=0.02)
    return memory.Evidence(effects=memory.MeasuredEffects(parent=effect), status=status)


def test_own_analyses_speak_by_their_effect_and_by_what_they_say_to_try_next() -> None:
    def advised(**changes: Any) -> dict[str, float]:
        operators = ("output_gate", "rotary", "qk_l2norm")
        lesson = own(operators=operators, gained=("output_gate",), lost=("learned_floor",), **changes)
        return dict(researcher.advice([lesson], scale=0.03))

    better, worse = advised(evidence=evidence(0.03)), advised(evidence=evidence(-0.03))
    assert set(better) == set(worse) == {"output_gate", "learned_floor"}  # nothing of what its base had as well
    assert better["output_gate"] > 0.0 > worse["output_gate"] and better["learned_floor"] < 0.0 < worse["learned_floor"]
    assert advised(evidence=evidence(0.06))["output_gate"] == pytest.approx(2 * better["output_gate"])
    assert advised(evidence=evidence(None, "failed"))["output_gate"] < 0.0
    assert advised(next="try a short_conv before the keys")["short_conv"] > 0.0
    assert advised() == {}


def test_what_the_record_holds_memory_does_not_say_again() -> None:
    lesson = own(operators=("output_gate",), gained=("output_gate",), evidence=evidence(0.03))
    assert researcher.advice([lesson], scale=0.03, known={("c1-1", "x")}) == {}
    assert researcher.advice([lesson], scale=0.03, known={("c1-1", "of another home")}) != {}


def test_children_are_bred_from_the_genomes_of_their_parents() -> None:
    offer = ask(Proposals, opening())
    code = ask(Code, accepted_as(offer))
    child = parent("gated_delta_net", id="e1", is_baseline=False, name="a child", source=code.source)
    following = ask(Proposals, opening(number=9, parents=(child, parent("mamba2"))))
    assert "a child" in following.ideas[0].change or "mamba2" in following.ideas[0].change


def test_parents_that_cannot_be_read_are_left_out() -> None:
    stranger = parent("gla", is_baseline=False, source="class Mixer: ...")
    assert from_json(plan_of(ask(Proposals, opening(parents=(stranger,))))) is not None


def test_an_objection_leads_to_another_mixer_without_what_was_objected_to() -> None:
    first = ask(Proposals, opening())
    second = ask(Proposals, opening(), first, known(first), OBJECTION)
    assert not second.drop and plan_of(second) != plan_of(first)
    assert "objection on contradiction" in second.ideas[0].motivation


def test_repeated_objections_lead_to_a_withdrawal() -> None:
    heard: list[Any] = [opening()]
    for _ in range(3):
        offer = ask(Proposals, *heard)
        assert not offer.drop
        heard += [offer, OBJECTION]
    assert ask(Proposals, *heard).drop


def test_what_gained_against_its_parents_is_put_in_more_often() -> None:
    def share(effect: float) -> int:
        record = {"rotary": OperatorFacts(tried=6, mean_effect=effect)}
        drawn = [operators(ask(Proposals, opening(number=n, operators=record))) for n in range(60)]
        return sum("rotary" in one for one in drawn)

    assert share(0.15) > share(-0.15)


# The user ----------------------------------------------------------------------------------------------------


def test_a_typed_line_is_answered_with_the_words_it_acts_on() -> None:
    offer = ask(Proposals, opening(), "please use beta up to two, and no rotary")
    assert "beta_two" in operators(offer) and "beta_two" in offer.to_person and "rotary" in offer.to_person


def test_a_line_without_words_of_the_grammar_is_answered_honestly() -> None:
    offer = ask(Proposals, opening(), "the weather is fine")
    assert "recognised no word" in offer.to_person and "search" in offer.to_person


@pytest.mark.parametrize("question", ["what is the weather like?", "why do you not try a short convolution?"])
def test_a_question_is_answered_as_one_and_orders_nothing(question: str) -> None:
    """It was told that no word of it was known, which of a short convolution is not true."""
    offer = ask(Proposals, opening(), question)
    assert "answer no questions" in offer.to_person and "/propose" in offer.to_person
    mixed = ask(Proposals, opening(), f"{question} use beta up to two")
    assert "beta_two" in mixed.to_person and "answer no questions" not in mixed.to_person


def test_a_handed_over_hypothesis_is_followed() -> None:
    offer = ask(Proposals, opening(proposals=("a long convolution beside the delta rule",)))
    assert {"long_conv", "delta_rule"} & operators(offer) and "long_conv" in offer.to_person


def test_a_line_is_answered_once_and_still_weighs() -> None:
    first = ask(Proposals, opening(), "use beta up to two")
    assert ask(Critique, opening(), "use beta up to two", first).to_person == ""
    second = ask(Proposals, opening(), "use beta up to two", first, OBJECTION)
    assert second.to_person == "" and "beta_two" in operators(second)


def test_what_was_said_in_an_earlier_stage_still_weighs() -> None:
    assert "beta_two" in operators(ask(Proposals, opening(said=("use beta up to two",))))


def test_a_line_to_the_critic_makes_it_object_until_the_wish_is_met() -> None:
    first = ask(Proposals, opening())
    critique = ask(Critique, opening(), first, known(first), "I want a long convolution")
    assert not critique.accept and critique.ground == "other" and "long_conv" in critique.to_person
    revised = ask(Proposals, opening(), first, known(first), "I want a long convolution", critique)
    assert "long_conv" in operators(revised)


def test_a_line_to_the_engineer_changes_the_file() -> None:
    code = ask(Code, accepted_as(ask(Proposals, opening())), "use rope")
    genome = genome_of(code.source)
    assert genome is not None and "rotary" in operators_in(genome) and "rotary" in code.to_person


# Critic ------------------------------------------------------------------------------------------------------


def test_the_critic_accepts_what_nothing_speaks_against_and_leaves_the_forecast_to_the_record() -> None:
    offer = ask(Proposals, opening())
    critique = ask(Critique, opening(), offer, known(offer))
    assert critique.accept and critique.ground == "none" and "parameters" in critique.reason
    assert critique.prediction is None  # it would be the Researcher's once more


def test_the_critic_names_what_was_tried() -> None:
    offer = ask(Proposals, opening())
    critique = ask(Critique, opening(tried_plans=(plan_of(offer),)), offer)
    assert not critique.accept and critique.ground == "novelty"


def twin(kind: str) -> Newness:
    return Newness(nearest=(Precedent(key="c1-4", kind=kind, name="gdn_x", similarity=0.99),))


def test_the_critic_believes_memory_about_own_twins_and_not_about_papers() -> None:
    offer = ask(Proposals, opening())
    critique = ask(Critique, opening(), offer, known(offer, twin("analysis")))
    assert critique.ground == "novelty" and "c1-4" in critique.reason
    assert ask(Critique, opening(), offer, known(offer, twin("cognition"))).accept


def test_the_critic_refuses_what_lost_against_its_parents_again_and_again() -> None:
    offer = ask(Proposals, opening())
    lost_before = Precedent(key="c1-2", kind="analysis", name="loser", relevance=1.0)
    dead = DeadEnd(lost=(lost_before,), posterior=Posterior(mean=-0.3, error=0.05, count=4.0))
    assert ask(Critique, opening(), offer, known(offer, dead_end=dead)).accept  # the record does not say so
    inherited = {o for name in ("gated_delta", "ssd") for o in operators_in(BASELINES[name])}
    record = {o: OperatorFacts(tried=5, mean_effect=-0.3) for o in operators(offer)}
    record |= {o: OperatorFacts(tried=50, mean_effect=0.0) for o in inherited}
    critique = ask(Critique, opening(operators=record), offer, known(offer, dead_end=dead))
    assert critique.ground == "contradiction" and "5 times" in critique.reason and "c1-2" in critique.reason


def test_the_critic_refuses_what_the_record_expects_to_lose_unless_the_user_wants_it() -> None:
    offer = ask(Proposals, opening())
    base = BASELINES[{"b-gated_delta_net": "gated_delta", "b-mamba2": "ssd"}[offer.ideas[0].base]]
    new = sorted({*operators(offer)} - {*operators_in(base)})
    assert new, "the proposal puts something in"

    def record(effect: float, sd: float = 0.02) -> dict[str, OperatorFacts]:
        return {o: OperatorFacts(tried=2, mean_effect=effect, sd=sd) for o in new}

    def answer(*heard: Any, **facts: Any) -> Critique:
        return ask(Critique, opening(**facts), offer, *heard, known(offer))

    losing = answer(operators=record(-0.2), scatter=0.02)
    assert not losing.accept and losing.ground == "contradiction" and "expected to lose" in losing.reason
    assert new[0] in losing.reason
    assert answer(operators=record(0.2), scatter=0.02).accept
    assert answer(operators=record(-0.2, sd=2.0), scatter=0.02).accept, "what is not known is no reason"
    assert answer(operators={}, scatter=0.02, adding=-0.2).accept, "what nobody tried is neutral"
    assert answer(f"please try {new[0].replace('_', ' ')}", operators=record(-0.2), scatter=0.02).accept


def test_the_critic_calls_too_many_parameters_unfair() -> None:
    big = '{"paths":[{"family":"gla"},{"family":"long_conv"},{"family":"ssd"}],"router":"hierarchical","gate":"full"}'
    offer = with_plan(ask(Proposals, opening()), big)
    critique = ask(Critique, opening(), offer, known(offer))
    assert not critique.accept and critique.ground == "unfair" and "parameters" in critique.reason


# Engineer and Debugger -----------------------------------------------------------------------------------------


def test_the_engineer_writes_the_plan() -> None:
    offer = ask(Proposals, opening())
    code = ask(Code, accepted_as(offer))
    assert genome_of(code.source) == from_json(plan_of(offer)) and offer.ideas[0].name in code.source


def test_a_hypothesis_in_prose_is_never_guessed_into_a_file() -> None:
    prose = with_plan(ask(Proposals, opening()), "", family="delta", change="Add rotary positions to DeltaNet.")
    with pytest.raises(ModelReplyInvalid, match="search"):
        ask(Code, accepted_as(prose))


@pytest.mark.parametrize("gate", ["finite", "complexity", "dtype", "novelty", "dead_parameters", "shape", "parameters"])
def test_the_debugger_changes_the_file_until_nothing_is_left(gate: str) -> None:
    offer = ask(Proposals, opening())
    source = ask(Code, accepted_as(offer)).source
    seen = {source}
    for attempt in range(1, 26):
        fix = ask(Fix, accepted_as(offer), refused(source, gate, attempt=attempt))
        if fix.give_up:
            break
        assert fix.source not in seen and gate in fix.diagnosis and genome_of(fix.source) is not None and fix.learned
        seen.add(source := fix.source)
        if gate == "novelty":
            break
    else:
        pytest.fail("it never ended")


def test_the_debugger_gives_up_on_a_file_that_it_did_not_write() -> None:
    fix = ask(Fix, opening(), refused("class Mixer: ...", "import"))
    assert fix.give_up and "grammar" in fix.diagnosis


# Analyst -----------------------------------------------------------------------------------------------------


def number(metric: str, value: float, steps: int = 100) -> Measurement:
    return Measurement(metric=metric, value=value, rung=2, seed=0, steps=steps, learning_rate=0.01)


def gained(value: float) -> Effects:
    effect = Effect(rival="b-mamba2", value=value, standard_error=0.02, steps=100, text="screen", seeds=1)
    return Effects(parent=effect)


def test_the_analyst_names_numbers_rivals_and_noise() -> None:
    offer = ask(Proposals, opening())
    results = Results(
        measurements=(number("bits_per_byte", 2.61), number("overwrite_recall", 0.46, steps=400)),
        baselines={
            "gated_delta_net": (number("bits_per_byte", 2.58), number("overwrite_recall", 0.999, steps=400)),
            "linear": (number("bits_per_byte", 3.0),),
        },
    )
    report = ask(Report, accepted_as(offer), results)
    assert "2.610" in report.seen and "0.030 worse than the best baseline gated_delta_net at 2.580" in report.seen
    assert "shows no cause" in report.why and "noise" in report.why and "unsolved" in report.why
    assert any("0.46" in symptom for symptom in report.symptoms) and report.next
    assert report.expected == offer.ideas[0].predicted_effect


@pytest.mark.parametrize("value, word", [(0.069, "+0.069"), (0.01, "may be noise"), (-0.2, "-0.200")])
def test_the_lesson_is_about_the_change_against_its_parent(value: float, word: str) -> None:
    offer = ask(Proposals, opening())
    source = ask(Code, accepted_as(offer)).source
    results = Results(measurements=(number("bits_per_byte", 2.61),), effects=gained(value), source=source)
    report = ask(Report, accepted_as(offer), results)
    assert word in report.lesson and "b-mamba2" in report.lesson and "b-mamba2" in report.seen
    assert ("fresh seeds" in report.next) == (value > 0)


@pytest.mark.parametrize("name", ["retention", "gla", "gated_delta", "delta", "ssd"])
def test_the_analyst_speaks_of_the_mixer_that_ran_and_not_of_the_plan(name: str) -> None:
    """The Debugger took a part out: the planned mixer was never measured, and nothing was predicted of the other."""
    plan = BASELINES[name]
    offer = with_plan(ask(Proposals, opening()), plan.to_json())
    forecast = Forecast(author="Researcher", effect=0.05, low=0.0, high=0.1)
    stage = accepted_as(offer)
    assert stage.context.hypothesis is not None
    stage = changed(stage, hypothesis=replace(stage.context.hypothesis, forecasts=(forecast,)))
    source = ask(Code, accepted_as(offer)).source
    fix = ask(Fix, stage, refused(source, "finite"))
    assert not fix.give_up and was_changed(plan.to_json(), fix.source) and not was_changed(plan.to_json(), source)
    numbers: dict[str, Any] = {"measurements": (number("bits_per_byte", 2.61),), "effects": gained(-0.2)}
    numbers["baselines"] = {"gated_delta_net": (number("bits_per_byte", 2.58),)}
    told, as_planned = (ask(Report, stage, Results(source=s, **numbers)) for s in (fix.source, source))
    assert f"The mixer had {', '.join(operators_of(fix.source))}." in told.why
    assert "changed before it ran" in told.why and "Predicted was" not in told.why
    assert "Predicted was" in as_planned.why and f"had {', '.join(operators_of(source))}." in as_planned.why


def test_the_analyst_does_not_call_an_unknown_metric_better() -> None:
    def measured(metric: str, value: float) -> Measurement:
        return Measurement(metric=metric, value=value, rung=2, seed=0)

    results = Results(
        measurements=(measured("combined_score", 0.5), measured("valid", 0.0)),
        baselines={"start": (measured("combined_score", 1.0), measured("valid", 1.0))},
    )
    report = ask(Report, opening(task=TaskCard(name="program:x", metric=COMBINED_SCORE)), results)
    assert "valid 0.00 (one seed), 1.00 lower than start at 1.00" in report.seen
    assert "0.50 worse than the best baseline start" in report.seen
    assert any("combined_score is 0.50 behind the best baseline" in symptom for symptom in report.symptoms)


@given(st.floats(1e-9, 1e9), st.floats(1.0001, 3.0))
def test_what_the_analyst_says_of_a_score_of_any_size_can_be_read(value: float, factor: float) -> None:
    """With three decimals a score of 1.661e-06 was 0.000, and so was what it was ahead by."""
    mine = Compared(metric="score", value=value * factor, steps=0, seeds=1, rival="start", reference=value, gain=value)
    numbers = [float(n.replace(",", "")) for n in re.findall(r"(?<![\w.])[\d,]*\d\.?\d*(?:e[+-]\d+)?", str(mine))]
    assert len(numbers) == 3 and all(numbers) and numbers[0] > numbers[2]
    assert float(mine.scale.signed(mine.gain).replace(",", "")) > 0


def test_the_analyst_explains_a_failure() -> None:
    gate = GateResult(name="finite", passed=False, value=1.0, limit=0.0, message="NaN in the loss")
    results = Results(failure="gate finite: NaN", gates=(gate,))
    report = ask(Report, accepted_as(ask(Proposals, opening())), results)
    assert "gate finite: NaN" in report.seen and any("finite" in symptom for symptom in report.symptoms)
    assert "refused by gate finite" in report.lesson


def test_the_analyst_has_words_for_nothing_at_all() -> None:
    report = ask(Report, opening(), Results(failure="nothing was agreed"))
    assert "nothing was agreed" in report.seen and report.expected


def test_the_record_forecasts_what_it_knows_and_stays_silent_about_the_rest() -> None:
    from move37.agents.record import forecast
    from move37.lab.principles import OperatorRecord, Trial

    trials = [
        Trial(
            experiment=f"c1-{n}",
            family="gla",
            gained=frozenset({"rotary"}),
            lost=frozenset(),
            effect=0.05,
            standard_error=0.02,
        )
        for n in range(6)
    ]
    record = OperatorRecord(trials, 0.02)
    found = forecast(record, ["rotary"], [], "gla")
    assert found is not None and found.author == "record" and 0.03 < found.effect < 0.05
    assert found.high - found.low > 2 * 1.28 * 0.02 and forecast(record, ["short_conv"], [], "gla") is None
