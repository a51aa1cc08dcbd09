"""What a plan of the grammar says, for whoever is no part of the search: its form, what is wrong with one, its file.

The form is made from the grammar's own dataclasses and from what it accepts, so that a field that is added there is
offered here without a word: `plan_form` is what a reply is checked with, `plan_schemas` (JSON schemas in which each
family has the values that are valid and matter for it) what a model is shown and may be held to.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, create_model

from move37.agents.search.codegen import emit, genome_of
from move37.agents.search.grammar import BASELINES, FAMILIES, MAX_PATHS, Genome, Path, faults, from_json, operators_in

CODE_GENERATOR = "the code generator, from the Researcher's plan"  # signs a file that no model wrote
LARGEST = 256  # of a whole number in the grammar; larger values are not looked for
MOST_LISTED = 12  # values that a schema lists one by one


def operators_of_plan(plan: str) -> tuple[str, ...]:
    """Operators of the mixer that a plan describes; none when it is no plan of the grammar."""
    genome = from_json(plan) if plan else None
    return operators_in(genome) if genome is not None else ()


def family_of_plan(plan: str) -> str:
    """The family as the lab calls it; "" when it is no plan of the grammar."""
    genome = from_json(plan) if plan else None
    return genome.family if genome is not None else ""


def file_of_plan(plan: str, *, name: str, motivation: str) -> str | None:
    """The Python file of a plan; None when it is no plan of the grammar."""
    genome = from_json(plan) if plan else None
    return emit(genome, name=name, motivation=motivation) if genome is not None else None


def plan_of_file(source: str, *, family: str, is_baseline: bool) -> str:
    """The plan behind a file of ours or of a baseline; "" for any other."""
    genome = genome_of(source) or (BASELINES.get(family) if is_baseline else None)
    return genome.to_json() if genome is not None else ""


def canonical_plan(plan: str) -> str:
    """The one spelling of a valid plan; any other text as it is."""
    genome = from_json(plan)
    return genome.to_json() if genome is not None else plan


def problem_of_plan(plan: str) -> str:
    """What is wrong with a plan, in clauses that name the field; "" when it is a mixer of the grammar."""
    if from_json(plan) is not None:
        return ""
    try:
        said = plan_form().model_validate_json(plan)
    except ValidationError as error:
        return "; ".join(f"{_place(e['loc'])}: {e['msg'][:1].lower()}{e['msg'][1:]}" for e in error.errors()[:4])
    genome = _genome(said.model_dump())
    if found := faults(genome):
        return "; ".join(found)
    return "; ".join(_odd_values(genome)) or "these values do not go together"


# The form -------------------------------------------------------------------------------------------------------


@cache
def plan_form() -> type[BaseModel]:
    """The grammar as a pydantic model: the same fields and defaults, nothing else is taken."""
    return _form(Genome)


def _form(kind: type) -> type[BaseModel]:
    hints = get_type_hints(kind)
    made: dict[str, Any] = {f.name: (_typed(hints[f.name]), _default(f)) for f in fields(kind)}
    return create_model(f"{kind.__name__}Plan", __config__=ConfigDict(extra="forbid"), **made)


def _default(field: Any) -> Any:
    if field.default_factory is not MISSING:
        return Field(default_factory=field.default_factory)
    return ... if field.default is MISSING else field.default


def _typed(hint: Any) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return _form(hint)
    if get_origin(hint) is tuple:
        return list[_typed(get_args(hint)[0])]  # type: ignore[misc]
    return Annotated[hint, Strict()] if hint in (bool, int) else hint  # "yes" and 2.0 are not guessed at


def _genome(data: Mapping[str, Any]) -> Genome:
    return Genome(**{**data, "paths": tuple(Path(**path) for path in data["paths"])})


# The schema: what is valid, asked of the grammar itself ---------------------------------------------------------


@cache
def plan_schemas() -> Mapping[str, Any]:
    """JSON schemas by name: "plan", and "path" to which it refers as #/$defs/path.

    A plan has one form for each number of paths, a path one for each family. A value is in it where it is never invalid
    for that number or family, and changes the mixer of at least one. What stands between two paths is left to be
    checked (`problem_of_plan`).
    """
    forms = []
    for count in range(1, MAX_PATHS + 1):
        found = _object(Genome, _starts(count), lambda genome: genome, lambda genome: genome)
        paths = {"type": "array", "items": {"$ref": "#/$defs/path"}, "minItems": count, "maxItems": count}
        found["properties"] = {"paths": paths, **found["properties"]}
        found["required"] = ["paths", *found["required"]]
        forms.append(found)
    return {
        "plan": {"anyOf": forms, "description": _comments(Genome)},
        "path": {"anyOf": [_path_schema(family) for family in FAMILIES], "description": _comments(Path)},
    }


def _path_schema(family: str) -> dict[str, Any]:
    found = _object(Path, [_seed(family)], lambda path: Genome(paths=(path,)), lambda genome: genome.paths[0])
    found["properties"] = {"family": {"const": family}, **found["properties"]}
    found["required"] = ["family", *found["required"]]
    return found


def _starts(count: int) -> list[Genome]:
    """A valid genome of so many paths for each family that the first of them may have."""
    found = []
    for place in range(len(FAMILIES)):
        paths = tuple(_seed(FAMILIES[(place + k) % len(FAMILIES)]) for k in range(count))
        found += [g for g in _near(Genome(paths=paths)) if _read(g) is not None][:1]
    return found


def _object(kind: type, seeds: Sequence[Any], whole: Any, part: Any) -> dict[str, Any]:
    """Each field with the values that no seed forbids and at least one keeps, where these are not its default alone."""
    hints = get_type_hints(kind)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for f in fields(kind):
        values = _values(hints[f.name]) if f.default is not MISSING else None
        kept = [v for v in values or () if _allowed(f.name, v, seeds, whole, part)]
        if kept and kept != [f.default]:
            properties[f.name] = _enumerated(kept)
            required += [f.name] if f.default not in kept else []
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _allowed(name: str, value: Any, seeds: Sequence[Any], whole: Any, part: Any) -> bool:
    read = [_read(whole(replace(seed, **{name: value}))) for seed in seeds]
    return None not in read and any(getattr(part(genome), name) == value for genome in read)


def _enumerated(values: Sequence[Any]) -> dict[str, Any]:
    if len(values) > MOST_LISTED:
        return {"type": "integer", "minimum": min(values), "maximum": max(values)}
    return {"enum": list(values)}


def _comments(kind: type) -> str:
    """What stands behind each field in the grammar's source, for who reads the schema."""
    found = re.findall(r"^    (\w+): [^#\n]*#\s*(.+)$", inspect.getsource(kind), re.MULTILINE)
    return "; ".join(f"{name}: {words}" for name, words in found)


