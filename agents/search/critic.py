"""The Critic as a search: it objects by rules over the record, memory and sizes, and accepts everything else.

    novelty        the plan, or one that differs in nothing that counts, was tried; or memory names an own twin
    unfair         the mixer would exceed the parameter limit
    contradiction  what it adds has lost against its parents several times, by memory and the record; or the record
                   expects the whole change to lose, at odds of three to one
    other          the user asked for something else

It gives no forecast: the Researcher's is made from the same record, and the record's own, fitted to whole changes,
stands beside it (agents/record.py). What adding the nearest experiments did for a third one: docs/figures/society.md.

Read `critique`; a program's edits have their own rule, `_program`.
"""

from __future__ import annotations

from move37.agents.replies import Critique
from move37.agents.search.evolution import SearchParent, change, scores
from move37.agents.search.grammar import Genome, distance, from_json, operators_in
from move37.agents.search.researcher import doubt, knowledge, parents
from move37.agents.search.size import PARAMETER_LIMIT, REFERENCE_SHAPES, parameter_limit, parameters
from move37.agents.search.user_replies import answered
from move37.agents.search.view import View
from move37.lab.numbers import scale_of
from move37.memory import render
from move37.memory.records import DeadEnd, Newness

SAME_PLAN = 0.97  # similarity of texts from which an own experiment counts as a twin, where the plan says otherwise
SAME_PROSE = 0.85  # likewise where there is no plan to compare
DEAD = 0.9  # memory's evidence from which an operator counts as having lost
TRIALS = 3  # experiments that changed an operator, and
LOSING = -0.6  # gain in units of the usual size of an operator's effect, from which it counts as having lost
FORESEEN = 0.67  # standard deviations that an expected loss lies below zero: three of four such changes lose


def critique(view: View) -> Critique:
    """Accept, or object on one ground."""
    if view.is_program:
        return _program(view)
    genome = from_json(view.plan)
    objection = _novelty(view, genome) or _unfair(genome) or _contradiction(view, genome) or _foreseen(view, genome)
    objection = objection or _user(view, genome)
    found = objection or Critique(accept=True, ground="none", reason=_acceptance(view, genome))
    return found.model_copy(update={"to_person": _answer(view, genome)})


def _novelty(view: View, genome: Genome | None) -> Critique | None:
    if genome is not None:
        for plan in view.context.tried_plans:
            other = from_json(plan)
            if other is not None and distance(genome, other) == 0:
                return Critique(
                    accept=False,
                    ground="novelty",
                    reason="A mixer that differs in nothing that counts was tried in this archive: change an operator.",
                )
    own = _newness(view).own
    if own is not None and own.similarity >= (SAME_PLAN if genome is not None else SAME_PROSE):
        return Critique(
            accept=False,
            ground="novelty",
            reason=f"Memory finds our own {own.name} ({own.key}) at {own.similarity:.2f}: change an operator.",
        )
    return None


def _unfair(genome: Genome | None) -> Critique | None:
    if genome is None:
        return None
    for shape in REFERENCE_SHAPES:
        count, limit = parameters(genome, *shape), parameter_limit(*shape)
        if count > limit:
            return Critique(
                accept=False,
                ground="unfair",
                reason=f"At width {shape[0]} it has {count} parameters, over {PARAMETER_LIMIT} times the largest "
                f"baseline, which is {limit}.",
            )
    return None


def _contradiction(view: View, genome: Genome | None) -> Critique | None:
    dead = _dead_end(view)
    asked = {*view.preferences.wanted}
    if genome is not None and asked & {*operators_in(genome)}:
        return None  # the user wants it tried again
    lost = _lost_operators(view, genome)
    if genome is not None and not lost:
        return None  # similar to what failed in its words only
    if genome is None and not dead.is_dead and dead.evidence < DEAD:
        return None
    parts = [
        f"{o} was changed {n} times and lost {scale_of(view.metric, (0.0, gain)).text(-gain)} against its parents"
        for o, n, gain in lost
    ]
    parts += [render.dead_end(dead)] if dead.lost else []
    return Critique(accept=False, ground="contradiction", reason=f"It fails again: {'; '.join(parts)}.")


