"""One experiment as a section that folds: hypothesis, gates, numbers, verdict, analysis, code, conversation. Pure."""

from __future__ import annotations

import html
from collections.abc import Sequence

from move37.app.report.code import difference, highlighted
from move37.app.report.story import Story
from move37.app.report.words import range_text, together
from move37.app.text import bare
from move37.lab.archive.store import Line
from move37.lab.records import Experiment, GateResult, Measurement
from move37.lab.verdicts import summarise


def section_of(story: Story, experiment: Experiment) -> str:
    """The section, closed; its id is the experiment's, so that the leaderboard can point at it."""
    primary = summarise(experiment.measurements).get(story.metric.name)
    value = f"{range_text(primary)} {_e(story.metric.unit)}" if primary else ""
    head = (
        f"<span class='id'>{_e(experiment.id)}</span><b>{_e(experiment.name or 'not named')}</b>"
        f"<span class='tag'>{_e(experiment.status.value)}</span><span class='end'>{value}</span>"
    )
    parts = [
        _opening(experiment),
        _hypothesis(experiment),
        _gates(experiment.gates),
        _measurements(experiment.measurements),
        _verdict(experiment),
        _analysis(experiment),
        _code(story, experiment),
        _talk(story.lines.get(experiment.id, ())),
    ]
    return (
        f"<details id='{_e(experiment.id)}'><summary>{head}</summary><div class='body'>{''.join(parts)}</div></details>"
    )


def _e(text: str) -> str:
    return html.escape(bare(text))


def _list(pairs: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{_e(name)}</dt><dd>{_e(text)}</dd>" for name, text in pairs if text.strip())
    return f"<dl>{rows}</dl>" if rows else ""


def _opening(e: Experiment) -> str:
    author = f"{e.candidate.author}, attempt {e.candidate.attempt}" if e.candidate else ""
    pairs = [("role", e.role.value), ("family", e.family), ("parents", ", ".join(e.parents)), ("written by", author)]
    return _list([*pairs, ("ended because", e.reason)])


def _hypothesis(e: Experiment) -> str:
    h = e.hypothesis
    if h is None:
        return ""
    pairs = [("changes", h.change), ("because", h.motivation), ("rests on", ", ".join(h.cites))]
    return "<h3>Hypothesis</h3>" + _list(
        [*pairs, ("predicts", h.predicted_effect), ("watch", h.probe), ("risk", h.risk)]
    )


def _gates(gates: Sequence[GateResult]) -> str:
    if not gates:
        return ""
    rows = "".join(_gate(names, gate) for names, gate in together(gates))
    head = "<tr><th></th><th>gate</th><th class=n>value</th><th class=n>limit</th><th>says</th></tr>"
    return f"<h3>Gates</h3><div class='wide'><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>"


def _gate(names: str, gate: GateResult) -> str:
    sign = {True: "<span class='good'>✓</span>", False: "<span class='bad'>✗</span>", None: "–"}[gate.passed]
    trace = f"<pre>{_e(gate.traceback)}</pre>" if gate.traceback else ""
    numbers = f"<td class='n'>{_number(gate.value)}</td><td class='n'>{_number(gate.limit)}</td>"
    return f"<tr><td>{sign}</td><td>{_e(names)}</td>{numbers}<td>{_e(gate.message)}{trace}</td></tr>"


def _measurements(measurements: Sequence[Measurement]) -> str:
    if not measurements:
        return ""
    rows = []
    for m in measurements:
        said = {"fresh seed": m.fresh, "diverged": m.diverged, "self-reported": m.self_reported}
        numbers = (m.value, m.steps, m.learning_rate, m.seed, m.train_seconds, m.cpu_seconds)
        cells = "".join(f"<td class='n'>{_number(float(n))}</td>" for n in numbers)
        rows.append(f"<tr><td>{_e(m.metric)}</td>{cells}<td>{', '.join(k for k, v in said.items() if v)}</td></tr>")
    names = ("value", "steps", "rate", "seed", "train s", "CPU s")
    head = f"<tr><th>metric</th>{''.join(f'<th class=n>{n}</th>' for n in names)}<th></th></tr>"
    table = f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
    return f"<h3>Measurements</h3><div class='wide'>{table}</div>"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.5g}"


def _verdict(e: Experiment) -> str:
    return f"<h3>Verdict</h3><p>{_e(e.verdict.text)}</p>" if e.verdict else ""


def _analysis(e: Experiment) -> str:
    a = e.analysis
    if a is None:
        return ""
    pairs = [("expected", a.expected), ("seen", a.seen), ("why", a.why), ("next", a.next)]
    return "<h3>Analysis</h3>" + _list([*pairs, ("symptoms", "; ".join(a.symptoms)), ("signed", a.author)])


def _code(story: Story, e: Experiment) -> str:
    if e.candidate is None:
        return ""
    out = f"<details><summary>Code</summary><pre><code>{highlighted(e.candidate.source)}</code></pre></details>"
    parent = next((p for i in e.parents if (p := story.find(i)) is not None and p.candidate is not None), None)
    if parent is not None and parent.candidate is not None:
        changes = difference(parent.candidate.source, e.candidate.source, parent.id)
        if changes:
            summary = f"<summary>Difference against {_e(parent.id)}</summary>"
            out += f"<details>{summary}<pre><code>{changes}</code></pre></details>"
    return out


def _talk(lines: Sequence[Line]) -> str:
    if not lines:
        return ""
    said = "".join(
        f"<div class='talk{' person' if line.person else ''}'><b>{_e(line.source)}</b> "
        f"<span class='quiet'>to {_e(line.to)}, {_e(line.at[11:19])}</span><p>{_e(line.text)}</p></div>"
        for line in lines
    )
    return f"<details><summary>Conversation, {len(lines)} lines</summary><div class='body'>{said}</div></details>"
