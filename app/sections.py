"""One experiment in full, section by section, for the terminal. Records -> Rich renderables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from move37.app.tables import effect_text, gates_table, measurements_table
from move37.app.text import harmless, one_line
from move37.lab.records import Analysis, Experiment, GateResult, Hypothesis, StageRecord, Verdict


def experiment_sections(experiment: Experiment) -> Iterator[RenderableType]:
    """Head, hypothesis, gates, measurements, verdict, analysis, stages: what there is of them."""
    yield _head(experiment)
    if experiment.hypothesis:
        yield _section("Hypothesis", _hypothesis(experiment.hypothesis))
    if experiment.gates:
        yield _section("Gates", gates_table(experiment.gates), *_tracebacks(experiment.gates))
    if experiment.measurements:
        yield _section("Measurements", measurements_table(experiment.measurements))
    if experiment.verdict:
        yield _section("Verdict", _verdict(experiment.verdict))
    if experiment.analysis:
        yield _section(f"Analysis, signed by {one_line(experiment.analysis.author)}", _analysis(experiment.analysis))
    if experiment.stages:
        yield _section("Stages", _stages(experiment.stages))
    hints = [f"move37 show {experiment.id} --source", f"move37 show {experiment.id} --chat"]
    yield Text("  ".join(hints if experiment.candidate else hints[1:]), style="dim")


def _head(experiment: Experiment) -> RenderableType:
    title = Text.assemble((experiment.id, "bold"), "  ", (one_line(experiment.name or "not named yet"), "bold cyan"))
    facts = [experiment.role.value, experiment.status.value, experiment.family, f"rung {experiment.rung}"]
    if experiment.parents:
        facts.append(f"from {', '.join(experiment.parents)}")
    if experiment.candidate:
        facts.append(f"written by {experiment.candidate.author}, attempt {experiment.candidate.attempt}")
    parts: list[RenderableType] = [title, Text(one_line(" · ".join(f for f in facts if f)), style="dim")]
    if experiment.reason:
        parts.append(Text(harmless(experiment.reason), style="red"))
    return Group(*parts, "")


def _section(title: str, *content: RenderableType) -> RenderableType:
    return Group(Text(title, style="bold underline"), *(Padding(c, (0, 0, 0, 2)) for c in content), "")


def _pairs(pairs: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(ratio=1)
    for name, text in pairs:
        if text:
            table.add_row(name, Text(harmless(text)))
    return table


def _hypothesis(hypothesis: Hypothesis) -> Table:
    return _pairs(
        [
            ("changes", hypothesis.change),
            ("because", hypothesis.motivation),
            ("rests on", ", ".join(hypothesis.cites)),
            ("predicts", hypothesis.predicted_effect),
            ("watch", hypothesis.probe),
            ("risk", hypothesis.risk),
        ]
    )


def _tracebacks(gates: Sequence[GateResult]) -> Iterator[RenderableType]:
    for gate in gates:
        if gate.traceback:
            yield Text(f"\n{one_line(gate.name)}:\n{harmless(gate.traceback)}", style="dim")


def _verdict(verdict: Verdict) -> RenderableType:
    line = Text.assemble(effect_text(verdict), (f"  against {one_line(verdict.baseline)}", "dim"))
    return Group(line, Text(harmless(verdict.text)))


def _analysis(analysis: Analysis) -> Table:
    return _pairs(
        [
            ("expected", analysis.expected),
            ("seen", analysis.seen),
            ("why", analysis.why),
            ("next", analysis.next),
            ("symptoms", "; ".join(analysis.symptoms)),
        ]
    )


def _stages(stages: Sequence[StageRecord]) -> Table:
    table = Table.grid(padding=(0, 2))
    for s in stages:
        where = f"rung {s.rung}, seed {s.seed}" if s.rung else ""
        table.add_row(
            Text(s.finished_at[:19].replace("T", " "), style="dim"), Text(one_line(s.stage)), Text(where, style="dim")
        )
    return table
