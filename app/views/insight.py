"""Insight as sections: effects of parts, origins, what climbed, the "Move 37" list, growth with compute. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from move37.agents.insight import ArchiveInsight, ArmGrowth
from move37.app.text import counted
from move37.app.views.charts.shared import BLUE, COLOURS, LEGEND, Chart, Figure, words
from move37.app.views.shapes import Cell, Column, Section, Table, Tone
from move37.lab.insight import SHOWN
from move37.lab.numbers import DigitScale, signed
from move37.lab.records import Metric
from move37.lab.statistics.growth_laws import WORDS, GrowthLaw

DESCRIBES = "It describes an archive; trials were not assigned by chance, and only a claim confirms anything."


def insight_sections(found: ArchiveInsight, metric: Metric) -> tuple[Section, ...]:
    """Everything there is to say, in the order of the report; what is empty is left out."""
    parts = (
        _components(found, metric), _origins(found, metric), _traits(found), _surprises(found, metric), *_growth(found),
    )  # fmt: skip
    return tuple(p for p in parts if p)


def _components(found: ArchiveInsight, metric: Metric) -> Section:
    columns = (Column("part"), Column(f"gain, {metric.unit}", True), Column("95 %", True), Column("trials", True))
    scale = DigitScale.of(n for c in found.components for n in (c.mean, c.low, c.high))
    rows = []
    for c in found.components:
        tone: Tone = "good" if c.low > 0 else "bad" if c.high < 0 else ""
        cells = (scale.signed(c.mean), scale.bounds(c.low, c.high, signed=True), str(c.trials))
        rows.append((Cell(c.operator.replace("_", " ")), Cell(cells[0], tone), Cell(cells[1], tone), Cell(cells[2])))
    left = f" {counted(found.unrecognised, 'file')} with no known part left out." if found.unrecognised else ""
    text = (
        "Of putting a part in, against the parent, companions told apart by a regression with a normal prior around "
        f"zero: shrinkage stands for a correction for their number. {DESCRIBES}{left}"
    )
    return Section(title="What parts are worth", table=Table(columns=columns, rows=tuple(rows), stacks=True),
                   text=text if rows or left else "")  # fmt: skip


def _origins(found: ArchiveInsight, metric: Metric) -> Section:
    names = ("ideas", "measured", "climbed", f"gain over the parent, {metric.unit}", "95 %")
    scale = DigitScale.of(n for o in found.origins for n in (o.effect, o.low, o.high))
    rows = tuple(
        (
            Cell(o.origin), Cell(str(o.ideas)), Cell(str(o.measured)), Cell(str(o.climbed)),
            Cell(scale.signed(o.effect)), Cell(scale.bounds(o.low, o.high, signed=True)),
        )
        for o in found.origins
        if o.ideas
    )  # fmt: skip
    return Section(
        title="Where ideas came from",
        table=Table(columns=(Column("cited"), *(Column(n, True) for n in names)), rows=rows, stacks=True),
    )


def _traits(found: ArchiveInsight) -> Section:
    columns = (Column("has"), Column("of those that climbed", True), Column("of the others", True),
               Column("p, Holm over all", True))  # fmt: skip
    rows = tuple(
        (
            Cell(t.trait.replace("_", " ")), Cell(f"{t.climbed} of {t.of_climbed}"),
            Cell(f"{t.others} of {t.of_others}"), Cell(f"{t.adjusted:.2g}", "good" if t.adjusted < 0.05 else ""),
        )
        for t in found.traits[:SHOWN]
    )  # fmt: skip
    text = f"The clearest {len(rows)} of {len(found.traits)} that were looked at." if rows else ""
    return Section(title="What climbed has in common", table=Table(columns=columns, rows=rows, stacks=True), text=text)


def _surprises(found: ArchiveInsight, metric: Metric) -> Section:
    columns = (Column("experiment"), Column("what is new"), Column(f"gain, {metric.unit}", True),
               Column("bits by the search", True), Column("bits by papers", True),
               Column("no paper mentions together"))  # fmt: skip
    scale = DigitScale.of(s.effect for s in found.surprises)
    rows = tuple(
        (
            Cell(f"{s.experiment} {s.name}"), Cell(", ".join(s.gained).replace("_", " ")), Cell(scale.signed(s.effect)),
            Cell(f"{s.search_bits:.1f}"), Cell(f"{s.paper_bits:.1f}"),
            Cell("; ".join(s.unmentioned[:3]).replace("_", " "), "quiet"),
        )
        for s in found.surprises[:SHOWN]
    )  # fmt: skip
    text = (
        "What gained over its parent, the most improbable first: how rarely the search draws what is new before it has "
        "learned anything, and how rarely the built-in papers name the pairs that it makes, in bits (means)."
    )
    return Section(title="Move 37", table=Table(columns=columns, rows=rows, stacks=True), text=text if rows else "")


def _growth(found: ArchiveInsight) -> Iterable[Section]:
    for arm in found.growth:
        yield law_section(arm.law, f"Growth of {arm.quantity}, {arm.author}")


def law_section(law: GrowthLaw, title: str) -> Section:
    """The laws side by side, and the sentence."""
    columns = (Column("law"), Column("held-out nats a campaign", True), Column("growth over the range", True),
               Column("95 %", True), Column("shape", True))  # fmt: skip
    rows = []
    for f in law.fits:
        bounds = "" if f.growth_low is None or f.growth_high is None else f"[{f.growth_low:.3g}, {f.growth_high:.3g}]"
        low_high = "" if f.shape_low is None or f.shape_high is None else f" [{f.shape_low:.3g}, {f.shape_high:.3g}]"
        shape = "" if f.shape is None else f"{f.shape:.3g}{low_high}"
        cells = (WORDS[f.law], signed(f.held_out), f"{f.growth:.3g}", bounds, shape)
        rows.append(tuple(Cell(c, "strong" if f.law == law.supported else "") for c in cells))
    text = f"{law.sentence} Over {counted(law.campaigns, 'campaign')}."
    return Section(
        title=title, table=Table(columns=columns, rows=tuple(rows), stacks=True) if law.curve else None, text=text
    )


def growth_charts(found: ArchiveInsight) -> list[Chart]:
    """What was found against compute, with the interval over campaigns; without a second campaign nothing."""
    return [chart for arm in found.growth if (chart := _growth_chart(arm)) is not None]


def _growth_chart(arm: ArmGrowth) -> Chart | None:
    if not arm.law.curve:
        return None
    return law_chart({arm.author: arm.law}, f"Compute and {arm.quantity}", arm.quantity)


def law_chart(laws: dict[str, GrowthLaw], title: str, quantity: str) -> Chart:
    """Arm -> law, each a line within its band."""
    data: list[Figure] = []
    for i, (name, law) in enumerate(laws.items()):
        colour = COLOURS[i % len(COLOURS)] if len(laws) > 1 else BLUE
        x = [c for c, *_ in law.curve]
        edge = {"type": "scatter", "mode": "lines", "x": x, "line": {"width": 0}, "hoverinfo": "skip",
                "showlegend": False, "legendgroup": name}  # fmt: skip
        data += [
            edge | {"y": [low for _, _, low, _ in law.curve]},
            edge | {"y": [high for *_, high in law.curve], "fill": "tonexty", "fillcolor": f"{colour}22"},
            {"type": "scatter", "mode": "lines", "x": x, "y": [m for _, m, _, _ in law.curve], "legendgroup": name,
             "name": f"{words(name)}: {WORDS[law.shown]}", "line": {"color": colour, "width": 2,
             "dash": "solid" if law.supported else "dot"}},
        ]  # fmt: skip
    layout = {
        "height": 360, "xaxis": {"title": {"text": "core-seconds of a campaign's candidates"}},
        "yaxis": {"title": {"text": quantity}, "rangemode": "tozero"},
        "legend": LEGEND,
    }  # fmt: skip
    note = (
        "A band spans 95 % of campaigns drawn again; a dotted line is the law that predicts best and is not told apart."
    )
    return Chart(title=title, note=note, figure={"data": data, "layout": layout})


def as_markdown(sections: Iterable[Section]) -> str:
    """Sections as Markdown tables."""
    lines: list[str] = []
    for part in sections:
        lines += [f"## {part.title}", ""]
        if part.table is not None and part.table.rows:
            lines.append(f"| {' | '.join(_cell(c.name) for c in part.table.columns)} |")
            lines.append("|" + "---|" * len(part.table.columns))
            lines += [f"| {' | '.join(_cell(c.text) for c in row)} |" for row in part.table.rows]
            lines.append("")
        if part.text:
            lines += [part.text, ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