def _lost_operators(view: View, genome: Genome | None) -> list[tuple[str, int, float]]:
    """The operators that are new against the parents, where every one of them has lost more than once; else none."""
    if genome is None:
        return []
    record, inherited = view.context.operators, {o for parent in parents(view) for o in operators_in(parent.genome)}
    gain = scores(knowledge(view))
    new = [o for o in operators_in(genome) if o not in inherited]
    if not all(o in record and record[o].tried >= TRIALS and gain[o] < LOSING * view.scale for o in new):
        return []
    return [(o, record[o].tried, record[o].mean_effect) for o in new]


def _foreseen(view: View, genome: Genome | None) -> Critique | None:
    """An objection where the record expects a loss at three to one, untried operators taken as neutral; else None."""
    base, record = _base(view), view.context.operators
    if genome is None or base is None or {*view.preferences.wanted} & {*operators_in(genome)}:
        return None
    now, before = {*operators_in(genome)}, {*operators_in(base.genome)}
    known = {o: record[o].mean_effect for o in now ^ before if o in record}
    gained, lost = (now - before) & known.keys(), (before - now) & known.keys()
    effect, sd = change(known, view.context.adding, gained=gained, lost=lost), doubt(view, now ^ before)
    if effect > -FORESEEN * sd:
        return None
    scale = scale_of(view.metric, (0.0, effect))
    return Critique(
        accept=False,
        ground="contradiction",
        reason=f"By what was measured of {', '.join(sorted(known))} it is expected to lose {scale.text(-effect)} "
        f"against {base.name}, give or take {scale.text(sd)}: three of four such changes lose.",
    )


def _program(view: View) -> Critique:
    """Edits of a program are told apart by their plan alone: in words and by record all random edits are alike."""
    tried = bool(view.plan) and view.plan in view.context.tried_plans
    return Critique(
        accept=not tried,
        ground="novelty" if tried else "none",
        reason="These very edits were tried." if tried else "These edits are untried; only the evaluator can tell.",
        to_person=_answer(view, None),
    )


def _user(view: View, genome: Genome | None) -> Critique | None:
    """Only right after the user spoke: later the Researcher has answered as well as it could."""
    if not view.unanswered or genome is None:
        return None
    present, preferences = {*operators_in(genome)}, view.preferences
    missing = bool(preferences.wanted) and not present & {*preferences.wanted}
    if not missing and not present & {*preferences.unwanted}:
        return None
    wanted = f" with one of {', '.join(preferences.wanted)}" if missing else ""
    unwanted = f" without {', '.join(preferences.unwanted)}" if preferences.unwanted else ""
    return Critique(accept=False, ground="other", reason=f"The user asked for a mixer{wanted}{unwanted}.")


def _acceptance(view: View, genome: Genome | None) -> str:
    newness = render.newness(_newness(view)) if view.precedents else "Memory was not asked whether it is new."
    if genome is None:
        return f"No plan to check it by; by memory's answer nothing speaks against it. {newness}"
    shape = REFERENCE_SHAPES[0]
    return (
        f"Untried here, and {parameters(genome, *shape)} of at most {parameter_limit(*shape)} parameters at width "
        f"{shape[0]}. {newness}"
    )


def _base(view: View) -> SearchParent | None:
    """What the newest proposal changes, where its genome is known."""
    return next((p for p in parents(view) if view.proposals and p.id == view.proposals[-1].base), None)


def _answer(view: View, genome: Genome | None) -> str:
    objects = _user(view, genome) is not None
    will = "I object, so that the Researcher draws with them." if objects else "The proposal agrees with them already."
    return answered(view, will=will)


def _newness(view: View) -> Newness:
    return view.precedents[0].newness if view.precedents else Newness()


def _dead_end(view: View) -> DeadEnd:
    return view.precedents[0].dead_end if view.precedents else DeadEnd()
