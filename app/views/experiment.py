"""One experiment in full, as a head and sections: what it is, believed, passed, measured, and is worth. Pure.

Read `detail_of` first. Terminal, report and page draw the same sections; only code and conversation are drawn apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from move37.app.text import counted
from move37.app.views.campaign import CampaignView
from move37.app.views.cost import cost_section
from move37.app.views.evidence import claim_section, evidence_section
from move37.app.views.foresight import predictions_section
from move37.app.views.ideas import ideas_section
from move37.app.views.lineage import ancestor_of
from move37.app.views.shapes import Cell, Column, Section, Table, Tone, section
from move37.app.views.spending import spending_section
from move37.app.views.words import TEXTS, grouped_gates, sign_of, verdict_text, words_of
from move37.lab.numbers import DigitScale, number, scale_of
from move37.lab.records import (
    SCREEN,
    Comparison,
    Effects,
    Experiment,
    GateResult,
    Hypothesis,
    Measurement,
    Metric,
    Principle,
    Verdict,
)
from move37.lab.scale import CPU
from move37.lab.summary import summarise


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One experiment, ready to be drawn."""

    experiment: Experiment
    facts: str  # one line under the title
    reason: str  # why it ended early, or ""
    sections: tuple[Section, ...]
    ancestor: Experiment | None  # what it was made from


def detail_of(view: CampaignView, experiment: Experiment) -> Detail:
    """Everything about `experiment` but its code and what was said."""
    known = dict(view.ancestors) | {e.id: e for e in view.experiments}
    ancestor = ancestor_of(experiment, known)
    return Detail(
        experiment=experiment,
        facts=_facts(experiment, ancestor),
        reason=experiment.reason,
        sections=tuple(_sections(experiment, view, known)),
        ancestor=ancestor,
    )


def _facts(e: Experiment, ancestor: Experiment | None) -> str:
    facts = [e.role.value, e.status.value, e.family, f"rung {e.rung}"]
    facts += [f"made from {ancestor.id}"] if ancestor is not None else []
    if others := [p for p in e.parents if ancestor is None or p != ancestor.id]:
        facts.append(f"also offered: {', '.join(others)}")
    if e.candidate:
        facts.append(f"written by {e.candidate.author}, attempt {e.candidate.attempt}")
    return " · ".join(f for f in facts if f)


def _sections(e: Experiment, view: CampaignView, known: Mapping[str, Experiment]) -> Iterable[Section]:
    metric = view.metric
    found = (
        _hypothesis(e.hypothesis),
        predictions_section(e, tuple(known.values()), metric),
        Section(title="Gates", table=gates_table(e.gates)),
        Section(title="Measurements", table=measurements_table(e.measurements)),
        _verdict(e.verdict, _scale(e, metric)),
        Section(title="Comparisons", table=comparisons_table(e.verdict.comparisons if e.verdict else ())),
        evidence_section(e, metric),
        claim_section(e, metric),
        cost_section(view, e),
        _effects(e.effects, known),
        _analysis(e),
        _memory(e, view.principles),
        ideas_section(e, view.experiments),
        spending_section([call for call in view.calls if call.experiment == e.id], view.lines.get(e.id, ())),
        _stages(e),
    )
    return (part for part in found if part)


def _hypothesis(h: Hypothesis | None) -> Section:
    if h is None:
        return Section(title="Hypothesis")
    return section(
        "Hypothesis",
        ("changes", h.change),
        ("because", h.motivation),
        ("rests on", ", ".join(h.cites)),
        ("predicts", h.predicted_effect),
        ("watch", words_of(h.probe)),
        ("risk", h.risk),
        ("refused by the Critic", h.refused),
    )


def gates_table(gates: Iterable[GateResult]) -> Table:
    """Each gate: passed, the number, the limit, and the sentence."""
    columns = (Column("passed"), Column("gate"), Column("value", True), Column("limit", True), Column("says"))
    rows = [
        (
            Cell(*sign_of(gate)),
            Cell(names),
            Cell(number(gate.value)),
            Cell(number(gate.limit)),
            Cell(gate.message, detail=gate.traceback),
        )
        for names, gate in grouped_gates(gates)
    ]
    return Table(columns=columns, rows=tuple(rows), stacks=True)


def measurements_table(measurements: Sequence[Measurement]) -> Table:
    """Every run with the digits of what it compares with: the runs of the same metric after the same steps."""
    names = ("value", "rung", "steps", "rate", "seed", "train s", "bytes/s")
    columns = (Column("metric"), *(Column(n, True) for n in names), Column("note"))
    groups = {(m.metric, m.steps): list[float]() for m in measurements}
    for m in measurements:
        groups[m.metric, m.steps].append(m.value)
    scales = {terms: scale_of(terms[0], values) for terms, values in groups.items()}
    rows = []
    for m in measurements:
        notes = {
            "fresh seed": m.fresh,
            TEXTS.get(m.text, m.text): m.text != SCREEN,
            "diverged": m.diverged,
            f"scale {m.scale}": m.scale not in ("", CPU.key),
            m.device: m.device != "cpu",
            speed_note(m): bool(m.flops_per_token),
            "self-reported": m.self_reported,
            f"own backward: {m.custom_backward}": bool(m.custom_backward),
        }
        cells = [scales[m.metric, m.steps].text(m.value), str(m.rung), f"{m.steps:,}" if m.steps else "–"]
        cells += [f"{m.learning_rate:g}" if m.learning_rate else "–", str(m.seed), f"{m.train_seconds:.1f}"]
        cells += [f"{m.tokens_per_second:,.0f}" if m.tokens_per_second else "–"]
        note = Cell(", ".join(k for k, v in notes.items() if v), "quiet")
        rows.append((Cell(words_of(m.metric)), *(Cell(c) for c in cells), note))
    return Table(columns=columns, rows=tuple(rows), stacks=True)


