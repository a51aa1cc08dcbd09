"""The designer at the table: each role's answer, heard as AutoGen agents would hear it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from autogen_core.models import AssistantMessage, LLMMessage, SystemMessage, UserMessage
from pydantic import BaseModel

from move37.agents.dossier import Dossier, block
from move37.agents.errors import ModelReplyInvalid
from move37.agents.models import open_model, signature
from move37.agents.models.designer import researcher
from move37.agents.models.designer.emit import genome_of
from move37.agents.models.designer.grammar import BASELINES, from_json, operators_in
from move37.agents.replies import Code, Critique, Fix, Proposal, Report
from move37.lab import baselines


def opening(**changes: Any) -> Dossier:
    facts: dict[str, Any] = {
        "task": "mixers",
        "seed": 1,
        "number": 2,
        "direction": "",
        "metric": "bits_per_byte",
        "higher_is_better": False,
        "parents": [parent("gated_delta_net"), parent("mamba2")],
        "recollections": [],
        "operators": {},
        "tried_plans": [],
        "person": [],
    }
    return Dossier(**(facts | changes))  # type: ignore[typeddict-item]


def parent(name: str) -> dict[str, Any]:
    return {
        "id": f"b-{name}",
        "role": "baseline",
        "family": baselines.FAMILIES[name],
        "name": name,
        "source": baselines.source(name),
        "value": 2.5,
        "effect": 0.0,
    }


def lab(dossier: Dossier) -> UserMessage:
    return UserMessage(content=f"The stage opens.\n\n{block(dossier)}", source="Lab")


def person(text: str) -> UserMessage:
    return UserMessage(content=text, source="person")


def heard(source: str, reply: BaseModel) -> UserMessage:
    return UserMessage(content=reply.model_dump_json(), source=source)


def own(source: str, reply: BaseModel) -> AssistantMessage:
    return AssistantMessage(content=reply.model_dump_json(), source=source)


async def ask(form: type[Any], *messages: LLMMessage) -> Any:
    result = await open_model("designer").create([SystemMessage(content="You are."), *messages], json_output=form)
    assert result.usage.prompt_tokens == result.usage.completion_tokens == 0
    return form.model_validate_json(str(result.content))


def written(proposal: Proposal) -> Dossier:
    return Dossier(hypothesis=asdict(proposal.hypothesis()))


OBJECTION = Critique(accept=False, ground="contradiction", reason="it failed twice")


def test_it_signs_as_a_search() -> None:
    assert signature(open_model("designer")) == "designer (evolutionary search, no language model)"


async def test_it_does_not_chat() -> None:
    with pytest.raises(ModelReplyInvalid, match="search"):
        await open_model("designer").create([person("tell me a story")])


# Researcher --------------------------------------------------------------------------------------------------


async def test_a_repeated_stage_repeats_its_proposal_and_another_experiment_does_not() -> None:
    first = await ask(Proposal, lab(opening()))
    assert await ask(Proposal, lab(opening())) == first
    assert (await ask(Proposal, lab(opening(number=3)))).plan != first.plan
    assert (await ask(Proposal, lab(opening(seed=5)))).plan != first.plan


async def test_a_proposal_is_a_valid_untried_mixer_with_its_reasons() -> None:
    proposal = await ask(Proposal, lab(opening()))
    genome = from_json(proposal.plan)
    assert genome is not None and genome not in BASELINES.values()
    assert proposal.family == genome.family and not proposal.drop and proposal.to_person == ""
    again = await ask(Proposal, lab(opening(tried_plans=[proposal.plan])))
    assert again.plan != proposal.plan


async def test_what_memory_returned_is_cited_when_it_bears_on_the_change() -> None:
    paper = {"key": "2411.12537", "kind": "cognition", "title": "Negative eigenvalues", "text": "", "operators": []}
    for number in range(8):
        bearing = paper | {"operators": ["beta_two", "qk_rmsnorm", "rotary", "residual_path"]}
        two_insights = [bearing, bearing | {"text": "another insight of the same paper"}]
        proposal = await ask(Proposal, lab(opening(number=number, recollections=two_insights)))
        gained = set(operators_in(from_json(proposal.plan)))  # type: ignore[arg-type]
        if proposal.cites:
            assert proposal.cites == ["2411.12537"]
            assert proposal.motivation.count("[2411.12537] Negative eigenvalues") == 1
            assert gained & {*bearing["operators"]}
            break
    else:
        pytest.fail("advice that fits was never used in eight experiments")
    assert (await ask(Proposal, lab(opening(recollections=[paper])))).cites == []


async def test_children_are_bred_from_the_genomes_of_their_parents() -> None:
    proposal = await ask(Proposal, lab(opening()))
    code = await ask(Code, lab(opening()), heard("Researcher", proposal), lab(written(proposal)))
    child = parent("gated_delta_net") | {"id": "e1", "role": "candidate", "name": "a child", "source": code.source}
    following = await ask(Proposal, lab(opening(number=9, parents=[child, parent("mamba2")])))
    assert "a child" in following.change or "mamba2" in following.change


async def test_parents_that_cannot_be_read_are_left_out() -> None:
    stranger = parent("gla") | {"role": "candidate", "source": "class Mixer: ..."}
    proposal = await ask(Proposal, lab(opening(parents=[stranger])))
    assert from_json(proposal.plan) is not None


async def test_an_objection_leads_to_another_mixer_without_what_was_objected_to() -> None:
    first = await ask(Proposal, lab(opening()))
    second = await ask(Proposal, lab(opening()), own("Researcher", first), heard("Critic", OBJECTION))
    assert not second.drop and second.plan != first.plan
    assert "objection on contradiction" in second.motivation


async def test_repeated_objections_lead_to_a_withdrawal() -> None:
    messages: list[LLMMessage] = [lab(opening())]
    for _ in range(3):
        proposal = await ask(Proposal, *messages)
        assert not proposal.drop
        messages += [own("Researcher", proposal), heard("Critic", OBJECTION)]
    assert (await ask(Proposal, *messages)).drop


# The person --------------------------------------------------------------------------------------------------


async def test_a_typed_line_is_answered_with_the_words_it_acts_on() -> None:
    proposal = await ask(Proposal, lab(opening()), person("please use beta up to two, and no rotary"))
    assert "beta_two" in operators_in(from_json(proposal.plan))  # type: ignore[arg-type]
    assert "beta_two" in proposal.to_person and "rotary" in proposal.to_person


async def test_a_line_without_words_of_the_grammar_is_answered_honestly() -> None:
    proposal = await ask(Proposal, lab(opening()), person("what is the weather like?"))
    assert "recognised no word" in proposal.to_person and "search" in proposal.to_person


async def test_a_handed_over_hypothesis_is_followed() -> None:
    proposal = await ask(Proposal, lab(opening(person=["a long convolution beside the delta rule"])))
    assert {"long_conv", "delta_rule"} & {*operators_in(from_json(proposal.plan))}  # type: ignore[arg-type]
    assert "long_conv" in proposal.to_person


async def test_a_line_is_answered_once_and_still_weighs() -> None:
    first = await ask(Proposal, lab(opening()), person("use beta up to two"))
    messages = [lab(opening()), person("use beta up to two"), heard("Researcher", first)]
    assert (await ask(Critique, *messages)).to_person == ""
    second = await ask(
        Proposal, lab(opening()), person("use beta up to two"), own("Researcher", first), heard("Critic", OBJECTION)
    )
    assert second.to_person == "" and "beta_two" in operators_in(from_json(second.plan))  # type: ignore[arg-type]


async def test_a_line_to_the_critic_makes_it_object_until_the_wish_is_met() -> None:
    first = await ask(Proposal, lab(opening()))
    critique = await ask(Critique, lab(opening()), heard("Researcher", first), person("I want a long convolution"))
    assert not critique.accept and critique.ground == "other" and "long_conv" in critique.to_person
    revised = await ask(
        Proposal,
        lab(opening()),
        own("Researcher", first),
        person("I want a long convolution"),
        heard("Critic", critique),
    )
    assert "long_conv" in operators_in(from_json(revised.plan))  # type: ignore[arg-type]


async def test_a_line_to_the_engineer_changes_the_file() -> None:
    proposal = await ask(Proposal, lab(opening()))
    code = await ask(Code, lab(opening()), heard("Researcher", proposal), lab(written(proposal)), person("use rope"))
    genome = genome_of(code.source)
    assert genome is not None and "rotary" in operators_in(genome) and "rotary" in code.to_person


async def test_nobody_but_the_lab_can_forge_a_dossier() -> None:
    forged = UserMessage(content=block(opening(seed=99)), source="Researcher")
    assert await ask(Proposal, lab(opening()), forged) == await ask(Proposal, lab(opening()))


# Critic ------------------------------------------------------------------------------------------------------


async def test_the_critic_accepts_what_nothing_speaks_against() -> None:
    proposal = await ask(Proposal, lab(opening()))
    critique = await ask(Critique, lab(opening()), heard("Researcher", proposal))
    assert critique.accept and critique.ground == "none" and "parameters" in critique.reason


async def test_the_critic_names_what_was_tried() -> None:
    proposal = await ask(Proposal, lab(opening()))
    critique = await ask(Critique, lab(opening(tried_plans=[proposal.plan])), heard("Researcher", proposal))
    assert not critique.accept and critique.ground == "novelty"


async def test_the_critic_believes_memory_about_own_twins_and_dead_ends() -> None:
    proposal = await ask(Proposal, lab(opening()))
    own_twin = Dossier(newness="Known already.", newness_similarity=0.99, nearest_own="c1-4")
    critique = await ask(Critique, lab(opening()), heard("Researcher", proposal), lab(own_twin))
    assert critique.ground == "novelty" and "c1-4" in critique.reason
    paper = Dossier(newness="Known already.", newness_similarity=0.99, nearest_own="")
    assert (await ask(Critique, lab(opening()), heard("Researcher", proposal), lab(paper))).accept
    dead = Dossier(dead_end="3 like it failed, nearest c1-2", dead_end_evidence=0.9)
    assert (await ask(Critique, lab(opening()), heard("Researcher", proposal), lab(dead))).accept  # words alone
    lost = {o: {"tried": 5, "mean_effect": -0.3} for o in operators_in(from_json(proposal.plan))}  # type: ignore[arg-type]
    lost |= {o: {"tried": 50, "mean_effect": 0.0} for o in operators_in(BASELINES["gated_delta"])}
    critique = await ask(Critique, lab(opening(operators=lost)), heard("Researcher", proposal), lab(dead))
    assert critique.ground == "contradiction" and "c1-2" in critique.reason


async def test_the_critic_calls_too_many_parameters_unfair() -> None:
    big = '{"paths":[{"family":"gla"},{"family":"long_conv"},{"family":"ssd"}],"router":"hierarchical","gate":"full"}'
    proposal = (await ask(Proposal, lab(opening()))).model_copy(update={"plan": big})
    critique = await ask(Critique, lab(opening()), heard("Researcher", proposal))
    assert not critique.accept and critique.ground == "unfair" and "parameters" in critique.reason


# Engineer and Debugger -----------------------------------------------------------------------------------------


async def test_the_engineer_writes_the_plan() -> None:
    proposal = await ask(Proposal, lab(opening()))
    code = await ask(Code, lab(opening()), heard("Researcher", proposal), lab(written(proposal)))
    assert genome_of(code.source) == from_json(proposal.plan)
    assert proposal.name in code.source


async def test_a_hypothesis_in_prose_is_written_by_the_words_it_holds_or_not_at_all() -> None:
    proposal = await ask(Proposal, lab(opening()))
    prose = proposal.model_copy(update={"plan": "", "family": "delta", "change": "Add rotary positions to DeltaNet."})
    code = await ask(Code, lab(written(prose)))
    genome = genome_of(code.source)
    assert genome is not None and {"delta_rule", "rotary"} <= {*operators_in(genome)} and "words" in code.notes
    vague = prose.model_copy(update={"family": "other", "name": "an_idea", "change": "Make it better somehow."})
    with pytest.raises(ModelReplyInvalid, match="search"):
        await ask(Code, lab(written(vague)))


def refused(source: str, *gates: str) -> Dossier:
    facts = [{"name": g, "passed": False, "value": 1.0, "limit": 0.0, "message": "no", "traceback": ""} for g in gates]
    return Dossier(source=source, attempt=1, gates=facts)  # type: ignore[typeddict-item]


@pytest.mark.parametrize("gate", ["finite", "complexity", "dtype", "novelty", "dead_parameters", "shape", "parameters"])
async def test_the_debugger_changes_the_file_until_nothing_is_left(gate: str) -> None:
    proposal = await ask(Proposal, lab(opening()))
    source = (await ask(Code, lab(written(proposal)))).source
    seen = {source}
    for _ in range(25):
        fix = await ask(Fix, lab(written(proposal)), lab(refused(source, gate)))
        if fix.give_up:
            break
        assert fix.source not in seen and gate in fix.diagnosis and genome_of(fix.source) is not None
        seen.add(source := fix.source)
        if gate == "novelty":
            break
    else:
        pytest.fail("it never ended")


async def test_the_debugger_gives_up_on_a_file_that_it_did_not_write() -> None:
    fix = await ask(Fix, lab(refused("class Mixer: ...", "import")))
    assert fix.give_up and "grammar" in fix.diagnosis


# Analyst -----------------------------------------------------------------------------------------------------


def number(metric: str, value: float, **changes: Any) -> dict[str, Any]:
    plain = {"metric": metric, "value": value, "rung": 2, "seed": 0, "steps": 100, "learning_rate": 0.01}
    return plain | {"fresh": False, "diverged": False, "train_seconds": 1.0} | changes


async def test_the_analyst_names_numbers_rivals_and_noise() -> None:
    proposal = await ask(Proposal, lab(opening()))
    results = Dossier(
        hypothesis=asdict(proposal.hypothesis()),
        measurements=[number("bits_per_byte", 2.61), number("overwrite_recall", 0.46, steps=400)],
        baseline_measurements={
            "gated_delta_net": [number("bits_per_byte", 2.58), number("overwrite_recall", 0.999, steps=400)],
            "linear": [number("bits_per_byte", 3.0)],
        },
        effect=-0.03,
        failure="",
        gates=[],
    )
    report = await ask(Report, lab(opening()), lab(results))
    assert "2.610" in report.seen and "0.030 worse than the best baseline gated_delta_net at 2.580" in report.seen
    assert "shows no cause" in report.why and "noise" in report.why and "unsolved" in report.why
    assert any("0.46" in symptom for symptom in report.symptoms) and report.next
    assert report.expected == proposal.predicted_effect


async def test_the_analyst_does_not_call_an_unknown_metric_better() -> None:
    def measured(metric: str, value: float) -> dict[str, Any]:
        return {"metric": metric, "value": value, "seed": 0, "steps": 0, "fresh": False, "diverged": False}

    results = Dossier(
        task="program",
        metric="combined_score",
        higher_is_better=True,
        measurements=[measured("combined_score", 0.5), measured("valid", 0.0)],
        baseline_measurements={"start": [measured("combined_score", 1.0), measured("valid", 1.0)]},
    )
    report = await ask(Report, lab(results))
    assert "valid 0.000 (one seed), 1.000 lower than start at 1.000" in report.seen
    assert "0.500 worse than the best baseline start" in report.seen
    assert any("combined_score is 0.500 behind the best baseline" in symptom for symptom in report.symptoms)


async def test_the_analyst_explains_a_failure() -> None:
    proposal = await ask(Proposal, lab(opening()))
    gate = {
        "name": "finite",
        "passed": False,
        "value": 1.0,
        "limit": 0.0,
        "message": "NaN in the loss",
        "traceback": "",
    }
    results = Dossier(
        hypothesis=asdict(proposal.hypothesis()), measurements=[], failure="gate finite: NaN", gates=[gate]
    )  # type: ignore[typeddict-item]
    report = await ask(Report, lab(opening()), lab(results))
    assert "gate finite: NaN" in report.seen and any("finite" in symptom for symptom in report.symptoms)


async def test_the_analyst_has_words_for_nothing_at_all() -> None:
    report = await ask(Report, lab(Dossier(failure="nothing was agreed")))
    assert "nothing was agreed" in report.seen and report.expected


def test_own_analyses_speak_by_their_effect_and_by_what_they_say_to_try_next() -> None:
    def advised(**changes: Any) -> dict[str, float]:
        facts = {"key": "c1-1", "kind": "analysis", "title": "x", "text": "", "operators": ["output_gate"]}
        facts |= {"next": "", "status": "measured", "effect": None}
        return dict(researcher.advice([facts | changes]))  # type: ignore[list-item]

    assert advised(effect=0.03)["output_gate"] > 1.0 > advised(effect=-0.03)["output_gate"]
    assert advised(status="failed")["output_gate"] < 1.0
    assert advised(next="try a short_conv before the keys")["short_conv"] > 1.0
    assert "short_conv" not in advised()
