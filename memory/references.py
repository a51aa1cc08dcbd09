"""Lists of references beside BibTeX: RIS (EndNote, Zotero, publishers) and CSL-JSON (Zotero, Pandoc), pure."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from move37.memory.errors import UnknownFormat
from move37.memory.layout import ARXIV, PERSON
from move37.memory.records import Entry

# What RIS defines. One blank before the dash makes a tag of these alone: a line of text may begin with "RL - based".
_DEFINED = (
    "TY ER A[1-6] AB AD AN AU AV BT C[1-8] CA CN CP CT CY DA DB DO DP ED EP ET H[12] ID IS J[1-3] JA JF JO KW L[1-4] "
    "LA LB LK M[1-3] N[12] NV OP PB PP PY RI RN RP SE SN SO SP ST SV T[1-3] TA TI TT U[1-5] UR VL VO WP WT WV Y[12] YR"
)
_LINE = re.compile(
    rf"^[ \t]*((?:{_DEFINED.replace(' ', '|')})(?=[ \t])|[A-Z][A-Z0-9](?=[ \t]{{2}}))[ \t]{{1,2}}"
    r"[-\u2010-\u2014][ \t]?(.*)$"
)
_PUBMED = re.compile(
    r"^([A-Z]{2,4}) {0,2}- (.*)$"
)  # the tag is four signs wide, and an abstract's own words are indented
_TITLES = ("TI", "T1", "CT", "BT")
_BEGINS = ("TY", "PMID")  # of PubMed, which has no TY and no ER
_TAG = re.compile(r"<[^<>]+>")


def ris(key: str, text: str, name: str) -> tuple[tuple[Entry, ...], str]:
    """(one insight for each reference with a title, a sentence about the others or ""). Raises `UnknownFormat`."""
    return _all(key, name, "RIS", [_of_ris(fields) for fields in _references(text)])


def is_csl(text: str) -> bool:
    """Whether a JSON text is a list of CSL's items."""
    return bool(_items(text))


def csl(key: str, text: str, name: str) -> tuple[tuple[Entry, ...], str]:
    """As `ris`, of CSL-JSON."""
    return _all(key, name, "CSL", [_of_csl(item) for item in _items(text)])


def _all(key: str, name: str, kind: str, found: list[dict[str, str]]) -> tuple[tuple[Entry, ...], str]:
    titled = [fields for fields in found if fields["title"]]
    if not titled:
        raise UnknownFormat(f"{name} has no {kind} reference with a title.")
    entries = tuple(_entry(key, number, fields, name) for number, fields in enumerate(titled))
    lost = len(entries) < len(found)
    return entries, f"{len(entries)} of {len(found)} entries read; the others have no title" if lost else ""


def _entry(key: str, number: int, fields: Mapping[str, str], name: str) -> Entry:
    ids = ARXIV.search(f"{fields['ids']}")
    year = re.search(r"\d{4}", fields["year"])
    return Entry(
        key=key,
        number=number,
        origin=PERSON,
        title=fields["title"],
        name=fields["cite"],
        arxiv=ids[1] if ids else "",
        year=int(year[0]) if year else 0,
        insight=fields["abstract"]
        or " ".join(part for part in (fields["keywords"], fields["authors"]) if part)
        or fields["title"],
        source=f"{name}#{fields['cite']}" if fields["cite"] else name,
    )


def _references(text: str) -> Iterator[dict[str, list[str]]]:
    """Tag -> values of each reference, from its TY to its ER or the next TY; a line without a tag goes on."""
    fields: dict[str, list[str]] = {}
    last = ""
    tagged = _PUBMED if re.search(r"^PMID- ", text, re.MULTILINE) else _LINE
    for line in text.splitlines():
        found = tagged.match(line.strip("\ufeff"))
        if found and found[1] in (*_BEGINS, "ER"):
            if fields:
                yield fields
            fields, last = ({found[1]: [found[2].strip()]} if found[1] in _BEGINS else {}), ""
        elif found:
            last = found[1]
            fields.setdefault(last, []).append(found[2].strip())
        elif last and line.strip():
            fields[last][-1] += f" {line.strip()}"
    if fields:
        yield fields


def _of_ris(fields: Mapping[str, list[str]]) -> dict[str, str]:
    def first(*tags: str) -> str:
        return next((fields[tag][0] for tag in tags if fields.get(tag)), "")

    pubmed = "PMID" in fields
    places = [*fields.get("LID", []), *fields.get("AID", [])]  # "10.1000/182 [doi]", of PubMed
    doi = next((place.removesuffix("[doi]").strip() for place in places if place.endswith("[doi]")), "")
    headings = [heading.replace("*", "") for heading in fields.get("MH", [])]  # a star: what it is mostly about
    return {
        "title": _plain(first(*_TITLES)),
        "cite": first("ID", "DO", "AN") or doi or first("PMID"),
        "year": first("PY", "Y1", "DA", *(("DP",) if pubmed else ())),  # of RIS, DP is the database's provider
        "abstract": _plain(first("AB", "N2")),
        "keywords": ", ".join([*fields.get("KW", []), *fields.get("OT", []), *headings]),
        "authors": "; ".join([*fields.get("AU", []), *fields.get("A1", [])]),
        "ids": " ".join([*(first(tag) for tag in ("UR", "DO", "JO", "T2", "M1", "L1")), doi]),
    }


def _items(text: str) -> list[dict[str, Any]]:
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return []
    raw = raw.get("items", [raw]) if isinstance(raw, dict) else raw
    found = [item for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []
    marks = {"type", "issued", "author", "DOI", "URL", "container-title", "abstract"}
    return [item for item in found if isinstance(item.get("type"), str) and len(item.keys() & marks) > 1]


def _of_csl(item: Mapping[str, Any]) -> dict[str, str]:
    people = item.get("author") if isinstance(item.get("author"), list) else []
    issued = item.get("issued")
    return {
        "title": _plain(_said(item.get("title"))),
        "cite": _said(item.get("citation-key") or item.get("id")),
        "year": json.dumps(issued) if issued else "",
        "abstract": _plain(_said(item.get("abstract"))),
        "keywords": _said(item.get("keyword")),
        "authors": "; ".join(
            " ".join(_said(one.get(part)) for part in ("given", "family", "literal") if one.get(part))
            for one in people or []
            if isinstance(one, dict)
        ),
        "ids": " ".join(_said(item.get(part)) for part in ("URL", "DOI", "number", "note", "id")),
    }


def _said(value: Any) -> str:
    """Text; Crossref's lists of one text too, and numbers."""
    if isinstance(value, list):
        return " ".join(_said(part) for part in value)
    plain = isinstance(value, int | float) and math.isfinite(value)
    return value if isinstance(value, str) else str(value) if plain else ""


def _plain(text: str) -> str:
    return " ".join(html.unescape(_TAG.sub("", text)).split())
