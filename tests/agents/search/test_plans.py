"""The form of a plan is the grammar's own: what it shows is valid, what the grammar takes it takes, nothing else."""

from __future__ import annotations

import json
from dataclasses import fields
from random import Random
from typing import Any

import pytest

from move37.agents.search import plans
from move37.agents.search.genome import FAMILIES, MAX_PATHS, Genome, Path, genome_from
from move37.agents.search.grammar import BASELINES, from_json
from move37.agents.search.plan_schema import plan_schemas
from tests.agents.search.genomes import a_genome

BETWEEN = ("two paths of one family", "one stream is treated twice", "two blocks in one place")


def drawn(schema: Any, rng: Random) -> Any:
    """Any value of a schema, as decoding that is held to it may end."""
    if "$ref" in schema:
        return drawn(plan_schemas()[schema["$ref"].rpartition("/")[2]], rng)
    if "anyOf" in schema:
        return drawn(rng.choice(schema["anyOf"]), rng)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    if schema["type"] == "array":
        return [drawn(schema["items"], rng) for _ in range(rng.randint(schema["minItems"], schema["maxItems"]))]
    if schema["type"] == "integer":
        return rng.randint(schema["minimum"], schema["maximum"])
    wanted = schema["properties"].items()
    return {name: drawn(one, rng) for name, one in wanted if name in schema["required"] or rng.random() < 0.6}


def test_whatever_one_path_the_schema_allows_the_grammar_takes_as_it_stands() -> None:
    rng = Random(0)
    single = plan_schemas()["plan"]["anyOf"][0]
    for _ in range(150):
        plan = drawn(single, rng)
        problem, genome = plans.problem_of_plan(json.dumps(plan)), from_json(json.dumps(plan))
        if problem and all(part.endswith(BETWEEN) for part in problem.split("; ")):
            continue  # what a schema cannot say of two members of one list
        assert genome is not None and problem == "", plan
        for name, value in plan["paths"][0].items():
            if name in ("rotary", "tree") and genome.paths[0].steps > 1:
                continue  # several steps of a token have no positions, and are no tokens of a bucket
            assert getattr(genome.paths[0], name) == value, (name, plan)


def test_of_several_paths_only_what_stands_between_them_is_left_to_be_told() -> None:
    rng = Random(1)
    told = set()
    for form in plan_schemas()["plan"]["anyOf"][1:]:
        for _ in range(300):
            told.add(plans.problem_of_plan(json.dumps(drawn(form, rng))))
    assert all(part.endswith(BETWEEN) for text in told if text for part in text.split("; "))


def test_every_family_and_number_of_paths_has_its_form() -> None:
    schemas = plan_schemas()
    assert [f["properties"]["family"]["const"] for f in schemas["path"]["anyOf"]] == list(FAMILIES)
    assert [f["properties"]["paths"]["minItems"] for f in schemas["plan"]["anyOf"]] == list(range(1, MAX_PATHS + 1))


def test_the_form_has_the_fields_of_the_grammar_and_no_other() -> None:
    form = plans.plan_form()
    assert list(form.model_fields) == [f.name for f in fields(Genome)]
    path = form.model_json_schema()["$defs"]["PathPlan"]
    assert list(path["properties"]) == [f.name for f in fields(Path)] and path["additionalProperties"] is False


@pytest.mark.parametrize("genome", [*BASELINES.values(), *(a_genome(n) for n in range(40))], ids=lambda g: g.family)
def test_every_mixer_of_the_grammar_passes_and_keeps_its_plan(genome: Genome) -> None:
    plan = genome.to_json()
    assert plans.problem_of_plan(plan) == "" and from_json(plans.canonical_plan(plan)) == from_json(plan)
    said = plans.plan_form().model_validate_json(plan).model_dump()
    assert genome_from(said) == from_json(plan)


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        ("", "the plan: invalid JSON"),
        ("[]", "the plan: input should be an object"),
        ("{}", "paths: field required"),
        ('{"paths":[{"family":"gla"}],"conv":"yes"}', "conv: "),
        ('{"paths":[{"family":"gla","heads":4}]}', "paths.0.heads: extra"),
        ('{"paths":[{"family":"delta","norm":"l2","beta":7}]}', "paths.0.beta cannot be 7"),
        ('{"paths":[{"family":"gla","beta":-1}]}', "paths.0.beta cannot be -1"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(plan: str, word: str) -> None:
    assert word in plans.problem_of_plan(plan)
    assert plans.file_of_plan(plan, name="x", motivation="") is None and plans.operators_of_plan(plan) == ()


def test_a_file_gives_its_plan_back_and_a_foreign_one_none() -> None:
    plan = BASELINES["gla"].to_json()
    source = plans.file_of_plan(plan, name="gated", motivation="a test")
    assert source is not None and plans.plan_of_file(source, family="gla", is_baseline=False) == plan
    assert plans.plan_of_file("class Mixer: ...", family="gla", is_baseline=True) == plan
    assert plans.plan_of_file("class Mixer: ...", family="gla", is_baseline=False) == ""