def speed_note(m: Measurement) -> str:
    """Counted work a byte, and the share of the device's peak that it came to, where the peak is known."""
    share = m.utilisation
    peak = "MFU unknown: no peak of this device is known" if share is None else f"MFU {share:.1%}"
    return f"{m.flops_per_token / 1e6:.2f} MFLOP a byte, {peak}"


def _scale(e: Experiment, metric: Metric) -> DigitScale:
    summary = summarise(e.measurements).get(metric.name)
    return DigitScale.of([summary.mean, summary.low, summary.high] if summary else [])


def _verdict(verdict: Verdict | None, scale: DigitScale) -> Section:
    if verdict is None:
        return Section(title="Verdict")
    effect, bounds, tone = verdict_text(verdict, scale)
    pairs = (("effect", f"{effect} {bounds} against {verdict.baseline}"),)
    return Section(title="Verdict", pairs=pairs, text=verdict.text, tone=tone)


def comparisons_table(comparisons: Sequence[Comparison]) -> Table:
    """Each rival that was asked about on fresh seeds, with the question that it answers."""
    columns = (Column("question"), Column("rival"), Column("gain", True), Column("interval", True), Column("on"))
    scale = DigitScale.of(n for c in comparisons for n in (c.effect, c.low, c.high))
    rows = []
    for c in comparisons:
        tone: Tone = "good" if c.holds else "bad" if c.high is not None and c.high < 0 else ""
        bounds = scale.bounds(c.low, c.high, signed=True)
        where = [counted(c.seeds, "fresh seed"), f"{c.steps:,} steps" if c.steps else "", TEXTS.get(c.text, c.text)]
        where += [f"{c.confidence:.2%} confidence" if bounds else "", "self-reported" if c.self_reported else ""]
        where += ["gradients unchecked" if c.custom_backward else "", c.note]
        on = Cell(", ".join(w for w in where if w), "quiet")
        rows.append(
            (Cell(words_of(c.question)), Cell(c.name), Cell(scale.signed(c.effect), tone), Cell(bounds, tone), on)
        )
    return Table(columns=columns, rows=tuple(rows), stacks=True)


def _effects(effects: Effects | None, known: Mapping[str, Experiment]) -> Section:
    if effects is None:
        return Section(title="Effects")
    columns = (Column("against"), Column("rival"), Column("gain", True), Column("95 % interval", True), Column("on"))
    found = [("what it changes", effects.parent), ("best of its family", effects.family), ("best of all", effects.best)]
    scale = DigitScale.of(n for _, e in found if e is not None for n in (e.value, *(e.interval() or ())))
    rows = []
    for label, effect in found:
        if effect is not None:
            rival = known.get(effect.rival)
            where = [f"{effect.steps:,} steps" if effect.steps else "", counted(effect.seeds, "seed")]
            where.append(TEXTS.get(effect.text, "") if effect.text != SCREEN else "")
            cells = (label, rival.name if rival and rival.name else effect.rival, scale.signed(effect.value))
            bounds = scale.bounds(*(effect.interval() or (None, None)), signed=True)
            rows.append((*(Cell(c) for c in cells), Cell(bounds), Cell(", ".join(w for w in where if w), "quiet")))
    return Section(title="Effects", table=Table(columns=columns, rows=tuple(rows), stacks=True))


def _analysis(e: Experiment) -> Section:
    a = e.analysis
    if a is None:
        return Section(title="Analysis")
    return section(
        "Analysis",
        ("expected", a.expected),
        ("seen", a.seen),
        ("why", a.why),
        ("next", a.next),
        ("lesson", a.lesson),
        ("symptoms", "; ".join(a.symptoms)),
        ("signed", a.author),
    )


def _memory(e: Experiment, held: Sequence[Principle]) -> Section:
    """What memory gave, and which principles the result speaks for or against."""
    cited = ", ".join(e.hypothesis.cites) if e.hypothesis else ""
    fed = [("supports", p) for p in held if e.id in p.supports]
    fed += [("speaks against", p) for p in held if e.id in p.contradicts]
    return section("Memory", ("gave", cited), *((label, f"{p.id}: {p.text}") for label, p in fed))


def _stages(e: Experiment) -> Section:
    columns = (Column("finished (UTC)"), Column("stage"), Column("rung", True), Column("seed", True))
    rows = tuple(
        (
            Cell(s.finished_at[:19].replace("T", " "), "quiet"),
            Cell(s.stage),
            Cell(str(s.rung) if s.rung else ""),
            Cell(str(s.seed) if s.rung else ""),
        )
        for s in e.stages
    )
    return Section(title="Stages", table=Table(columns=columns, rows=rows, stacks=True))
