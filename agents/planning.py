"""The hybrid: a language model as Researcher that may answer with a plan of the grammar, which we turn into code.

`plans_of` says whether a campaign offers plans. `PlanningClient` wraps a Researcher's client: it asks for
proposals whose `plan` is an object of the grammar, and returns the usual ones, with the plan as canonical JSON. Plans
are never parsed out of prose. Errors in a plan are told to the Researcher by precedents.py.
A model whose decoding is held to a schema gets what it can name as a list, with plans or without: a small one would
name nothing, or what does not exist.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Annotated, Any, Literal

from annotated_types import MaxLen
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage
from pydantic import Field, ValidationError, create_model

from move37.agents.models.client import ClientWrapper, JsonOutput
from move37.agents.replies import MOST_IDEAS, Proposal, Proposals
from move37.agents.research_context import Plans, ResearchContext
from move37.agents.roles import Scientist
from move37.agents.search.plan_schema import plan_schemas
from move37.agents.search.plans import canonical_plan, family_of_plan, plan_form, problem_of_plan
from move37.lab.tasks.registry import kind_of

LONGEST_WORDS = 240  # characters of a text beside a plan: under constrained decoding a small model may not stop
MOST_CITED = 3
NO_PLAN = "it has no plan, and the Engineer is a search that writes nothing from prose: give one of the grammar"


def plans_of(scientists: Mapping[str, Scientist], *, task: str, wanted: bool) -> Plans:
    """Whether plans are offered to the Researcher: always where the Engineer is the search, else where `wanted`."""
    if kind_of(task).writes != "grammar" or not scientists["Researcher"].uses_language:
        return "no"
    if not scientists["Engineer"].uses_language:
        return "must"
    return "may" if wanted else "no"


def complaint(idea: Proposal, plans: Plans) -> str:
    """What is wrong with the plan of an idea, for its author; "" where it is valid, or none was asked for. Pure."""
    if plans == "no":
        return ""
    if not idea.plan:
        return NO_PLAN if plans == "must" else ""
    problem = problem_of_plan(idea.plan)
    return f"its plan is no mixer of the grammar: {problem}" if problem else ""


class PlanningClient(ClientWrapper):
    """A Researcher's client: asks for proposals in the form that the context which was `read` allows."""

    def __init__(self, inner: ChatCompletionClient) -> None:
        super().__init__(inner)
        self._form: type[Proposals] = Proposals

    def read(self, context: ResearchContext) -> None:
        """Later calls use this context."""
        self._form = proposals_form(context, held=self.holds_form)

    async def create(
        self, messages: Sequence[LLMMessage], *, json_output: JsonOutput = None, **arguments: Any
    ) -> CreateResult:
        """The inner client's answer, its plans as canonical JSON text."""
        if json_output is not Proposals or self._form is Proposals:
            return await self.inner.create(messages, json_output=json_output, **arguments)
        result = await self.inner.create(messages, json_output=self._form, **arguments)
        if not isinstance(result.content, str):  # calls of tools
            return result
        return result.model_copy(update={"content": as_proposals(result.content, self._form).model_dump_json()})


def as_proposals(text: str, form: type[Proposals]) -> Proposals:
    """A reply with plans as objects as a usual one; recordings of campaigns without plans hold usual ones already."""
    try:
        said = form.model_validate_json(text).model_dump()
    except ValidationError:
        return Proposals.model_validate_json(text)
    for idea in said["ideas"]:
        idea["plan"] = canonical_plan(json.dumps(idea["plan"])) if idea["plan"] else ""
        idea["family"] = family_of_plan(idea["plan"]) or idea["family"] or "other"
    return Proposals.model_validate(said)


def proposals_form(context: ResearchContext, *, held: bool = False) -> type[Proposals]:
    """`Proposals`, with plans as objects where they are offered; where one is needed, or decoding is `held` to the
    schema, what can be named is listed, and texts have an end.
    """
    if context.plans == "no" and not held:
        return Proposals
    must = context.plans == "must"
    listed = must or held
    plan: Any = (Literal[""], "")
    if context.plans != "no":
        told = "the whole mixer in the grammar; it is turned into code as it stands"
        plan = (plan_form(), Field(description=told)) if must else (plan_form() | None, Field(None, description=told))
    changes: dict[str, Any] = {"plan": plan}
    if listed:
        changes |= {name: (str, _ending(f)) for name, f in Proposal.model_fields.items() if _is_endless(name, f)}
        if must:
            changes["family"] = (str, Field("", max_length=20, description="leave empty: the plan says it"))
        bases = tuple(dict.fromkeys(_bases(context)))
        changes |= {"base": (Literal[bases], Field(description="the one that this changes"))} if bases else {}
        changes["cites"] = (list[Annotated[str, MaxLen(LONGEST_WORDS)]], Field([], max_length=MOST_CITED))
        changes["second"] = (Literal[""], "")
        changes["idea"] = (Literal[("", *(i.id for i in context.pool))], "")
    idea = create_model("PlannedProposal", __base__=Proposal, __doc__=Proposal.__doc__, **changes)
    most = min(context.ideas_wanted, MOST_IDEAS)
    ideas = (list[idea], Field(min_length=1, max_length=most, description="the best one first"))  # type: ignore[valid-type]
    form: type[Proposals] = create_model(
        "PlannedProposals",
        __base__=Proposals if context.plans == "no" else _Shown,
        __doc__=Proposals.__doc__,
        ideas=ideas,
        to_person=(str, Field("", max_length=LONGEST_WORDS if listed else None)),
    )
    return form


class _Shown(Proposals):
    """Proposals whose schema has the grammar's own of a plan."""

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As pydantic's, with the values that are valid in place of those that can be written."""
        schema = super().model_json_schema(*args, **kwargs)
        ours, name = plan_schemas(), plan_form().__name__
        kept = {n: found for n, found in schema["$defs"].items() if not n.endswith("Plan")}
        return schema | {"$defs": {**kept, **ours, name: ours["plan"]}}


def _is_endless(name: str, field: Any) -> bool:
    return field.annotation is str and name != "plan" and not any(isinstance(m, MaxLen) for m in field.metadata)


def _ending(field: Any) -> Any:
    found = copy(field)
    found.metadata = [*field.metadata, MaxLen(LONGEST_WORDS)]
    return found


def _bases(context: ResearchContext) -> list[str]:
    rows = [row for rows in context.leaderboard.values() for row in rows]
    named = [*(p.id for p in context.parents), *(row.experiment for row in rows)]
    return [ident for ident in named if ident not in context.ruled_out]
