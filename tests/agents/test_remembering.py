"""From an experiment to memory and back: every field arrives, and effects are those against the right rival."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from move37.agents import campaign, context_builder
from move37.agents.open_experiment import open_experiment
from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES
from move37.lab.effects import effect_between
from move37.lab.judging.checked import Checked, Fingerprint
from move37.lab.records import BITS_PER_BYTE, Candidate, Experiment, ExperimentStatus, Role, Stage
from move37.memory.records import Recollection, Situation
from tests.agents.contexts import Arithmetic, Remembered, a_context, a_script, numbered_proposal
from tests.agents.scripted import a_report
from tests.builders import a_candidate, a_hypothesis

USED = {"class Mixer: linear": ("linear_attention",), "class Mixer: gated_delta": ("gated_delta_rule",)}


def operators_of(source: str) -> tuple[str, ...]:
    return USED.get(source, ("linear_attention", "short_conv"))


@pytest.mark.parametrize("base", ["linear", "gated_delta"])
async def test_a_lesson_holds_every_field_of_the_analysis_and_the_effect_of_the_change(
    tmp_path: Path, base: str
) -> None:
    memory = Remembered()
    report = a_report(lesson="a floor costs .02", symptoms=["flat", "late"], next_operators=["short_conv"])
    client = a_script(Report=report, Proposal=numbered_proposal(base=base))
    context, _ = a_context(tmp_path, client, budget=1, memory=memory, operators_of=operators_of)
    await campaign.run(context)
    lesson, experiment = memory.lessons[-1], context.archive.experiment("c1-001")
    assert (lesson.expected, lesson.seen, lesson.why, lesson.next) == (
        "less loss",
        "no change",
        "one seed",
        "more seeds",
    )
    assert lesson.next_operators == ("short_conv",)
    assert lesson.lesson == "a floor costs .02" and lesson.symptoms == ("flat", "late")
    assert lesson.base == f"c1-{base}" and "short_conv" in lesson.gained
    linear, gated = (context.archive.experiment(f"c1-{name}") for name in ("linear", "gated_delta"))
    against = {rival.id: effect_between(experiment, rival, BITS_PER_BYTE) for rival in (linear, gated)}
    assert lesson.effects.parent is not None and lesson.effects.best is not None
    effect = against[f"c1-{base}"]
    assert effect is not None and lesson.effects.parent.gain == pytest.approx(effect.value)
    worst_case = min(e.value for e in against.values() if e is not None)
    assert lesson.effects.best.gain == pytest.approx(worst_case)  # against the best one, not the mean of all


def test_what_ran_counts_as_tried_where_the_debugger_changed_what_was_planned(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path)
    planned, ran = BASELINES["gated_delta"], BASELINES["gla"]
    for number, genome in ((1, ran), (2, planned)):
        ident = context.archive.begin_experiment(1, number, Role.CANDIDATE).id
        context.archive.finish_stage(ident, Stage.HYPOTHESIS, {"hypothesis": a_hypothesis(plan=planned.to_json())})
        file = {"candidate": a_candidate(source=emit(genome, name="x"))}
        context.archive.finish_stage(ident, Stage.CANDIDATE, file, status=ExperimentStatus.MEASURED)
    ctx, _ = open_experiment(context, context.archive.begin_experiment(1, 3, Role.CANDIDATE), lambda: "")
    tried = context_builder.at_stage(ctx).tried_plans
    assert sorted(tried) == sorted([planned.to_json(), ran.to_json(), planned.to_json()])


async def test_memory_is_asked_by_fields_and_told_what_everybody_has_read(tmp_path: Path) -> None:
    asked: list[tuple[Situation, dict[str, Any]]] = []

    class Watched(Remembered):
        async def recall(self, query: Any, **how: Any) -> tuple[Recollection, ...]:
            asked.append((query, how))
            return (Recollection(key="2412.06464", kind="cognition", title="x", claim="y"),)

    context, _ = a_context(tmp_path, budget=2, memory=Watched(), workers=1)
    await campaign.run(context)
    (first, _), (second, how) = asked
    assert first.families and how["shown"] == {"2412.06464": 1} and how["task"] == "mixers"
    assert asked[0][1]["shown"] == {}
    assert "more seeds" in second.symptoms or second.families


async def test_the_gates_know_the_fingerprints_of_every_earlier_experiment(tmp_path: Path) -> None:
    """Another name for the stage or its key must fail here."""
    seen: list[set[str]] = []

    class Watching(Arithmetic):
        async def check(self, candidate: Candidate, *, known: Any = (), **how: Any) -> Checked:  # type: ignore[override]
            seen.append({f.experiment for f in known})
            checked = await super().check(candidate, known=known, **how)
            assert isinstance(checked.fingerprint, Fingerprint)
            return checked

    context, _ = a_context(tmp_path, budget=2, task=Watching(), workers=1)
    await campaign.run(context)
    assert seen[-2] == {"c1-linear", "c1-gated_delta"} and seen[-1] == {"c1-linear", "c1-gated_delta", "c1-001"}


async def test_the_reason_for_a_parent_is_stored_and_shown(tmp_path: Path) -> None:
    client = a_script()
    context, _ = a_context(tmp_path, client, budget=2, workers=1)
    await campaign.run(context)
    drawn = next(s.payload["drawn"] for s in context.archive.experiment("c1-002").stages if s.stage == "parents")
    second = [texts for kind, texts in client.heard if kind == "Proposals"][1]
    assert isinstance(drawn, list) and len(drawn) == 2
    for parent in drawn:
        assert parent["why"] and any(f"Chosen because: {parent['why']}." in text for text in second)


async def test_operators_are_credited_with_what_they_did_to_their_parents(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, budget=3, operators_of=operators_of, workers=1)
    await campaign.run(context)
    ctx, _ = open_experiment(context, context.archive.experiment("c1-003"), lambda: "")
    facts = context_builder.at_stage(ctx).operators
    assert facts["short_conv"].tried == 2 and "linear_attention" not in facts
    others = [e for e in context.archive.experiments() if e.role is Role.CANDIDATE and e.id != "c1-003"]
    gains = [e.effects.parent.value for e in others if e.effects and e.effects.parent]
    assert len(gains) == 2 and (facts["short_conv"].mean_effect > 0) == (sum(gains) > 0)


async def test_a_user_line_of_an_earlier_stage_and_a_standing_wish_reach_later_ones(tmp_path: Path) -> None:
    def typed(_: Any) -> Any:
        context.inbox.say("mind the speed", source="Ada")
        return numbered_proposal()(None)

    client = a_script(Proposal=typed)
    context, _ = a_context(tmp_path, client, budget=1)
    context.inbox.direct("say", "two time scales interest me")
    await campaign.run(context)
    engineer = next(texts for kind, texts in client.heard if kind == "Code")
    assert any("mind the speed" in t and "two time scales interest me" in t for t in engineer)


def test_an_experiment_that_was_not_analysed_teaches_nothing() -> None:
    from move37.agents.remembering import lesson_of
    from move37.lab.records import BITS_PER_BYTE, ExperimentStatus

    silent = Experiment(id="c1-001", campaign=1, number=1, role=Role.CANDIDATE, status=ExperimentStatus.FAILED)
    with pytest.raises(ValueError, match="not analysed"):
        lesson_of(silent, [replace(silent, id="x")], task="mixers", metric=BITS_PER_BYTE, operators_of=operators_of)
