"""Which role has which model: "openai:NAME", or "researcher=anthropic:NAME,default=openai:NAME". Pure, and cheap.

"hybrid:URI" is short for "researcher=URI,default=designer": the model proposes plans of the grammar, the search does
the rest. Read `assigned`. A name may hold commas and equals signs (a recording's path does): only a role's name before
an equals sign begins another entry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from move37.agents.errors import BadModel
from move37.agents.roles import MEMBERS

ROLES = tuple(member.name for member in MEMBERS)
DEFAULT = "default"
SEARCH = "designer"
OVER_MCP = "seat (over MCP)"  # how a client of `move37 mcp` signs
HYBRID = "hybrid:"
SHOWN = "researcher=openai:NAME,default=designer"
_WORDS = "|".join([*(role.lower() for role in ROLES), DEFAULT])
_ENTRY = re.compile(rf"(?:^|,)\s*({_WORDS})\s*=", re.I)
_NO_COMMA = re.compile(rf"[\s;|&]+({_WORDS})\s*=", re.I)
_LIKE_ENTRY = re.compile(r"(?:^|,)\s*([A-Za-z_]+)\s*=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Role -> model URI, every role in it."""

    models: Mapping[str, str]

    @property
    def uris(self) -> tuple[str, ...]:
        """Each model once, in the order of the roles."""
        return tuple(dict.fromkeys(self.models.values()))


def _proposing(text: str) -> str:
    uri = text.removeprefix(HYBRID).strip()
    if not uri or uri.startswith(HYBRID) or _ENTRY.match(uri):
        raise BadModel("hybrid: needs one model that proposes: write hybrid:local:NAME or hybrid:openai:NAME")
    if uri == SEARCH:
        raise BadModel("hybrid:designer is the search alone: write designer")
    return uri


def assigned(text: str) -> Assignment:
    """Take a `--model` apart. Roles that it does not name have its default, else the search. Raises `BadModel`."""
    if (odd := _NO_COMMA.search(text.strip())) and not text[: odd.start()].rstrip().endswith(","):
        raise BadModel(f"commas part the roles in --model: write one before {odd[1]}=, as in {SHOWN}")
    if text.strip().startswith(HYBRID):
        return Assignment(models=dict.fromkeys(ROLES, SEARCH) | {ROLES[0]: _proposing(text.strip())})
    places = list(_ENTRY.finditer(text))
    if not places or places[0].start() != 0:
        if (odd := _LIKE_ENTRY.match(text)) and ":" not in text[: odd.end()]:
            raise BadModel(f"there is no role {odd[1]!r}: name {', '.join(r.lower() for r in ROLES)} or default")
        return Assignment(models=dict.fromkeys(ROLES, text.strip()))
    found: dict[str, str] = {}
    for place, after in zip(places, [*places[1:], None], strict=True):
        role, uri = place[1].lower(), text[place.end() : after.start() if after else len(text)].strip()
        if not uri:
            raise BadModel(f"{role}= names no model: write {role}=openai:NAME")
        if role in found:
            raise BadModel(f"{role}= stands twice in --model: name it once")
        if odd := re.search(r",\s*([A-Za-z_]+)=(?=\w+:|designer)", uri):
            raise BadModel(f"there is no role {odd[1]!r}: name {', '.join(r.lower() for r in ROLES)} or default")
        found[role] = uri
    rest = found.get(DEFAULT, SEARCH)
    return Assignment(models={role: found.get(role.lower(), rest) for role in ROLES})
