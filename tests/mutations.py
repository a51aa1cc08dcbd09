"""Faults that were once planted by hand and found by no test: `python -m tests.mutations` plants each again.

One line a mutation: what it breaks, in which file, what is written in place of what, and the tests that have to notice.
Each is applied to a copy of the tracked files, one at a time; what survives is printed and ends with status 1. The
results stand in docs/figures/house.md.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One fault."""

    what: str
    file: str
    old: str  # stands in the file exactly once
    new: str
    tests: tuple[str, ...]  # files, or files::tests


MUTATIONS = (
    Mutation(
        what="own lessons are cut to their header",
        file="memory/render.py",
        old='    return neutralize("\\n".join(_labelled(parts)))',
        new='    return neutralize("\\n".join(_labelled(parts[:1] if item.kind == "analysis" else parts)))',
        tests=("tests/memory/test_render.py",),
    ),
    Mutation(
        what="Next is dropped from what a prompt shows of a lesson",
        file="memory/render.py",
        old='        ("Next", item.next),\n        ("Evidence", evidence(item.evidence) if item.evidence else ""),',
        new='        ("Evidence", evidence(item.evidence) if item.evidence else ""),',
        tests=("tests/memory/test_render.py",),
    ),
    Mutation(
        what="Next is dropped from the lesson that goes to memory",
        file="agents/remembering.py",
        old="        next=analysis.next,",
        new='        next="",',
        tests=("tests/agents/test_remembering.py",),
    ),
    Mutation(
        what="Next is dropped from the parents' heads",
        file="agents/ledger.py",
        old='        next=experiment.analysis.next if experiment.analysis else "",',
        new='        next="",',
        tests=("tests/agents/test_learning.py",),
    ),
    Mutation(
        what="the search is deaf to Next",
        file="agents/search/researcher.py",
        old="in recognise(recollection.next).wanted",
        new='in recognise("").wanted',
        tests=("tests/agents/search/test_roles.py", "tests/agents/search/test_prose.py"),
    ),
    Mutation(
        what="the operators to try are dropped from the lesson that goes to memory",
        file="agents/remembering.py",
        old="        next_operators=analysis.next_operators,",
        new="",
        tests=("tests/agents/test_remembering.py",),
    ),
    Mutation(
        what="a value that decides is shown to who proposes",
        file="agents/lookups.py",
        old="for m in ledger.screening(experiment)",
        new="for m in experiment.measurements",
        tests=("tests/agents/test_tools.py",),
    ),
    Mutation(
        what="a key is renamed: ideas that were not chosen",
        file="agents/results.py",
        old="    ideas: tuple[Idea, ...] = ()",
        new="    unchosen: tuple[Idea, ...] = ()",
        tests=("tests/agents/test_learning.py",),
    ),
    Mutation(
        what="a key is renamed: what memory returned",
        file="agents/context_builder.py",
        old='.get("recollected")',
        new='.get("recalled")',
        tests=("tests/agents/test_remembering.py",),
    ),
    Mutation(
        what="a key is renamed: why a parent was drawn",
        file="agents/context_builder.py",
        old='.get("drawn")',
        new='.get("parents")',
        tests=("tests/agents/test_learning.py",),
    ),
    Mutation(
        what="a key is renamed: the fingerprint",
        file="agents/execution.py",
        old='.get("fingerprint")',
        new='.get("fingerprints")',
        tests=("tests/agents/test_remembering.py",),
    ),
    Mutation(
        what="fingerprints are looked for under another stage",
        file="agents/execution.py",
        old='if record.stage == "gates"',
        new='if record.stage == "gate"',
        tests=("tests/agents/test_remembering.py",),
    ),
    Mutation(
        what="the best baseline is the average of all baselines",
        file="lab/effects.py",
        old="    return max(found, key=lambda e: (e.steps, _TEXTS.index(e.text), -e.value), default=None)",
        new="    return replace(found[0], value=_mean([e.value for e in found])) if found else None",
        tests=("tests/lab/test_effects.py",),
    ),
    Mutation(
        what="one failed baseline ends a campaign, where all had to",
        file="agents/bookkeeping.py",
        old="    if own and all(",
        new="    if own and any(",
        tests=("tests/agents/test_campaign.py",),
    ),
    Mutation(
        what="the Critic of the search does not read what memory found near",
        file="agents/search/critic.py",
        old="    return view.precedents[0].newness if view.precedents else Newness()",
        new="    return Newness()",
        tests=("tests/agents/search/test_roles.py",),
    ),
    Mutation(
        what="every campaign has the metric of mixers",
        file="app/views/campaign.py",
        old="        return decode(Metric, stored)",
        new="        return BITS_PER_BYTE",
        tests=("tests/app/test_reading.py",),
    ),
    Mutation(
        what="what a claim taught reaches no later proposal",
        file="agents/ledger.py",
        old='claim_lesson(experiment.claim, metric) if experiment.claim else ""',
        new='""',
        tests=("tests/agents/test_campaign_claims.py",),
    ),
    Mutation(
        what="a confirmation costs nothing",
        file="agents/time_left.py",
        old="CONFIRM_COSTS = 1.2",
        new="CONFIRM_COSTS = 0.0001",
        tests=("tests/agents/test_promotion.py",),
    ),
    Mutation(
        what="gates are judged before those that explain them",
        file="lab/judging/judging.py",
        old="sorted(GATES, key=lambda gate: bool(gate.after))",
        new="sorted(GATES, key=lambda gate: not gate.after)",
        tests=("tests/lab/gates/test_judging.py",),
    ),
    Mutation(
        what="the Critic of the search reads a sentence again (so that a renamed word breaks it)",
        file="agents/search/critic.py",
        old="own = _newness(view).own",
        new='own = _newness(view).own if "own" in render.newness(_newness(view)) else None',
        tests=("tests/agents/search/test_prose.py",),
    ),
    Mutation(
        what="principles come after the last experiment of a generation alone",
        file="agents/reflection.py",
        old="if every and count % every == 0 and count < len(self._numbers):",
        new="if False:",
        tests=("tests/agents/test_reflection.py",),
    ),
    Mutation(
        what="a banned base may be built on",
        file="agents/precedents.py",
        old="if bases.get(named) in banned:",
        new="if bases.get(named) in ():",
        tests=("tests/agents/test_bans.py",),
    ),
    Mutation(
        what="an invalid plan is taken",
        file="agents/planning.py",
        old='    return f"its plan is no mixer of the grammar: {problem}" if problem else ""',
        new='    return ""',
        tests=("tests/agents/test_hybrid.py",),
    ),
    Mutation(
        what="a token more than the limit may be used",
        file="agents/budget.py",
        old="spent.tokens >= budget.tokens",
        new="spent.tokens > budget.tokens",
        tests=("tests/agents/test_budget.py",),
    ),
    Mutation(
        what="a climb costs its whole rung and not what it adds",
        file="agents/time_left.py",
        old="going * (rung.steps - below.steps)",
        new="going * rung.steps",
        tests=("tests/agents/test_promotion.py",),
    ),
    Mutation(
        what="who beat one of its rivals is asked for a discovery",
        file="lab/claims.py",
        old="and all(c.holds for c in e.verdict.comparisons)",
        new="and any(c.holds for c in e.verdict.comparisons)",
        tests=("tests/lab/test_claims.py",),
    ),
    Mutation(
        what="fresh seeds may have screened",
        file="lab/halving.py",
        old="        if seed not in used:\n            seeds.append(seed)",
        new="        seeds.append(seed)",
        tests=("tests/lab/test_halving.py",),
    ),
    Mutation(
        what="what the Critic forecast is not kept",
        file="agents/dialogue.py",
        old='        forecasts = (*forecasts, end.critique.prediction.forecast("Critic"))',
        new="        pass",
        tests=("tests/agents/test_dialogue.py",),
    ),
    Mutation(
        what="one self-reported rival of two is not told",
        file="lab/verdicts.py",
        old="reported = any(c.self_reported for c in comparisons)",
        new="reported = all(c.self_reported for c in comparisons)",
        tests=("tests/lab/test_verdicts.py",),
    ),
    Mutation(
        what="a ladder has a next step although one failed",
        file="lab/claims.py",
        old="next=still[0] if still and not failed else None",
        new="next=still[0] if still else None",
        tests=("tests/lab/test_claims.py",),
    ),
)


