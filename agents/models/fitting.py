"""Data as a form wants it: what a model wrote in another shape is put right, what it did not say is not guessed. Pure.

keys        in another case or spelling; one wrapper or several around the object; the items without their list
values      null for a field that may be left out, a number or a list as text, text as a list, True as "true", other
            letters' case, a text or a list that is too long
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from move37.agents.models.lenient import strict

DEEPEST = 4  # wrappers around wrappers
ROUNDS = 6  # of mending: each may bring out what stood behind
_ALSO = {  # names that models give to a field
    "source": ("code", "python", "python_code", "source_code", "program", "script"),
    "ideas": ("proposals", "hypotheses"),
}


def fitted(value: Any, form: type[BaseModel]) -> tuple[BaseModel | None, str]:
    """`value`, or what it wraps, as the form; or what is wrong with `value` itself."""
    try:
        return _fitted(value, form, 0)
    except RecursionError:  # json reads what is nested deeper than anything of ours walks
        return None, "it is nested too deeply"


def _fitted(value: Any, form: type[BaseModel], depth: int) -> tuple[BaseModel | None, str]:
    problem = f"the object has none of the fields {', '.join(form.model_fields)}"
    if isinstance(value, Mapping):
        named = _renamed(value, form)
        if named.keys() & form.model_fields.keys():  # where all may be left out, any would fit
            reply, problem = _mended(named, form)
            if reply is not None:
                return reply, ""
    if (reply := _as_item(value, form)) is not None:
        return reply, ""
    if depth < DEEPEST and isinstance(value, Mapping | list):
        inside = list(value.values() if isinstance(value, Mapping) else value)
        for inner in reversed(inside):  # a draft stands before what it became
            unwrapped = _unwritten(inner) if isinstance(inner, str) else inner
            if isinstance(unwrapped, Mapping | list):
                reply, _ = _fitted(unwrapped, form, depth + 1)
                if reply is not None:
                    return reply, ""
    return None, problem


@lru_cache(maxsize=64)
def names_in(form: type[BaseModel]) -> frozenset[str]:
    """Every field's name, the forms inside it included."""
    found: set[str] = set()

    def walk(schema: Any) -> None:
        if isinstance(schema, Mapping):
            found.update(schema.get("properties", {}))
            for part in schema.values():
                walk(part)
        elif isinstance(schema, list):
            for part in schema:
                walk(part)

    walk(form.model_json_schema())
    return frozenset(found)


def _renamed(value: Mapping[str, Any], form: type[BaseModel]) -> dict[str, Any]:
    """The same with the form's names where a key is spelled in another way."""
    plain = {_plain(name): name for name in names_in(form)}

    def walk(part: Any) -> Any:
        if isinstance(part, Mapping):
            found = {key: walk(inner) for key, inner in part.items()}
            for key in list(found):
                name = plain.get(_plain(str(key)))
                if name is not None and name != key and name not in found:
                    found[name] = found.pop(key)
            return found
        return [walk(item) for item in part] if isinstance(part, list) else part

    named: dict[str, Any] = walk(value)
    for name, others in _ALSO.items():
        if name in form.model_fields and name not in named:
            other = next((key for key in named if _plain(str(key)) in map(_plain, others)), None)
            if other is not None:
                named[name] = named.pop(other)
    return named


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", re.sub(r"\(.*\)", "", name)).lower()


def _as_item(value: Any, form: type[BaseModel]) -> BaseModel | None:
    """A form that is a list of objects, from the objects themselves."""
    lists = [(name, item) for name, field in form.model_fields.items() if (item := _item(field.annotation))]
    if len(lists) != 1 or not isinstance(value, Mapping | list) or not value:
        return None
    (name, item), several = lists[0], value if isinstance(value, list) else [value]
    if not all(isinstance(one, Mapping) for one in several):
        return None
    needed = {_plain(key) for key, field in item.model_fields.items() if field.is_required()}
    if not needed or any(needed - {_plain(str(key)) for key in one} for one in several):
        return None
    return _mended(_renamed({name: several}, form), form)[0]


