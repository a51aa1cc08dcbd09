"""`CampaignView` -> one HTML page (styles, Plotly and figures are inside) or Markdown. Pure, but for `write_report`.

Foreign text is made harmless and escaped by the templates. Should that ever fail, the page's own policy lets no script
run but the two whose hashes it names, and lets nothing be fetched. Without scripts the page reads all the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from move37.app import templating
from move37.app.exits import EnvironmentFault
from move37.app.insight import of_home
from move37.app.units import spell_count, spell_moment, spell_seconds
from move37.app.views.campaign import CampaignView, caveat_of, view_of
from move37.app.views.charts import charts, places
from move37.app.views.conversation import utterances
from move37.app.views.evidence import claims_section
from move37.app.views.experiment import detail_of
from move37.app.views.foresight import foresight_section
from move37.app.views.ideas import pool_section
from move37.app.views.insight import as_markdown, growth_charts, insight_sections
from move37.app.views.leaderboard import board_of
from move37.app.views.missing import missing_notes
from move37.app.views.principles import principles_section
from move37.app.views.search import claim, gate_counts, outcomes, seconds_measured
from move37.app.views.shapes import Section
from move37.app.views.spending import spending_section
from move37.app.views.words import CAVEAT, ENDED, NOTES, value_text

if TYPE_CHECKING:
    from move37.agents.insight import ArchiveInsight
    from move37.lab.archive.store import Archive, Campaign


def write_report(archive: Archive, campaign: Campaign, path: Path, *, markdown: bool = False) -> Path:
    """Write the report of one campaign to `path`; returns its absolute path. Raises `EnvironmentFault`."""
    view = view_of(archive, campaign)
    insight, _ = of_home(archive, (), campaign.brief.task)
    text = markdown_of(view, insight) if markdown else html_of(view, insight)
    target = path.expanduser().absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not target.is_file() and not target.is_dir():  # a pipe or a device is written to
            target.write_text(text, encoding="utf-8")
            return target
        # Written beside and renamed, so that a reader never sees half a page; under a name of its own, because the
        # campaign and every terminal at it write the same report in the moment when it ends.
        real = target.resolve()
        half = real.with_name(f".{real.name}.{uuid4().hex}.half")
        try:
            half.write_text(text, encoding="utf-8")
            half.replace(real)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"the report cannot be written to {target} ({error.strerror}): choose another --out"
        ) from error
    return target


def html_of(view: CampaignView, insight: ArchiveInsight | None = None) -> str:
    """The whole page; with what the home's campaigns on this task teach together, where it is given."""
    drawn = [*charts(view), *(growth_charts(insight) if insight else ())]
    shown = places(drawn)
    narrow = [indices for indices in shown[1:] if not drawn[indices[0]].wide]
    scripts = [_plotly(), (templating.FOLDER / "boot.js").read_text(encoding="utf-8")] if drawn else []
    hashes = " ".join(f"'sha256-{_hash(s)}'" for s in scripts) or "'none'"
    shared = summary_of(view)
    board = shared["board"]
    found = {e.id: e for e in view.experiments}
    return (
        templating.html()
        .get_template("report.html")
        .render(
            shared,
            policy=f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
            "base-uri 'none'; form-action 'none'",
            style=templating.styles(),
            charts=drawn,
            places=shown,
            alone=narrow[-1] if len(narrow) % 2 else None,  # without a neighbour it takes the whole row
            figures=_json([c.figure for c in drawn]),
            scripts=scripts,
            details=[(detail_of(view, found[i]), utterances(view.lines.get(i, ()))) for i in board.order],
            values={
                p.experiment.id: value_text(p.summary, g.scale)[0] for g in reversed(board.groups) for p in g.places
            },
            insight=insight_sections(insight, view.metric) if insight else (),
            open_code=False,
            link="#",
        )
    )


def markdown_of(view: CampaignView, insight: ArchiveInsight | None = None) -> str:
    """The claim, the leaderboard, what was shortened, the gates, insight: for a note or a pull request."""
    text = templating.markdown().get_template("report.md").render(summary_of(view), gates=gate_counts(view.candidates))
    text += "\n" + as_markdown(insight_sections(insight, view.metric)) if insight else ""
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def summary_of(view: CampaignView) -> dict[str, Any]:
    """What report, Markdown and page say about the campaign as a whole, by the templates' names."""
    campaign, brief = view.campaign, view.campaign.brief
    when = spell_moment(campaign.started_at)
    versions = campaign.facts.get("versions")
    return {
        "campaign": campaign,
        "title": f"{brief.task} · {brief.preset} preset · model {brief.model} · seed {brief.seed} · begun {when} · "
        f"{campaign.status}",
        "cards": _cards(view),
        "claim": claim(view),
        "board": board_of(view.experiments, view.metric),
        "names": {e.id: e.name or e.id for e in view.experiments},
        "notes": (*NOTES, caveat_of(campaign) or CAVEAT, *missing_notes(campaign, view.experiments)),
        "shortened": view.shortened,
        "sections": [s for s in _sections(view) if s],
        "versions": ", ".join(f"{k} {v}" for k, v in versions.items()) if isinstance(versions, dict) else "",
    }


def _sections(view: CampaignView) -> tuple[Section, ...]:
    claims = claims_section(view.experiments, view.metric)
    said = [message for lines in view.lines.values() for message in lines]
    foresight = foresight_section(view.experiments, view.metric, earlier=tuple(view.ancestors.values()))
    pool, spent = pool_section(view.experiments), spending_section(view.calls, said)
    return claims, principles_section(view.principles), foresight, pool, spent


def _cards(view: CampaignView) -> list[tuple[str, str]]:
    counts = outcomes(view.candidates)
    reached = sum(n for status, n in counts.items() if status in ("measured", "promoted", "confirmed"))
    cards = [
        (str(len(view.candidates)), f"of {view.campaign.brief.budget} candidates tried"),
        (str(reached), "of them measured"),
        *((str(counts[s.value]), s.value) for s in ENDED if counts.get(s.value)),
        (str(len(view.baselines)), f"baseline{'s' * (len(view.baselines) != 1)} on the same ladder"),
        (spell_seconds(seconds_measured(view)), "of training and scoring"),
    ]
    if view.tokens:
        cards.append((spell_count(view.tokens), f"tokens, {view.cost:.2f} dollars"))
    return cards


def _json(value: object) -> str:
    # "<" as an escape: no text inside can end the script element.
    return json.dumps(value, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