def killer(mutation: Mutation, copy: Path) -> str:
    """The first test that fails with the fault planted in `copy`, or "". Raises `ValueError`: there is no such line."""
    path = copy / mutation.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        raise ValueError(f"{mutation.file} holds {text.count(mutation.old)} times {mutation.old!r}")
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-x",
                "-p",
                "no:cacheprovider",
                "-p",
                "no:randomly",
                *mutation.tests,
            ],
            cwd=copy,
            env={**_environment(), "PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        path.write_text(text, encoding="utf-8")
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED tests/", "ERROR tests/"))]
    if done.returncode == 0:
        return ""
    return failed[0].split()[1] if failed else f"pytest ended with status {done.returncode}"


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def copied(folder: Path) -> Path:
    """The tracked files, links as links."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    return folder


def main() -> None:
    """Plant every mutation (with words: those that hold one of them), and say who noticed."""
    words = sys.argv[1:]
    wanted = [m for m in MUTATIONS if not words or any(word in m.what for word in words)]
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder))
        for mutation in wanted:
            try:
                found = killer(mutation, copy)
            except ValueError as error:
                found, survived = f"NOT PLANTED: {error}", survived + 1
            survived += not found
            print(f"| {mutation.what} (`{mutation.file}`) | {found or 'SURVIVED'} |", flush=True)
    raise SystemExit(1 if survived else 0)


if __name__ == "__main__":
    main()
