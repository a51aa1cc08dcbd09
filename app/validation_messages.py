"""What pydantic says about a setting -> one line that names the place where the user wrote it. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from move37.app.wrong_use import plain


def one_line(
    error: ValidationError,
    flags: Mapping[str, Any],
    file: Path,
    *,
    variables: Container[str],
    keys: type[BaseModel],
    sections: Mapping[str, type[BaseModel]],
) -> str:
    """The first complaint, with the place where the user wrote the value.

    `variables` are the names in the environment, which alone tell a misspelt variable from a misspelt key.
    """
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    name = path[0] if path else "settings"
    variable = f"MOVE37_{'__'.join(path).upper()}"
    section = sections.get(name)
    if first["type"] == "extra_forbidden":
        known = (section if section is not None and len(path) > 1 else keys).model_fields
        key = f"{file} has an unknown key {'.'.join(path)!r}"
        place = f"the environment has an unknown {variable}" if variable in variables else key
        return f"{place}: known are {', '.join(sorted(known))}"
    place = f"--{path[-1].replace('_', '-')}" if name in flags else f"{'.'.join(path)} ({variable} or {file})"
    if section is not None and len(path) == 1:
        return f"{place}: {first['input']!r} cannot be used: write a table [{name}]"
    found = (section or keys).model_fields.get(path[-1])
    choices = _words(found.annotation) if found is not None and first["type"] == "literal_error" else ()
    reason = f"choose one of {', '.join(choices)}" if choices else _reason(first)
    return f"{place}: {first['input']!r} cannot be used: {reason}"


def _words(annotation: Any) -> tuple[str, ...]:
    """The words of a Literal, alone or beside None."""
    inner = [a for a in get_args(annotation) if a is not type(None)]
    return tuple(inner) if all(isinstance(a, str) for a in inner) else sum(map(_words, inner), ())


def _reason(first: Any) -> str:
    message = plain(str(first["msg"]))
    return message[0].lower() + message[1:]
