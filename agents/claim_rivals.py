"""Whom a claim meets and on which texts: found once, before its first fresh run, and stored with its plan.

Read `ClaimRivals`, then `find` (the first time) and `second_again` (taken up again: the same texts).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from move37.agents import tuning
from move37.agents.ablation import Ablation, ablated
from move37.agents.claim_ground import ClaimGround, ConfirmationRequest
from move37.agents.errors import NotConfirmable
from move37.agents.rival_families import rival_families
from move37.lab import halving, measuring
from move37.lab.claims import ABLATION, FAMILY, SECOND_CORPUS
from move37.lab.confirming import Contender
from move37.lab.effects import base_of
from move37.lab.errors import BadCorpus
from move37.lab.records import Experiment, Role
from move37.lab.tasks.task import QuestionedTask, Task, left_out_of

SECOND = "scipy"  # whose sources are the second corpus, unless the user names another


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRivals:
    """The contenders of a claim, the questions that cannot be asked, and the texts."""

    candidate: Contender
    baselines: tuple[Contender, ...]  # the best first
    families: tuple[Contender, ...]
    family_why: str  # whose best it must beat, and why
    ablation: Contender | None
    part: str  # what is new, in words
    missing: Mapping[str, str]  # question -> why it cannot be asked; empty: it does not apply
    trials: int  # of tuning a family
    corpus: str  # digest
    second: str = ""  # digest of the second corpus; empty: there is none
    second_path: str = ""  # where the user named one


async def find(
    ground: ClaimGround, experiment: Experiment, wanted: ConfirmationRequest
) -> tuple[ClaimRivals, QuestionedTask | None]:
    """The rivals as the archive knows them now, and the second corpus, opened.

    Raises `NotConfirmable` and `BadCorpus` before anything is tuned.
    """
    task, everybody = ground.task, ground.archive.experiments()
    candidate, best = _contender(experiment, task), _best_two(everybody, experiment, task)
    missing: dict[str, str] = {}
    second = second_task(task, ground.cache, wanted.second_corpus, missing)
    if left_out := left_out_of(second):
        ground.watch.notice(f"of the second corpus, {len(left_out)} files are no text and left out: {left_out[0]}")
    base, trials = base_of(experiment, everybody), wanted.trials or tuning.TRIALS
    ablation = ablated(experiment, base)
    without = await _without(ground, experiment, ablation, base, missing)
    asked = rival_families(experiment, everybody, tuning.families(), best=best[0].candidate.family)
    if asked.names != (experiment.family,):
        ground.watch.notice(asked.why)
    if not asked.names:
        missing[FAMILY] = asked.why
    families = [await _tuned(ground, name, ablation, trials, missing) for name in asked.names]
    rivals = ClaimRivals(
        candidate=candidate,
        baselines=best,
        families=tuple(f for f in families if f is not None),
        family_why=asked.why,
        ablation=without,
        part=ablation.part if ablation else experiment.hypothesis.change if experiment.hypothesis else experiment.name,
        missing=missing,
        trials=trials,
        corpus=task.digest,
        second=second.digest if second is not None else "",
        second_path=place_of(wanted),
    )
    return rivals, second


def second_again(ground: ClaimGround, known: ClaimRivals) -> QuestionedTask | None:
    """The second corpus of a claim that was begun. Raises `NotConfirmable` where a text is not what it was."""
    if known.corpus != ground.task.digest:
        raise NotConfirmable("the campaign's text changed since this confirmation began: put it back")
    if not known.second:
        return None
    path = Path(known.second_path) if known.second_path else None
    try:
        second = second_task(ground.task, ground.cache, path, {})
    except BadCorpus as error:
        raise NotConfirmable(f"the second corpus that this confirmation began with cannot be used: {error}") from error
    if second is None or second.digest != known.second:
        where = known.second_path or f"the sources of {SECOND}"
        raise NotConfirmable(f"the second corpus ({where}) changed since this confirmation began: put it back")
    return second


def place_of(wanted: ConfirmationRequest) -> str:
    """Of the second corpus that the user names; empty: the usual one."""
    return str(wanted.second_corpus.absolute()) if wanted.second_corpus else ""


def second_task(task: QuestionedTask, cache: Path, path: Path | None, missing: dict[str, str]) -> QuestionedTask | None:
    """The second corpus: `path`, else the sources of scipy; None, with the reason in `missing`, without the latter.

    Raises `BadCorpus` where a `path` was named and cannot be used.
    """
    named = path is not None
    if path is None:
        spec = find_spec(SECOND)
        path = Path(spec.origin).parent if spec is not None and spec.origin else None
    try:
        return None if path is None else task.second(cache=cache, corpus=path)
    except BadCorpus as error:
        if named:
            raise
        missing[SECOND_CORPUS] = str(error)
        return None


async def _without(
    ground: ClaimGround, experiment: Experiment, ablation: Ablation | None, base: Experiment | None,
    missing: dict[str, str],
) -> Contender | None:  # fmt: skip
    """The ablation, if it passes the gates: about the rate of the file that it is, or is made from."""
    if ablation is None:
        missing[ABLATION] = "nothing in it is new against what it changes"
        return None
    found = await measuring.gates(ground.context, ablation.candidate, "ablation")
    if shut := [g.name for g in found if g.passed is False]:
        missing[ABLATION] = f"without it the file fails {', '.join(shut)}"
        return None
    same = base is not None and base.candidate is not None and base.candidate.source == ablation.candidate.source
    of = base if base is not None and same else experiment
    return Contender(
        id=f"{experiment.id}-ablated", name="its ablation", candidate=ablation.candidate, rate=_rate(of, ground.task)
    )


async def _tuned(
    ground: ClaimGround, family: str, ablation: Ablation | None, trials: int, missing: dict[str, str]
) -> Contender | None:
    tuned = await tuning.tuned_family(
        ground.context, family, trials=trials, without=ablation.operators if ablation else (),
        notice=ground.watch.notice,
    )  # fmt: skip
    if tuned is None:
        missing[FAMILY] = f"no variant of the baseline of {family} could be measured"
        return None
    return Contender(id=f"{family}-tuned", name=f"{family}, tuned", candidate=tuned.candidate, rate=tuned.rate)


def _contender(experiment: Experiment, task: Task) -> Contender:
    assert experiment.candidate is not None
    return Contender(
        id=experiment.id,
        name=experiment.name or experiment.id,
        candidate=experiment.candidate,
        rate=_rate(experiment, task),
    )


def _rate(experiment: Experiment, task: Task) -> float:
    return halving.tuned_rate(experiment.measurements, metric=task.metric, default=task.schedule("quick").learning_rate)


def _best_two(everybody: tuple[Experiment, ...], experiment: Experiment, task: Task) -> tuple[Contender, ...]:
    own = [e for e in everybody if e.role is Role.BASELINE and e.campaign == experiment.campaign and e.candidate]
    steps = max((m.steps for e in own for m in e.measurements if m.metric == task.metric.name), default=0)
    best = halving.best_baselines({e.id: e.measurements for e in own}, metric=task.metric, steps=steps, again=True)
    if not best:
        raise NotConfirmable(f"no baseline of campaign {experiment.campaign} was measured: there is nothing to beat")
    return tuple(_contender(next(e for e in own if e.id == ident), task) for ident in best)
