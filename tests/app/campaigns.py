"""Whole campaigns in an archive, made without any training: what the reading commands and the report are tested on."""

from __future__ import annotations

from pathlib import Path

from move37.lab.archive.message import Message, now
from move37.lab.archive.store import Archive, Campaign
from move37.lab.records import ExperimentStatus, Role, Stage
from tests.builders import a_brief, a_call, a_candidate, a_gate, a_hypothesis, a_measurement, a_verdict, an_analysis

BASELINES = {
    "gated_delta": 2.52,
    "gla": 2.53,
    "ssd": 2.55,
    "retention": 2.60,
    "softmax": 2.61,
    "delta": 2.68,
    "linear": 2.86,
}
SHORTENED = ("One seed to screen, at one learning rate.", "No ablation, no held-out text.")
SOURCE = '''"""A mixer."""

import torch


class Mixer(torch.nn.Module):
    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.out = torch.nn.Linear(d_model, d_model)  # the last projection

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(x.cumsum(1) / 8.0)
'''
HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> "
    "[bold red]markup[/] \x1b[31mred\x1b]0;title\x07 \u202eturned"
)


def a_whole_campaign(home: Path, *, finished: bool = True, hostile: bool = False) -> Campaign:
    """Seven baselines; twelve candidates that failed, were rejected, diverged, climbed, and one on fresh seeds."""
    foreign = HOSTILE if hostile else ""
    with Archive.open(home) as archive:
        brief = a_brief(budget=12, text=f"Try decays. {foreign}")
        facts = {"shortened": SHORTENED, "versions": {"torch": "2.13.0"}}
        campaign = archive.begin_campaign(brief, facts)
        for number, name in enumerate(BASELINES):
            _baseline(archive, campaign, number, name)
        for number in range(1, 13):
            _candidate(archive, campaign, number, foreign)
        if finished:
            campaign = archive.update_campaign(campaign.id, status="finished")
        return campaign


def _baseline(archive: Archive, campaign: Campaign, number: int, name: str) -> None:
    ident = archive.begin_experiment(campaign.id, number, Role.BASELINE, name=name, family=name).id
    source = SOURCE.replace("8.0", "4.0")
    archive.finish_stage(
        ident, Stage.CANDIDATE, {"candidate": a_candidate(source=source, author="baseline", family=name)}
    )
    archive.finish_stage(ident, Stage.GATES, {"gates": _gates(parameters=12_000 + 700 * number)})
    for steps, more in ((100, 0.6), (200, 0.3), (500, 0.0)):
        m = a_measurement(value=BASELINES[name] + more, steps=steps, cpu_seconds=4.0 + number / 3)
        _stage(archive, ident, f"lm@{steps}", m)
    probe = a_measurement(metric="overwrite_recall", value=0.4 + number / 12, rung=1, steps=400)
    archive.finish_stage(ident, "probes", {"measurements": (probe,)}, rung=1)
    if name == "gated_delta":
        for seed in range(1000, 1005):
            m = a_measurement(value=2.52 + (seed - 1002) / 100, steps=500, seed=seed, fresh=True)
            _stage(archive, ident, "lm@500", m)


def _candidate(archive: Archive, campaign: Campaign, number: int, foreign: str) -> None:
    parents = ("c1-gated_delta",) if number < 5 else (f"c1-{number - 4:03d}", "c1-gla")
    ident = archive.begin_experiment(campaign.id, number, Role.CANDIDATE, parents=parents).id
    name = ("gated_delta_with_floor", "gla_two_paths", "conv_then_delta")[number % 3] + foreign
    family = ("gated_delta", "gla", "delta")[number % 3]
    hypothesis = a_hypothesis(name=name, family=family, change=f"a learned floor under the decay {foreign}")
    ideas = [a_hypothesis(name=f"idea_{n}{foreign}", base="c1-gla", change=f"two floors {foreign}") for n in (1, 2)]
    kept = [{"hypothesis": i, "reason": f"dearer {foreign}"} for i in ideas] if number == 2 else []
    found = {"hypothesis": hypothesis, "ideas": kept, "idea": "c1-002.1" if number == 3 else ""}
    archive.finish_stage(ident, Stage.HYPOTHESIS, found, name=name, family=family)
    for role, cached in (("Researcher", 3_000), ("Engineer", 0)):
        archive.log_call(campaign.id, ident, a_call(role=role, model=f"openai:tiny{foreign}", cached_tokens=cached))
    _talk(archive, campaign, ident, foreign)
    if number == 4:
        reason = f"the Critic's objection stood (novelty: it is c1-001 again) {foreign}"
        archive.finish_stage(ident, "veto", {}, status=ExperimentStatus.REJECTED, reason=reason)
        return
    source = SOURCE.replace("8.0", f"{number}.0") + f"\n# {foreign}\n".replace("\x1b", "")
    archive.finish_stage(ident, Stage.CANDIDATE, {"candidate": a_candidate(source=source, family=family)})
    if _refused(archive, ident, number, foreign):
        return
    _climb(archive, ident, number)
    archive.finish_stage(ident, Stage.ANALYSIS, {"analysis": an_analysis(why=f"one seed cannot tell {foreign}")})


