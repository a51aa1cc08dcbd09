"""Plans of the grammar for other modules than the search: the form of a plan, its errors, and its file.

The form is derived from the grammar's dataclasses and from what it accepts, so that a new field there appears here:
`plan_form` is what a reply is checked with, `plan_schemas` (plan_schema.py) what a model is shown and may be held to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, create_model

from move37.agents.search.codegen import emit, genome_of
from move37.agents.search.genome import (
    Genome,
    genome_from,
)
from move37.agents.search.grammar import BASELINES, faults, from_json, operators_in
from move37.agents.search.plan_schema import near, valid

CODE_GENERATOR = "the code generator, from the Researcher's plan"  # signs a file that no model wrote
BLOCK = "BlockPlan"  # of a small block


def operators_of_plan(plan: str) -> tuple[str, ...]:
    """Operators of the mixer that a plan describes; none when it is no plan of the grammar."""
    genome = from_json(plan) if plan else None
    return operators_in(genome) if genome is not None else ()


def family_of_plan(plan: str) -> str:
    """The family as the lab calls it; "" when it is no plan of the grammar."""
    genome = from_json(plan) if plan else None
    return genome.family if genome is not None else ""


def family_of_file(source: str) -> str:
    """The family of a file that is a mixer of the grammar; "" for any other, whose author has to say it."""
    genome = genome_of(source)
    return genome.family if genome is not None else ""


def file_of_plan(plan: str, *, name: str, motivation: str) -> str | None:
    """The Python file of a plan; None when it is no plan of the grammar."""
    genome = from_json(plan) if plan else None
    return emit(genome, name=name, motivation=motivation) if genome is not None else None


def plan_of_file(source: str, *, family: str, is_baseline: bool) -> str:
    """The plan behind a file of ours or of a baseline; "" for any other."""
    genome = genome_of(source) or (BASELINES.get(family) if is_baseline else None)
    return genome.to_json() if genome is not None else ""


def was_changed(plan: str, source: str) -> bool:
    """Whether the file is a mixer of the grammar other than the plan's: the Debugger or a user's wish changed it."""
    written, planned = genome_of(source), from_json(plan) if plan else None
    return None not in (written, planned) and written != planned


def canonical_plan(plan: str) -> str:
    """A valid plan in canonical form; any other text unchanged."""
    genome = from_json(plan)
    return genome.to_json() if genome is not None else plan


def problem_of_plan(plan: str) -> str:
    """Errors of a plan, as clauses that name the field; "" when it is valid."""
    if from_json(plan) is not None:
        return ""
    try:
        said = plan_form().model_validate_json(plan)
    except ValidationError as error:
        return "; ".join(f"{_place(e['loc'])}: {e['msg'][:1].lower()}{e['msg'][1:]}" for e in error.errors()[:4])
    genome = genome_from(said.model_dump())
    if found := faults(genome):
        return "; ".join(found)
    return "; ".join(_odd_values(genome)) or "these values do not go together"


# The form -------------------------------------------------------------------------------------------------------


@cache
def plan_form() -> type[BaseModel]:
    """The grammar as a pydantic model: the same fields and defaults, nothing else is taken."""
    return _form(Genome, "GenomePlan")


@cache
def _form(kind: type, name: str) -> type[BaseModel]:
    hints = get_type_hints(kind)
    made: dict[str, Any] = {f.name: (_typed(hints[f.name]), _default(f)) for f in fields(kind) if not _outer(f, name)}
    return create_model(name, __config__=ConfigDict(extra="forbid"), **made)


def _outer(field: Any, form: str) -> bool:
    """Whether blocks around the main one lack this field."""
    return form == BLOCK and field.name in ("around", "passes")


def _default(field: Any) -> Any:
    if field.default_factory is not MISSING:
        return Field(default_factory=field.default_factory)
    if isinstance(field.default, tuple):
        return Field(default_factory=list)
    return ... if field.default is MISSING else field.default


def _typed(hint: Any) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return _form(hint, BLOCK if hint is Genome else f"{hint.__name__}Plan")
    if get_origin(hint) is tuple:
        return list[_typed(get_args(hint)[0])]  # type: ignore[misc]
    return Annotated[hint, Strict()] if hint in (bool, int) else hint  # "yes" and 2.0 are not guessed at


def _odd_values(genome: Genome) -> Iterator[str]:
    """Values that are all that is wrong, each named with its place."""
    for one in near(genome):
        if valid(one) is not None:
            yield _difference(genome, one, "")
            return
    for place, path in enumerate(genome.paths):
        for other in near(path):
            paths = (*genome.paths[:place], other, *genome.paths[place + 1 :])
            if valid(replace(genome, paths=paths)) is not None:
                yield _difference(path, other, f"paths.{place}.")
                return


def _difference(mine: Any, other: Any, where: str) -> str:
    name = next(f.name for f in fields(mine) if getattr(mine, f.name) != getattr(other, f.name))
    return f"{where}{name} cannot be {getattr(mine, name)!r}"


def _place(where: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in where) or "the plan"