@cache
def _seed(family: str) -> Path:
    """A valid path of the family: the plain one, or the nearest to it that the grammar takes."""
    plain = Path(family=family)  # type: ignore[arg-type]
    found: Path = next(p for p in _near(plain) if _read(Genome(paths=(p,))) is not None)
    return found


def _near(start: Any) -> Iterator[Any]:
    """It, then everything that differs from it in one field that has a default."""
    yield start
    hints = get_type_hints(type(start))
    for f in fields(start):
        for value in _values(hints[f.name]) or () if f.default is not MISSING else ():
            if value != getattr(start, f.name):
                yield replace(start, **{f.name: value})


def _read(genome: Genome) -> Genome | None:
    return from_json(genome.to_json())


def _values(hint: Any) -> Sequence[Any] | None:
    """Every value of a field's type; None where they cannot be counted."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return (False, True) if hint is bool else range(LARGEST + 1) if hint is int else None


def _odd_values(genome: Genome) -> Iterator[str]:
    """Values that are all that is wrong, each named with its place."""
    for one in _near(genome):
        if _read(one) is not None:
            yield _difference(genome, one, "")
            return
    for place, path in enumerate(genome.paths):
        for other in _near(path):
            paths = (*genome.paths[:place], other, *genome.paths[place + 1 :])
            if _read(replace(genome, paths=paths)) is not None:
                yield _difference(path, other, f"paths.{place}.")
                return


def _difference(mine: Any, other: Any, where: str) -> str:
    name = next(f.name for f in fields(mine) if getattr(mine, f.name) != getattr(other, f.name))
    return f"{where}{name} cannot be {getattr(mine, name)!r}"


def _place(where: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in where) or "the plan"
