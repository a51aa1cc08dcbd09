"""The campaigns of `benchmarks.predictions`: the search's own roles on one small task, every training kept in a file.

Read `campaign`: the lab's rule draws parents, the Researcher proposes, the Critic answers, one training is looked up or
run, and the record of operators is fitted again. Everything that decides is the lab's; conversation, gates and
memory are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from move37.agents.messages import Opening
from move37.agents.record import forecast, operator_facts, operator_record
from move37.agents.research_context import ParentFacts, ResearchContext, TaskCard
from move37.agents.search.codegen import emit, operators_of
from move37.agents.search.critic import critique
from move37.agents.search.grammar import BASELINES, Genome, from_json
from move37.agents.search.researcher import propose
from move37.agents.search.view import view_of
from move37.benchmarks import json_lines
from move37.benchmarks.rediscovery import append_line
from move37.benchmarks.rediscovery_tasks import TASKS, WIDTH, train
from move37.lab.parents import draw_parents
from move37.lab.records import BITS_PER_BYTE, Candidate, Experiment, ExperimentStatus, Measurement, Role

TEXT = next(t for t in TASKS if t.name == "text")
STEPS = 100
ARMS = ("lessons", "no-lessons")
Measure = Callable[[Genome], float | None]  # bits per byte; None: diverged


class NoMoreTrainings(Exception):
    """This session may train nothing new."""


class CachedTrainings:
    """Values by genome, seed and steps, in a file of JSON lines; a line that was cut off is left out."""

    def __init__(self, path: Path | None, steps: int, new: int | None) -> None:
        self._path, self._steps, self._left = path, steps, new
        self._known: dict[tuple[str, int, int], float | None] = {}
        for row in json_lines.read(path):
            try:
                self._known[row["plan"], row["seed"], row["steps"]] = row["value"]
            except (KeyError, TypeError):
                continue

    def value(self, genome: Genome, seed: int) -> float | None:
        """Trains where it must. Raises `NoMoreTrainings`."""
        key = (genome.to_json(), seed, self._steps)
        if key not in self._known:
            if self._left == 0:
                raise NoMoreTrainings
            self._left = None if self._left is None else self._left - 1
            self._known[key] = train(TEXT, genome, seed=seed, steps=self._steps).value
            if self._path:
                row = {"plan": key[0], "seed": seed, "steps": self._steps, "value": self._known[key]}
                append_line(row, self._path)
        return self._known[key]


def campaign(arm: str, seed: int, experiments: int, measure: Measure) -> tuple[list[Experiment], bool]:
    """Every experiment, baselines first; False where a training was missing."""
    done = []
    try:
        for name, genome in BASELINES.items():
            done.append(_experiment(name, Role.BASELINE, 0, genome, seed, measure(genome)))
        for number in range(1, experiments + 1):
            proposed = _proposed(arm, seed, number, done)
            genome = from_json(proposed.hypothesis.plan) if proposed and proposed.hypothesis else None
            if proposed is None or genome is None:
                break
            run = _experiment(proposed.id, Role.CANDIDATE, number, genome, seed, measure(genome))
            done.append(replace(run, hypothesis=proposed.hypothesis, parents=proposed.parents))
    except NoMoreTrainings:
        return done, False
    return done, True


def _proposed(arm: str, seed: int, number: int, done: Sequence[Experiment]) -> Experiment | None:
    """The next experiment with its forecasts, before it is run."""
    fitted = operator_record(done, BITS_PER_BYTE, operators_of)
    parents = draw_parents(done, metric=BITS_PER_BYTE, seed=seed, number=number)
    by_id = {e.id: e for e in done}
    ident = f"c{seed}-{number:03d}"
    context = ResearchContext(
        experiment=ident, number=number, seed=seed, task=TaskCard(name="mixers", metric=BITS_PER_BYTE),
        parents=tuple(_facts(by_id[p.experiment]) for p in parents),
        tried_plans=tuple(e.hypothesis.plan for e in done if e.hypothesis),
    )  # fmt: skip
    if arm == "lessons":
        told = operator_facts(fitted)
        context = replace(
            context, operators=told, operator_scale=fitted.scale, scatter=fitted.scatter, adding=fitted.adding
        )
    opening = Opening(context=context)
    offer = propose(view_of([opening]))
    if offer.drop:
        return None
    answer, idea = critique(view_of([opening, offer])), offer.ideas[0]
    forecasts = [idea.prediction.forecast("Researcher")] if idea.prediction else []
    now, before = ({*operators_of(source)} for source in (_source(idea.plan), _source_of(by_id[idea.base])))
    by_record = forecast(fitted, [*now - before], [*before - now], idea.family)
    forecasts += [by_record] if by_record else []
    hypothesis = replace(
        idea.hypothesis(base=idea.base, author="Researcher"), forecasts=tuple(forecasts),
        refused="" if answer.accept else answer.reason,
    )  # fmt: skip
    return Experiment(
        id=ident, campaign=1, number=number, role=Role.CANDIDATE, status=ExperimentStatus.RUNNING,
        hypothesis=hypothesis, parents=tuple(p.experiment for p in parents), family=idea.family,
    )  # fmt: skip


def measurement(value: float | None, seed: int) -> Measurement:
    """What a small training came to, as the archive keeps it; None: it diverged."""
    return Measurement(
        metric=BITS_PER_BYTE.name, value=value if value is not None else 99.0, diverged=value is None, rung=2,
        seed=seed, steps=STEPS, total_steps=STEPS, width=WIDTH,
    )  # fmt: skip


def _experiment(ident: str, role: Role, number: int, genome: Genome, seed: int, value: float | None) -> Experiment:
    return Experiment(
        id=ident, campaign=1, number=number, role=role, name=ident, family=genome.family,
        status=ExperimentStatus.MEASURED if value is not None else ExperimentStatus.FAILED,
        candidate=Candidate(source=emit(genome, name=ident), author="designer (search)", family=genome.family),
        measurements=(measurement(value, seed),),
    )  # fmt: skip


def _facts(e: Experiment) -> ParentFacts:
    is_baseline = e.role is Role.BASELINE
    return ParentFacts(id=e.id, name=e.name, family=e.family, is_baseline=is_baseline, source=_source_of(e))


def _source_of(e: Experiment) -> str:
    return e.candidate.source if e.candidate else ""


def _source(plan: str) -> str:
    genome = from_json(plan)
    return emit(genome, name="proposed") if genome else ""
