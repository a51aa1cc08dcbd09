"""A claim written up from the archive alone: Markdown, and a page of HTML made from it. Pure but for reading.

Question, method, results with intervals, ablation, what failed on the way, cost, and how to run it again. Numbers come
from the stored claim; nothing is said that the archive does not hold. Read `blocks_of` first.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from move37.agents.discovery_claim import contenders_of
from move37.agents.models.assignment import OVER_MCP
from move37.app.paper_rivals import rivals_code, rivals_met, rivals_text
from move37.app.text import in_markdown, one_line
from move37.app.views.campaign import metric_of
from move37.lab.archive.store import Archive, Campaign
from move37.lab.claims import ABLATION, WORDS, against, claim_text, missing_texts, rates_of, refusal, words_of
from move37.lab.confirming import Contender
from move37.lab.numbers import signed
from move37.lab.records import Claim, Comparison, Experiment, ExperimentStatus, Metric, Role
from move37.lab.tasks.registry import TaskKind, kind_of

_ENDED = (ExperimentStatus.FAILED, ExperimentStatus.REJECTED)


def write_up(archive: Archive, experiment: Experiment, claim: Claim) -> tuple[str, ...]:
    """The write-up of a claim that the archive holds, as `blocks_of` gives it."""
    campaign = archive.campaign(experiment.campaign)
    tokens, dollars = archive.spent(campaign.id)
    return blocks_of(
        experiment, claim, campaign, archive.experiments(campaign.id),
        contenders=contenders_of(archive, experiment.id), tokens=tokens, dollars=dollars,
    )  # fmt: skip


def blocks_of(
    experiment: Experiment,
    claim: Claim,
    campaign: Campaign,
    others: Sequence[Experiment],
    *,
    contenders: Sequence[Contender],
    tokens: int,
    dollars: float,
) -> tuple[str, ...]:
    """The write-up, block by block in Markdown. `others` are the campaign's experiments, `contenders` the claim's."""
    metric, kind = metric_of(campaign), kind_of(campaign.brief.task)
    met = rivals_met(claim, contenders)
    return (
        f"# {in_markdown(experiment.name or experiment.id)}",
        f"*{experiment.id}, by {in_markdown(experiment.candidate.author) if experiment.candidate else 'nobody'}.*",
        claim_text(claim, metric),
        "## Question",
        _question(experiment, claim),
        "## Method",
        _method(claim, campaign, kind),
        "## Results",
        _table(claim, metric),
        "## Rivals",
        rivals_text(met),
        "## Ablation",
        _ablation(claim, metric, kind.candidate),
        "## What failed",
        _failures(claim, others, metric),
        "## Cost",
        _cost(claim, others, tokens=tokens, dollars=dollars),
        "## Run it again",
        _again(experiment, campaign),
        f"## The {kind.candidate}",
        f"```python\n{experiment.candidate.source.rstrip()}\n```" if experiment.candidate else "There is no code.",
        *rivals_code(met),
    )


def markdown_of(blocks: Sequence[str]) -> str:
    """The blocks as one text."""
    return "\n\n".join(blocks) + "\n"


def _question(experiment: Experiment, claim: Claim) -> str:
    hypothesis = experiment.hypothesis
    told = [f"What is new: {in_markdown(claim.part)}."]
    if hypothesis is not None:
        told.append(in_markdown(hypothesis.motivation))
        told.append(f"Predicted before it was run: {in_markdown(hypothesis.predicted_effect).rstrip('.')}.")
        if hypothesis.cites:
            told.append(f"It rests on {in_markdown(', '.join(hypothesis.cites))}.")
    return " ".join(told)


def _method(claim: Claim, campaign: Campaign, kind: TaskKind) -> str:
    first = claim.comparisons[0] if claim.comparisons else None
    size = f"{first.steps} steps at width {first.width}" if first else "nothing"
    corpus = in_markdown(campaign.brief.corpus or "the default corpus")
    return (
        f"{kind.subject} on {corpus}, {size} unless the table says otherwise; every arm at its own tuned "
        "learning rate, equal parameters in total, the same data for both arms of a pair. Fresh seeds were drawn after "
        f"the {kind.candidate} was written. This is confirmation {claim.confirmation} of its home, each interval at "
        "the level that this leaves it; the claim stands only if every interval lies above zero."
    )


def _table(claim: Claim, metric: Metric) -> str:
    rows = [
        f"| question | rival | gain, {metric.unit} | interval | seeds | steps | width | text |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for c in claim.comparisons:
        bounds = (
            "none"
            if c.low is None or c.high is None
            else f"{signed(c.low, '.4f')} to {signed(c.high, '.4f')} ({c.confidence:.1%})"
        )
        told = "; self-reported" if c.self_reported else ""
        told += "; gradients unchecked" if c.custom_backward else ""
        told += f"; rates: {in_markdown(rates_of(c))}" if c.rates else ""
        cells = (
            words_of(c), in_markdown(c.name), signed(c.effect, '.4f'), f"{bounds}{told}", str(c.seeds),
            str(c.steps), str(c.width), c.text.replace("_", " "),
        )  # fmt: skip
        rows.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(rows)


def _ablation(claim: Claim, metric: Metric, candidate: str) -> str:
    found = [c for c in claim.comparisons if c.question == ABLATION]
    if not found:
        if not claim.missing.keys() <= WORDS.keys():
            return "Not asked, or it does not apply: this archive is older than the record of which, see below."
        return f"Not asked: {in_markdown(claim.missing.get(ABLATION, 'it does not apply'))}."
    effect = found[0].effect
    lost = f"{abs(effect):.4f} {metric.unit} {'better' if effect < 0 else 'worse'}"
    return f"Without {in_markdown(claim.part)} the same {candidate} is {lost}: {_holds(found[0])}."


def _holds(comparison: Comparison) -> str:
    return "the part carries the gain" if comparison.holds else "that the part carries the gain is not shown"


def _failures(claim: Claim, others: Sequence[Experiment], metric: Metric) -> str:
    refuted = [c for c in claim.comparisons if not c.holds]
    lines = [f"- {refusal(c)} ({in_markdown(against(c, metric))})." for c in refuted]
    lines += [f"- {in_markdown(m)}." for m in missing_texts(claim)]
    ended = [e for e in others if e.role is Role.CANDIDATE and e.status in _ENDED]
    lines += [f"- {e.id} {in_markdown(e.name)}: {in_markdown(e.reason, 160)}" for e in ended[:10]]
    if len(ended) > 10:
        lines.append(f"- and {len(ended) - 10} more candidates of the campaign that ended early.")
    return "\n".join(lines) if lines else "Nothing in this campaign."


def _cost(claim: Claim, others: Sequence[Experiment], *, tokens: int, dollars: float) -> str:
    candidates = [e for e in others if e.role is Role.CANDIDATE]
    ended = sum(e.status in _ENDED for e in candidates)
    seconds = sum(m.cpu_seconds for e in others for m in e.measurements)
    return (
        f"The campaign: {len(candidates)} candidates, {ended} of which ended early, {seconds:.0f} core-seconds of "
        f"training and scoring, {tokens:,} tokens, {dollars:.2f} US dollars. The claim: {claim.core_seconds:.0f} "
        "core-seconds."
    )


def _again(experiment: Experiment, campaign: Campaign) -> str:
    versions = ", ".join(
        f"{k} {v}" for k, v in sorted(experiment.environment.items()) if k in ("torch", "move37", "python")
    )
    machine = experiment.environment.get("machine", "a machine that the archive does not name")
    brief = campaign.brief
    search = f"--preset {brief.preset} --budget {brief.budget} --seed {brief.seed}"
    if experiment.candidate is not None and experiment.candidate.author == OVER_MCP:
        found = f"It came from a client of `move37 mcp {search}`, whose proposals no seed repeats."
    else:
        found = f"The search that found it: `move37 run {search} --model {in_markdown(brief.model)}`."
    return (
        f"From the archive alone: `move37 reproduce {experiment.id}`. {found} "
        f"Measured on {in_markdown(machine)}, {in_markdown(versions or 'versions not recorded')}."
    )


def html_of(blocks: Sequence[str], *, title: str) -> str:
    """A page that needs nothing else; understands the Markdown of `blocks_of`, and no other."""
    body = [_block(block) for block in blocks]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{html.escape(one_line(title))}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _block(block: str) -> str:
    if block.startswith("```"):
        return f"<pre>{html.escape(block.split(chr(10), 1)[1].removesuffix('```').rstrip())}</pre>"
    if block.startswith("#"):
        level, _, text = block.partition(" ")
        return f"<h{len(level)}>{_inline(text)}</h{len(level)}>"
    if block.startswith("|"):
        head, _, *rows = [[c.strip() for c in line.strip("|").split("|")] for line in block.splitlines()]
        cells = "".join(f"<th>{_inline(c)}</th>" for c in head)
        lines = "".join(f"<tr>{''.join(f'<td>{_inline(c)}</td>' for c in row)}</tr>" for row in rows)
        return f"<table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>"
    if block.startswith("- "):
        return f"<ul>{''.join(f'<li>{_inline(line[2:])}</li>' for line in block.splitlines())}</ul>"
    return f"<p>{_inline(block)}</p>"


def _inline(text: str) -> str:
    safe = html.escape(html.unescape(text))
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    return re.sub(r"^\*(.+)\*$", r"<i>\1</i>", safe)


_STYLE = (
    "body{font:16px/1.5 Georgia,serif;margin:2rem auto;max-width:56rem;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;font:14px/1.4 system-ui,sans-serif}td,th{padding:.3rem .6rem;text-align:left;"
    "border-bottom:1px solid #8884}pre{overflow-x:auto;padding:1rem;border:1px solid #8884;font-size:13px}"
)
