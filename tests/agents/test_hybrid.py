"""The hybrid over real HTTP: a model proposes plans of the grammar, and nothing is guessed where it does not.

Models that a grammar holds to the form are in tests/agents/models/test_local.py; the form is in search/test_plans.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from move37.agents import campaign
from move37.agents.context import CampaignContext
from move37.agents.language_model import LanguageModel
from move37.agents.limits import ConversationLimits
from move37.agents.models import ModelOptions, open_model, signature
from move37.agents.planning import as_proposals, proposals_form
from move37.agents.replies import Proposals
from move37.agents.roles import MEMBERS
from move37.agents.search import operators_of
from move37.agents.search.agent import SIGNATURE, Search
from move37.agents.search.codegen import genome_of
from move37.agents.search.plans import CODE_GENERATOR
from move37.lab.records import ExperimentStatus
from tests.agents.contexts import Arithmetic, a_context
from tests.agents.models.server import serving
from tests.agents.scripted import a_proposal
from tests.agents.search.views import opening
from tests.agents.test_learning import Script, candidates, role_of, text_of

PLAN = {"paths": [{"family": "gated_delta", "norm": "l2", "beta": 2}], "floor": "decay"}


def planned(plan: Any, **changes: Any) -> str:
    """A Researcher's answer as a model writes it: the plan is an object."""
    idea = a_proposal(**({"base": "c1-linear"} | changes)).model_dump() | {"plan": plan, "family": ""}
    return json.dumps({"ideas": [idea]})


def schema_of(request: dict[str, Any]) -> Any:
    """The form that the system message asks for: a model with tools is not held to it while it decodes."""
    return json.loads(str(request["messages"][0]["content"]).partition("this JSON schema:\n")[2])


@contextmanager
def a_hybrid(
    home: Path, *answers: Any, engineer: bool = False
) -> Iterator[tuple[CampaignContext, list[dict[str, Any]]]]:
    """One experiment whose Researcher gives these answers in turn, the last one for ever.

    The other roles are the search; or the same model, with `engineer`.
    """
    script = list(answers)
    server = Script(Researcher=lambda *_: script.pop(0) if len(script) > 1 else script[0])
    with serving(server) as (url, requests):
        client = open_model("openai:tiny", ModelOptions(base_url=url))
        model = LanguageModel(client, signature=signature(client))
        others: Any = model if engineer else Search()
        context, _ = a_context(
            home,
            budget=1,
            workers=1,
            task=Arithmetic(),
            operators_of=operators_of,
            scientists={m.name: model if m.name == "Researcher" else others for m in MEMBERS},
            limits=ConversationLimits(refusals_tried=0.0, plans=engineer),
        )
        yield context, requests


async def test_a_plan_becomes_the_file_and_the_search_is_the_rest(tmp_path: Path) -> None:
    with a_hybrid(tmp_path, planned(PLAN)) as (context, requests):
        await campaign.run(context)
    (experiment,) = candidates(context)
    assert experiment.status is not ExperimentStatus.FAILED and experiment.measurements
    assert experiment.candidate is not None and experiment.candidate.author == SIGNATURE
    genome = genome_of(experiment.candidate.source)
    assert genome is not None and genome.paths[0].beta == 2 and genome.floor == "decay"
    assert experiment.family == "gated_delta" and {role_of(r)[0] for r in requests} == {"Researcher"}
    assert "### c1-" in text_of(requests[0]) and "Plan: the grammar cannot say this file" not in text_of(requests[0])


async def test_the_schema_that_is_asked_with_is_the_grammars_and_lists_what_can_be_named(tmp_path: Path) -> None:
    with a_hybrid(tmp_path, planned(PLAN)) as (context, requests):
        await campaign.run(context)
    schema = schema_of(requests[0])
    idea = schema["$defs"]["PlannedProposal"]
    assert "plan" in idea["required"] and set(idea["properties"]["base"]["enum"]) <= {"c1-linear", "c1-gated_delta"}
    assert "c1-gated_delta" in idea["properties"]["base"]["enum"] and schema["properties"]["ideas"]["maxItems"] == 1
    families = [form["properties"]["family"]["const"] for form in schema["$defs"]["path"]["anyOf"]]
    assert "gated_delta" in families and len(set(families)) == len(families)


