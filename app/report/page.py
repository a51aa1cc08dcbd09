"""`Story` -> one HTML page that needs nothing else: styles, Plotly and figures are inside. Pure.

Whatever agents, candidates or persons wrote passes `_e` (escape sequences taken out, HTML escaped). Should that ever
fail, the page's own policy lets no script run but the two whose hashes it names, and lets nothing be fetched.
Read `page_of` first; one experiment's section is in `section.py`.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from move37.app.quantities import spell_count, spell_seconds
from move37.app.report.charts import Chart, charts
from move37.app.report.findings import outcomes, seconds_measured
from move37.app.report.section import section_of
from move37.app.report.story import Story
from move37.app.report.words import ENDED, claim, evidence, footnotes, grouped, range_text
from move37.app.text import bare
from move37.lab.records import Role
from move37.lab.verdicts import Row, Summary

_HERE = Path(__file__).parent
_NOTHING = "<p class='quiet'>There is nothing more to draw yet.</p>"


def page_of(story: Story) -> str:
    """The whole page."""
    drawn = charts(story)
    shown = _figures(drawn)  # the first draws the leaderboard and stands above it: to look comes before to read
    figures = _json([c.figure for c in drawn])
    scripts = [_plotly(), (_HERE / "boot.js").read_text(encoding="utf-8")] if drawn else []
    hashes = " ".join(f"'sha256-{_hash(s)}'" for s in scripts) or "'none'"
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    title = f"Move 37, campaign {story.campaign.id}"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>{(_HERE / "style.css").read_text(encoding="utf-8")}</style></head><body><main>
{_head(story)}
{_summary(story)}
{_gallery(shown[:1])}
<h2>Leaderboard</h2>
{_table(story)}
{_notes(story)}
<h2>Figures</h2>
{_gallery(shown[1:]) or _NOTHING}
<h2>Experiments</h2>
{_sections(story)}
{_foot(story)}
</main>
<script type="application/json" id="figures">{figures}</script>
{"".join(f"<script>{s}</script>" for s in scripts)}
</body></html>
"""


def _e(text: str) -> str:
    return html.escape(bare(text))


def _head(story: Story) -> str:
    campaign, brief = story.campaign, story.campaign.brief
    when = campaign.started_at[:16].replace("T", " ")
    facts = f"{brief.task} · {brief.preset} preset · model {brief.model} · seed {brief.seed} · begun {when} UTC"
    head = f"<h1>Move 37: campaign {campaign.id}</h1><p class='quiet'>{_e(facts)} · {_e(campaign.status)}</p>"
    if brief.text.strip():
        head += f"<details><summary>The brief</summary><div class='body'><p>{_e(brief.text)}</p></div></details>"
    return head


def _summary(story: Story) -> str:
    counts = outcomes(story)
    reached = sum(n for status, n in counts.items() if status in ("measured", "promoted", "confirmed"))
    cards = [
        (str(len(story.candidates)), f"of {story.campaign.brief.budget} candidates tried"),
        (str(reached), "of them measured"),
    ]
    cards += [(str(counts[s]), s) for s in ENDED if counts.get(s)]
    cards.append((str(len(story.baselines)), f"baseline{'s' * (len(story.baselines) != 1)} on the same ladder"))
    cards.append((spell_seconds(seconds_measured(story)), "of training and scoring"))
    if story.tokens:
        cards.append((spell_count(story.tokens), f"tokens, {story.cost:.2f} dollars"))
    boxes = "".join(f"<div class='card'><b>{_e(a)}</b><span>{_e(b)}</span></div>" for a, b in cards)
    return f"<div class='cards'>{boxes}</div><div class='say'><p>{_e(claim(story))}</p></div>"


def _table(story: Story) -> str:
    rows = story.rows
    if not rows:
        return "<p class='quiet'>Nothing has been tried yet.</p>"
    others = sorted({name for row in rows for name in row.metrics} - {story.metric.name})
    heads = ["experiment", "name", story.metric.unit, "evidence", "against the best baseline"]
    cells = [f"<th{' class=n' if i == 2 else ''}>{_e(h)}</th>" for i, h in enumerate(heads)]
    cells += [f"<th class=n>{_e(name.replace('_', ' '))}</th>" for name in others]
    out = [f"<div class='wide'><table><thead><tr>{''.join(cells)}</tr></thead><tbody>"]
    for heading, group in grouped(rows, story.metric):
        out.append(f"<tr class='group'><td colspan='{len(cells)}'>{heading}</td></tr>")
        out += [_row(story, row, others) for row in group]
    return "".join([*out, "</tbody></table></div>"])