def _item(annotation: Any) -> type[BaseModel] | None:
    item = next(iter(get_args(annotation)), None) if get_origin(annotation) is list else None
    return item if isinstance(item, type) and issubclass(item, BaseModel) else None


def _unwritten(text: str) -> Any:
    """An object that was written into a string."""
    return strict(text) if text.strip()[:1] in ("{", "[") else None


def _mended(value: Any, form: type[BaseModel]) -> tuple[BaseModel | None, str]:
    problem = ""
    for attempt in range(ROUNDS):
        try:
            return form.model_validate(value), ""
        except ValidationError as error:
            problem = problem or "; ".join(_clause(item) for item in error.errors()[:5])
            value = copy.deepcopy(value) if attempt == 0 else value
            changed = [_mend(value, item) for item in error.errors()]
            if not any(changed):
                break
    return None, problem


def _clause(item: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"]) or "the reply"
    return f"{where}: {item['msg']}"


def _mend(root: Any, error: Any) -> bool:
    """Put right what one complaint is about, in place; whether anything changed."""
    holder, key = _holder(root, error["loc"])
    if holder is None:
        return False
    value = holder[key]
    if value is None and error["type"] != "literal_error":
        if isinstance(holder, list):
            return False
        del holder[key]  # as good as not said
        return True
    mender = _MENDERS.get(error["type"])
    new = value if mender is None else mender(value, error.get("ctx") or {})
    if new is value or (new == value and type(new) is type(value)):
        return False
    holder[key] = new
    return True


def _holder(root: Any, loc: tuple[Any, ...]) -> tuple[Any, Any]:
    """The container and the key that a complaint is about; names of a union's members are passed over."""
    holder, key, at = None, None, root
    for step in loc:
        inside = isinstance(at, dict) and step in at
        if inside or (isinstance(at, list) and isinstance(step, int) and step < len(at)):
            holder, key, at = at, step, at[step]
    return (holder, key) if holder is not None and loc and key in (loc[-1], *loc[-2:-1]) else (None, None)


def _text(value: Any, _: Mapping[str, Any]) -> Any:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return "\n".join(map(str, value))
    if isinstance(value, dict) and value and all(isinstance(item, str | int | float) for item in value.values()):
        return "; ".join(f"{key}: {item}" for key, item in value.items())
    return value


def _listed(value: Any, _: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        parts = [part.strip() for part in re.split(r"[,;\n]", value) if part.strip()]
        return parts if all(re.fullmatch(r"\S+", part) for part in parts) else [value]
    if isinstance(value, dict):
        inner = list(value.values())
        return inner if inner and all(isinstance(item, dict) for item in inner) else [value]
    return value


def _one_of(value: Any, context: Mapping[str, Any]) -> Any:
    expected = re.findall(r"'([^']*)'", str(context.get("expected", "")))
    said = [_plain(str(value)), _plain(re.split(r"[:(,;–—]|\s-\s", str(value))[0])]  # or the word, and why
    return next((one for one in expected if one and _plain(one) in said), value)


def _number(value: Any, _: Mapping[str, Any]) -> Any:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"[~≈\s]*([+−-]?\d*\.?\d+(?:[eE][+-]?\d+)?)[\sA-Za-z/]*", value)
    return float(found[1].replace("−", "-")) if found else value


def _within(value: Any, context: Mapping[str, Any]) -> Any:
    most = context.get("max_length")
    if not isinstance(most, int) or most < 2:
        return value
    if isinstance(value, str):
        words = value[: most - 1].rsplit(None, 1)[0] if " " in value[: most - 1] else value[: most - 1]
        return f"{words.rstrip()}…" if " " in value else value[:most]
    return value[:most] if isinstance(value, list) else value


_MENDERS: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "string_type": _text,
    "string_unicode": lambda value, _: str(value).encode("utf-8", "replace").decode(),
    "list_type": _listed,
    "literal_error": _one_of,
    "float_parsing": _number,
    "string_too_long": _within,
    "too_long": _within,
}