def test_a_model_that_is_held_to_its_form_can_name_only_what_there_is_without_plans_too() -> None:
    context = opening(plans="no").context
    form = proposals_form(context, held=True)
    schema = form.model_json_schema()
    idea = schema["$defs"]["PlannedProposal"]
    assert {p.id for p in context.parents} <= set(idea["properties"]["base"]["enum"]) and "base" in idea["required"]
    assert idea["properties"]["plan"] == {"const": "", "default": "", "title": "Plan", "type": "string"}
    assert set(schema["$defs"]) == {"PlannedProposal", "Prediction"}  # nothing of the grammar
    assert all("maxLength" in idea["properties"][name] for name in ("motivation", "change", "risk", "predicted_effect"))
    said = {"ideas": [a_proposal(base=context.parents[0].id).model_dump()]}
    (read,) = as_proposals(json.dumps(said), form).ideas
    assert read == a_proposal(base=context.parents[0].id)
    said["ideas"][0]["base"] = "c9-nobody"
    with pytest.raises(ValidationError):
        form.model_validate(said)
    assert proposals_form(context) is Proposals


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        ({"paths": [{"family": "gla"}, {"family": "gla"}], "router": "softmax"}, "two paths of one family"),
        ({"paths": [{"family": "gla"}, {"family": "ssd"}]}, "several paths need a router or a chain"),
        ({"paths": [{"family": "delta", "norm": "l2", "beta": 7}]}, "paths.0.beta cannot be 7"),
        ({"paths": [{"family": "softmax"}]}, "only inside a fixed window"),
        ({"paths": []}, "0 paths"),
    ],
)
async def test_a_plan_that_the_grammar_refuses_is_told_why(plan: Any, word: str, tmp_path: Path) -> None:
    with a_hybrid(tmp_path, planned(plan), planned(PLAN)) as (context, requests):
        await campaign.run(context)
    first, second = (text_of(r) for r in requests)
    assert word not in first and word in second and "its plan is no mixer of the grammar" in second
    assert candidates(context)[0].candidate is not None


@pytest.mark.parametrize(
    "bad",
    [
        planned("a gated delta rule with a beta up to two"),
        planned(None),
        planned({"paths": [{"family": "mamba3"}]}),
        planned({"paths": [{"family": "gla", "state": 4}]}),
        planned(PLAN, base="c1-nobody"),
        a_proposal().model_dump_json(),
        "I would try a gated delta rule.",
    ],
)
async def test_prose_is_never_guessed_into_a_plan(bad: str, tmp_path: Path) -> None:
    with a_hybrid(tmp_path, bad) as (context, requests):
        assert (await campaign.run(context)).status == "finished"
    (experiment,) = candidates(context)
    assert experiment.status is ExperimentStatus.FAILED and experiment.candidate is None
    assert experiment.reason and len(requests) == 3 and "did not validate" in text_of(requests[1])


async def test_with_a_language_model_as_engineer_a_plan_saves_its_turn(tmp_path: Path) -> None:
    with a_hybrid(tmp_path, planned(PLAN), engineer=True) as (context, requests):
        await campaign.run(context)
    (experiment,) = candidates(context)
    assert experiment.candidate is not None and experiment.candidate.author == CODE_GENERATOR
    assert genome_of(experiment.candidate.source) is not None
    assert {role_of(r)[0] for r in requests} >= {"Critic", "Analyst"} and "Engineer" not in {
        role_of(r)[0] for r in requests
    }
    assert any("is turned into code as it stands" in m.text for m in context.archive.lines(experiment.id))


async def test_a_hypothesis_without_a_plan_goes_on_to_the_engineer(tmp_path: Path) -> None:
    with a_hybrid(tmp_path, planned(None), engineer=True) as (context, requests):
        await campaign.run(context)
    (experiment,) = candidates(context)
    assert experiment.candidate is not None and experiment.candidate.source == "class Mixer:\n    floor = 1\n"
    assert [role_of(r)[0] for r in requests].count("Engineer") == 1


async def test_an_invalid_plan_is_told_with_a_language_model_as_engineer_too(tmp_path: Path) -> None:
    with a_hybrid(tmp_path, planned({"paths": [{"family": "delta"}]}), planned(None), engineer=True) as (
        context,
        asked,
    ):
        await campaign.run(context)
    researcher = [text_of(r) for r in asked if role_of(r)[0] == "Researcher"]
    assert "an erasing write needs keys of length one" in researcher[1]
    assert candidates(context)[0].candidate is not None


async def test_nobody_is_offered_plans_who_did_not_ask(tmp_path: Path) -> None:
    with a_hybrid(tmp_path, a_proposal(), engineer=True) as (context, requests):
        object.__setattr__(context.limits, "plans", False)
        await campaign.run(context)
    researcher = next(r for r in requests if role_of(r)[0] == "Researcher")
    assert schema_of(researcher)["title"] == "Proposals"
    assert "Leave `plan` empty." in text_of(researcher)
