"""The grammar as JSON schemas: values that are valid and matter, asked of the grammar itself.

`plan_schemas` is what a model is shown and may be held to; plans.py checks what comes back.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, replace
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from move37.agents.search.genome import (
    FAMILIES,
    FEWEST_TAPS,
    MAX_PATHS,
    MOST_TAPS,
    PLACES,
    STREAMS,
    Feeds,
    Genome,
    Mix,
    Path,
    SmallBlock,
    Stream,
)
from move37.agents.search.grammar import from_json

LARGEST = 256  # of a whole number in the grammar; larger values are not looked for
MOST_LISTED = 12  # values that a schema lists one by one


@cache
def plan_schemas() -> Mapping[str, Any]:
    """JSON schemas by name: "plan", and those to which it refers as #/$defs/NAME.

    A plan has one form for each number of paths, a path one for each family. A value is in it where it is never invalid
    for that number or family, and changes the mixer of at least one. Rules over several
    paths are not in the schema; `problem_of_plan` checks them.
    """
    forms = []
    for count in range(1, MAX_PATHS + 1):
        found = _object(Genome, _starts(count), lambda genome: genome, lambda genome: genome)
        paths = {"type": "array", "items": {"$ref": "#/$defs/path"}, "minItems": count, "maxItems": count}
        parts = {"paths": paths, "streams": _several("stream", len(STREAMS)), "around": _several("around", len(PLACES))}
        found["properties"] = {**parts, **found["properties"]}
        found["required"] = ["paths", *found["required"]]
        forms.append(found)
    inner = {name: values for name, values in forms[0]["properties"].items() if name not in ("around", "passes")}
    streams = [_stream_schema(mix) for mix in get_args(Mix) if mix != "none"]
    around = {"place": {"enum": list(PLACES)}, "block": {"$ref": "#/$defs/block"}}
    return {
        "plan": {"anyOf": forms, "description": _comments(Genome)},
        "path": {"anyOf": [_path_schema(family) for family in FAMILIES], "description": _comments(Path)},
        "stream": {"anyOf": streams, "description": _comments(Stream)},
        "around": {
            "type": "object", "properties": {**around, "feeds": {"enum": list(get_args(Feeds))}},
            "required": list(around), "additionalProperties": False, "description": _comments(SmallBlock),
        },
        "block": {**forms[0], "properties": inner},
    }  # fmt: skip


def _several(name: str, most: int) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/$defs/{name}"}, "minItems": 0, "maxItems": most}


def _stream_schema(mix: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": {"enum": list(STREAMS)}, "mix": {"const": mix}}
    if mix == "conv":
        found["taps"] = {"enum": list(range(FEWEST_TAPS, MOST_TAPS + 1))}
    return {"type": "object", "properties": found, "required": list(found), "additionalProperties": False}


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
        found += [g for g in near(Genome(paths=paths)) if valid(g) is not None][:1]
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
    read = [valid(whole(replace(seed, **{name: value}))) for seed in seeds]
    return None not in read and any(getattr(part(genome), name) == value for genome in read)


def _enumerated(values: Sequence[Any]) -> dict[str, Any]:
    if len(values) > MOST_LISTED:
        return {"type": "integer", "minimum": min(values), "maximum": max(values)}
    return {"enum": list(values)}


def _comments(kind: type) -> str:
    """The comment behind each field in genome.py: the field's description in the schema."""
    found = re.findall(r"^    (\w+): [^#\n]*#\s*(.+)$", inspect.getsource(kind), re.MULTILINE)
    return "; ".join(f"{name}: {words}" for name, words in found)


@cache
def _seed(family: str) -> Path:
    """A valid path of the family: the default one, or the nearest valid one."""
    plain = Path(family=family)  # type: ignore[arg-type]
    found: Path = next(p for p in near(plain) if valid(Genome(paths=(p,))) is not None)
    return found


def near(start: Any) -> Iterator[Any]:
    """It, then everything that differs from it in one field that has a default."""
    yield start
    hints = get_type_hints(type(start))
    for f in fields(start):
        for value in _values(hints[f.name]) or () if f.default is not MISSING else ():
            if value != getattr(start, f.name):
                yield replace(start, **{f.name: value})


def valid(genome: Genome) -> Genome | None:
    return from_json(genome.to_json())


def _values(hint: Any) -> Sequence[Any] | None:
    """Every value of a field's type; None where they cannot be counted."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return (False, True) if hint is bool else range(LARGEST + 1) if hint is int else None
