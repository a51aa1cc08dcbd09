"""The Critic as a search: it objects where the record, memory or arithmetic says so, and accepts everything else.

    novelty        the plan, or one that differs in nothing that counts, was tried; or memory names an own twin
    unfair         the mixer would exceed the parameter limit
    contradiction  memory holds strong evidence that it fails, and the archive's record of its parts agrees
    other          the person asked for something else

Read `judge`; a program's edits have their own rule, `_program`.
"""

from __future__ import annotations

from move37.agents.models.designer.grammar import (
    PARAMETER_LIMIT,
    REFERENCE_SHAPES,
    Genome,
    distance,
    from_json,
    operators_in,
    parameter_limit,
    parameters,
)
from move37.agents.models.designer.hearing import heard
from move37.agents.models.designer.researcher import parents
from move37.agents.models.designer.scene import Scene
from move37.agents.models.designer.search import scores
from move37.agents.replies import Critique

SAME_PLAN = 0.97  # similarity of texts from which an own experiment counts as a twin, where the plan says otherwise
SAME_PROSE = 0.85  # likewise where there is no plan to compare
DEAD = 0.75  # evidence from which a dead end is believed
TRIALS, LOSING = 3, -0.02  # measured experiments, and relative gain, from which an operator counts as having lost


def judge(scene: Scene) -> Critique:
    """Accept, or object on one ground."""
    if scene.is_program:
        return _program(scene)
    genome = from_json(scene.plan)
    objection = _novelty(scene, genome) or _unfair(genome) or _contradiction(scene, genome) or _person(scene, genome)
    if objection is None:
        return Critique(accept=True, ground="none", reason=_acceptance(scene, genome), to_person=_answer(scene, genome))
    return objection.model_copy(update={"to_person": _answer(scene, genome)})


def _novelty(scene: Scene, genome: Genome | None) -> Critique | None:
    own = scene.facts.get("nearest_own", "")
    similarity = scene.facts.get("newness_similarity", 0.0)
    if genome is not None:
        for plan in scene.facts.get("tried_plans", []):
            other = from_json(plan)
            if other is not None and distance(genome, other) == 0:
                return Critique(
                    accept=False,
                    ground="novelty",
                    reason="A mixer that differs in nothing that counts was tried in this archive: change an operator.",
                )
    if own and similarity >= (SAME_PLAN if genome is not None else SAME_PROSE):
        return Critique(
            accept=False,
            ground="novelty",
            reason=f"Memory finds our own {own} at {similarity:.2f}: change an operator.",
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


def _contradiction(scene: Scene, genome: Genome | None) -> Critique | None:
    evidence = scene.facts.get("dead_end_evidence", 0.0)
    if evidence < DEAD:
        return None
    asked = {*scene.wishes.wanted}
    if genome is not None and (asked & {*operators_in(genome)} or not _record_agrees(scene, genome)):
        return None  # the person wants it tried again, or only its words are like those of what failed
    return Critique(
        accept=False,
        ground="contradiction",
        reason=f"Memory holds evidence {evidence:.2f} against it: {scene.facts.get('dead_end', '')[:300]}",
    )


def _record_agrees(scene: Scene, genome: Genome) -> bool:
    """Whether everything that is new against the parents has lost here already, more than once."""
    record = {name: (r["tried"], r["mean_effect"]) for name, r in scene.facts.get("operators", {}).items()}
    inherited = {o for parent in parents(scene) for o in operators_in(parent.genome)}
    new = [o for o in operators_in(genome) if o not in inherited]
    gain = scores(record)
    return bool(new) and all(record.get(o, (0, 0.0))[0] >= TRIALS and gain[o] < LOSING for o in new)


def _program(scene: Scene) -> Critique:
    """Edits of a program are told apart by their plan alone: in words and by record all random edits are alike."""
    tried = bool(scene.plan) and scene.plan in scene.facts.get("tried_plans", [])
    return Critique(
        accept=not tried,
        ground="novelty" if tried else "none",
        reason="These very edits were tried." if tried else "These edits are untried; only the evaluator can tell.",
        to_person=_answer(scene, None),
    )


def _person(scene: Scene, genome: Genome | None) -> Critique | None:
    """Only right after the person spoke: later the Researcher has answered as well as it could."""
    if not scene.unanswered or genome is None:
        return None
    present, wishes = {*operators_in(genome)}, scene.wishes
    missing = bool(wishes.wanted) and not present & {*wishes.wanted}
    if not missing and not present & {*wishes.unwanted}:
        return None
    wanted = f" with one of {', '.join(wishes.wanted)}" if missing else ""
    unwanted = f" without {', '.join(wishes.unwanted)}" if wishes.unwanted else ""
    return Critique(accept=False, ground="other", reason=f"The person asked for a mixer{wanted}{unwanted}.")


def _acceptance(scene: Scene, genome: Genome | None) -> str:
    newness = scene.facts.get("newness", "") or "Memory was not asked whether it is new."
    if genome is None:
        return f"No plan to check it by; by memory's answer nothing speaks against it. {newness}"
    shape = REFERENCE_SHAPES[0]
    return (
        f"Untried here, and {parameters(genome, *shape)} of at most {parameter_limit(*shape)} parameters at width "
        f"{shape[0]}. {newness}"
    )


def _answer(scene: Scene, genome: Genome | None) -> str:
    objects = _person(scene, genome) is not None
    will = "I object, so that the Researcher draws with them." if objects else "The proposal agrees with them already."
    return heard(scene, will=will, program=scene.is_program)
