"""A family's own baseline, tuned as hard as a candidate: Optuna over the grammar's modifiers and the learning rate.

Read `tune`. Trials run at the screening rung on one seed; the best few are measured at the top, and the best of those
is the family's. Every run is kept in the home (`lab/standings.py`), so that tuning a family again, or for another
claim, trains only what is new. The lab's own baseline is among the first trials.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES, Genome, faults, operators_in
from move37.agents.search.operators import OPERATORS, put, take
from move37.agents.search.size import fit
from move37.lab import baselines
from move37.lab.measuring import MeasuredArm, MeasuringContext, runs
from move37.lab.records import Candidate, Metric
from move37.lab.tasks.task import Rung

RATES = (5e-3, 1e-2, 2e-2)
TRIALS = 12  # what the quick preset gives its candidates
TOP = 3  # of the screen that are measured at all steps
OnTrial = Callable[[int, int, float | None], None]  # (trial, of, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """The best of a family that the trials found."""

    family: str
    candidate: Candidate
    rate: float
    value: float  # at the top rung, on one seed
    operators: tuple[str, ...]
    trials: int


def families() -> tuple[str, ...]:
    """Families that can be tuned: those with a baseline in the grammar."""
    return tuple(BASELINES)


def modifiers(family: str, *, without: Sequence[str] = ()) -> tuple[str, ...]:
    """Operators that change the family's baseline and leave it in its family, less those of the part in question."""
    base = BASELINES[family]
    found = []
    for name in OPERATORS:
        changed = take(name, base, Random(0)) if name in operators_in(base) else put(name, base, Random(0))
        if changed is not None and _same_family(changed, base) and name not in without:
            found.append(name)
    return tuple(found)


async def tune(
    context: MeasuringContext,
    family: str,
    own: Candidate,
    *,
    screen: Rung,
    top: Rung,
    without: Sequence[str] = (),
    trials: int = TRIALS,
    seed: int = 0,
    on_trial: OnTrial | None = None,
) -> Tuned | None:
    """The family's best after `trials`, its lab's baseline `own` among them; None where nothing could be measured."""
    import optuna  # brings SQLAlchemy, which nobody else needs to wait for

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    metric = context.task.metric
    study = optuna.create_study(
        direction="maximize" if metric.higher_is_better else "minimize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=min(6, max(1, trials // 2))),
    )
    names = modifiers(family, without=without)
    for rate in RATES:  # the lab's own at every rate, so that the result is at least as good
        study.enqueue_trial({"rate": rate} | {n: n in operators_in(BASELINES[family]) for n in names})
    tried: dict[tuple[str, float], tuple[float, tuple[str, ...]]] = {}
    for number in range(max(trials, len(RATES))):
        trial = study.ask()
        rate = float(trial.suggest_categorical("rate", RATES))
        wanted = {n for n in names if trial.suggest_categorical(n, (False, True))}
        genome = _variant(family, names, wanted)
        plain = genome == BASELINES[family]
        source = own.source if plain else emit(genome, name=f"{family}, tuned")
        arm = await _run(context, family, source, screen, rate)
        value = _value(arm, metric)
        study.tell(trial, value, state=None if value is not None else optuna.trial.TrialState.FAIL)
        if value is not None:
            tried[source, rate] = (value, operators_in(genome))
        if on_trial is not None:
            on_trial(number + 1, max(trials, len(RATES)), value)
    ranked = sorted(tried, key=lambda key: -metric.gain(tried[key][0], 0.0))[:TOP]
    finals = [(source, rate, _value(await _run(context, family, source, top, rate), metric)) for source, rate in ranked]
    sound = [(source, rate, value) for source, rate, value in finals if value is not None]
    if not sound:
        return None
    source, rate, value = max(sound, key=lambda found: metric.gain(found[2], 0.0))
    return Tuned(
        family=family,
        candidate=Candidate(source=source, author="baseline", family=family),
        rate=rate,
        value=value,
        operators=tried[source, rate][1],
        trials=len(study.trials),
    )


async def tuned_family(
    context: MeasuringContext, family: str, *, trials: int = TRIALS, without: Sequence[str] = (),
    notice: Callable[[str], None],
) -> Tuned | None:  # fmt: skip
    """As `tune`, from the context task's own baseline of that family, on the rungs of its quick preset."""
    own = next(
        b.candidate for b in context.task.baselines if baselines.FAMILIES.get(b.name, b.candidate.family) == family
    )
    schedule = context.task.schedule("quick")
    notice(f"tuning {family}, {trials} trials; what is kept is not trained again")
    return await tune(
        context, family, own, screen=schedule.rungs[0], top=schedule.rungs[-1], without=without, trials=trials
    )


async def _run(context: MeasuringContext, family: str, source: str, rung: Rung, rate: float) -> MeasuredArm:
    candidate = Candidate(source=source, author="baseline", family=family)
    return await runs(context, candidate, f"{family}-tuned", rung=rung, seeds=(0,), rate=rate)


def _variant(family: str, names: Sequence[str], wanted: set[str]) -> Genome:
    """The baseline with the modifiers asked for; one that would leave the family or the parameter limit is skipped."""
    genome = BASELINES[family]
    for name in names:
        has = name in operators_in(genome)
        if has == (name in wanted):
            continue
        changed = take(name, genome, Random(0)) if has else put(name, genome, Random(0))
        if changed is not None and _same_family(changed, genome) and not faults(changed) and fit(changed) is not None:
            genome = changed
    return genome


def _same_family(one: Genome, other: Genome) -> bool:
    return [p.family for p in one.paths] == [p.family for p in other.paths]


def _value(arm: MeasuredArm, metric: Metric) -> float | None:
    return next((m.value for m in arm.measurements if m.metric == metric.name and m.is_sound), None)