def _talk(archive: Archive, campaign: Campaign, ident: str, foreign: str) -> None:
    said = (("Researcher", "Critic", f"I propose a floor. {foreign}"), ("person", "Critic", "try a short convolution"))
    for source, to, text in (*said, ("Critic", "Engineer", "Accepted: it is new.")):
        line = Message(source=source, to=to, text=text, at=now(), user=source == "person", experiment=ident)
        archive.say(campaign.id, line)


def _refused(archive: Archive, ident: str, number: int, foreign: str) -> bool:
    bad = {5: "causality", 6: "purity", 9: "causality"}.get(number)
    mended = {"attempts": [{"gates": [{"name": "dtype", "passed": False}]}]} if number in (1, 2) else {}
    gates = _gates(parameters=11_000 + 400 * number, bad=bad, message=f"output 3 moved with input 9 {foreign}")
    reason = f"gate {bad}: output 3 moved with input 9" if bad else None
    status = ExperimentStatus.FAILED if bad else None
    archive.finish_stage(ident, Stage.GATES, {"gates": gates} | mended, status=status, reason=reason)
    return bad is not None


def _climb(archive: Archive, ident: str, number: int) -> None:
    base = 2.50 + 0.03 * number
    _stage(archive, ident, "lm@100", a_measurement(value=base + 0.6, steps=100, cpu_seconds=4 + number / 5))
    verdict = a_verdict(effect=0.02 - 0.03 * number, tried=12, text="Screened on one seed at 100 steps: it ranks.")
    archive.finish_stage(ident, "verdict:lm@100", {"verdict": verdict}, rung=2)
    if number == 7:
        broken = a_measurement(value=float("nan"), steps=200, diverged=True)
        archive.finish_stage(
            ident, "lm@200", {"measurements": (broken,)}, rung=2, status=ExperimentStatus.FAILED, reason="it diverged"
        )
    if number in (1, 2, 3):
        _stage(archive, ident, "lm@200", a_measurement(value=base + 0.3, steps=200), climbed=True)
        probe = a_measurement(metric="overwrite_recall", value=0.97, rung=1, steps=400)
        archive.finish_stage(ident, "probes", {"measurements": (probe,)}, rung=1)
    if number in (1, 2):
        _stage(archive, ident, "lm@500", a_measurement(value=base, steps=500), climbed=True)
    if number == 1:
        for seed in range(1000, 1005):
            m = a_measurement(value=2.51 + (seed - 1002) / 120, steps=500, seed=seed, fresh=True)
            _stage(archive, ident, "lm@500", m)
        text = "Not distinguishable from gated_delta: +0.011 [-0.012, +0.034] on 5 fresh seeds, corrected for 12 tried."
        fresh = a_verdict(effect=0.011, low=-0.012, high=0.034, tried=12, text=text)
        archive.finish_stage(ident, "verdict:fresh", {"verdict": fresh}, rung=2)


def _stage(archive: Archive, ident: str, stage: str, m, *, climbed: bool = False) -> None:  # type: ignore[no-untyped-def]
    status = ExperimentStatus.PROMOTED if climbed else ExperimentStatus.MEASURED
    archive.finish_stage(ident, stage, {"measurements": (m,)}, rung=2, seed=m.seed, reached=2, status=status)


def _gates(*, parameters: int, bad: str | None = None, message: str = ""):  # type: ignore[no-untyped-def]
    return (
        a_gate(name="import"),
        a_gate(name="shape"),
        a_gate(
            name=bad or "causality", passed=not bad, value=0.3 if bad else 0.0, limit=1e-6, message=message or "fine"
        ),
        a_gate(name="parameters", value=float(parameters), limit=20_000.0, message=f"{parameters} parameters"),
        a_gate(name="novelty", passed=None, value=None, limit=None, message="no archive to compare with"),
    )