def _row(story: Story, row: Row, others: Sequence[str]) -> str:
    own = row.role is Role.BASELINE
    kind = "own" if own else "lost" if row.status.value in ENDED else ""
    summary = row.metrics.get(story.metric.name)
    strong = summary is not None and summary.fresh and summary.n > 1
    words = evidence(row, story.metric, _reason(story, row))
    ended = row.status.value in ENDED
    look = "quiet" if ended or summary is None else f"tag{' full' if strong else ''}"
    mark = f"<span class='{look}'>{_e(words)}</span>"
    told = len({r.family for r in story.rows}) > 1 and row.family not in ("", row.name)
    family = f" <span class='range'>{_e(row.family)}</span>" if told else ""
    cells = [
        f"<td><a class='id' href='#{_e(row.experiment)}'>{_e(row.experiment)}</a></td>",
        f"<td class='name'>{_breakable(row.name) if own else f'<b>{_breakable(row.name)}</b>'}{family}</td>",
        f"<td class='n'>{range_text(summary)}</td>",
    ]
    if summary is None and row.verdict is None and not own:
        cells.append(f"<td colspan='2'>{mark}</td>")  # the reason needs the room
    else:
        cells += [f"<td>{mark}</td>", f"<td>{'baseline' if own else _effect(row)}</td>"]
    cells += [f"<td class='n'>{_mean(row.metrics.get(name))}</td>" for name in others]
    return f"<tr class='{kind}'>{''.join(cells)}</tr>"


def _breakable(name: str) -> str:
    # Names are words joined by underscores, and nowhere else may a browser break them.
    return _e(name).replace("_", "_<wbr>")


def _mean(summary: Summary | None) -> str:
    """A metric beside the primary one: its interval would crowd the table, and shows on hovering."""
    if summary is None or summary.low is None or summary.high is None or summary.diverged:
        return range_text(summary)
    return f"<span title='{summary.low:.3f} to {summary.high:.3f}'>{summary.mean:.3f}</span>"


def _reason(story: Story, row: Row) -> str:
    found = story.find(row.experiment)
    return found.reason if found else ""


def _effect(row: Row) -> str:
    verdict = row.verdict
    if verdict is None:
        return "<span class='quiet'>–</span>"
    if verdict.low is None or verdict.high is None:
        return f"<span class='whole'>{verdict.effect:+.3f} <span class='range'>on one seed</span></span>"
    kind = "good" if verdict.low > 0 else "bad" if verdict.high < 0 else ""
    bounds = f"[{verdict.low:+.3f}, {verdict.high:+.3f}] of {verdict.tried} tried"
    return f"<span class='{kind}'>{verdict.effect:+.3f}</span> <span class='range'>{bounds}</span>"


def _notes(story: Story) -> str:
    notes = "".join(f"<p class='note'>{_e(n)}</p>" for n in footnotes(story.metric))
    if not story.shortened:
        return notes
    items = "".join(f"<li>{_e(s)}</li>" for s in story.shortened)
    title = f"<b>What the {_e(story.campaign.brief.preset)} preset shortened</b>"
    return f"{notes}<div class='cuts'>{title}<ul>{items}</ul></div>"


def _figures(drawn: Sequence[Chart]) -> list[str]:
    narrow = [chart for chart in drawn if not chart.wide]
    alone = narrow[-1] if len(narrow) % 2 else None  # without a neighbour it takes the whole row
    return [_figure(number, chart, broad=chart.wide or chart is alone) for number, chart in enumerate(drawn)]


def _gallery(figures: Sequence[str]) -> str:
    return f"<div class='charts'>{''.join(figures)}</div>" if figures else ""


def _figure(number: int, chart: Chart, *, broad: bool) -> str:
    caption = f"<figcaption><b>{_e(chart.title)}</b><span class='note'>{_e(chart.note)}</span></figcaption>"
    return f"<figure{' class=broad' if broad else ''}>{caption}<div data-figure='{number}'></div></figure>"


def _sections(story: Story) -> str:
    ranked = [row for _, group in grouped(story.rows, story.metric) for row in group]
    order = {row.experiment: i for i, row in enumerate(ranked)}
    mine = sorted(story.candidates, key=lambda e: order[e.id]) + sorted(story.baselines, key=lambda e: order[e.id])
    return "".join(section_of(story, e) for e in mine) or "<p class='quiet'>None yet.</p>"


def _foot(story: Story) -> str:
    versions = story.campaign.facts.get("versions")
    named = ", ".join(f"{k} {v}" for k, v in versions.items()) if isinstance(versions, dict) else ""
    made = "Made by <code>move37 report</code> from the archive alone; it can be made again at any time."
    return f"<footer><p>{made}</p><p>{_e(named)}</p></footer>"


def _json(value: object) -> str:
    # "<" as an escape: no text inside can end the script element.
    return json.dumps(value, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
