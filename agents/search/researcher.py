"""The Researcher as a search: a proposal drawn from parents, record and memory; after an objection, another or none."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from move37.agents.replies import Prediction, Proposal, Proposals
from move37.agents.search import program
from move37.agents.search.catalogue import CATALOGUE
from move37.agents.search.codegen import genome_of
from move37.agents.search.evolution import Draw, Knowledge, SearchParent, change, draw, scores
from move37.agents.search.grammar import BASELINES, Genome, from_json, operators_in
from move37.agents.search.preferences import recognise
from move37.agents.search.user_replies import answered, listed
from move37.agents.search.view import View
from move37.lab.forecasts import TENTH
from move37.lab.numbers import scale_of
from move37.memory.records import Recollection

MOST_OBJECTIONS = 2  # that are answered with another draw; after the next one the proposal is withdrawn
MENTION = 0.9  # what a paper, or an analysis' next step, adds to the worth of an operator that it names, in scales
REFUSED = -0.5  # likewise for what was put in by an experiment that a gate refused


def propose(view: View) -> Proposals:
    """A new hypothesis, its revision, or its withdrawal."""
    if view.is_program:
        return program.propose(view)
    refusals = len(view.objections) + bool(view.problems)
    if len(view.objections) > MOST_OBJECTIONS:
        return _dropped(view, f"{len(view.objections)} objections stand")
    known = knowledge(view)
    found = draw(parents(view), known, view.rng("propose", len(view.offers)), boldness=refusals)
    if found is None:
        return _dropped(view, "the search found no untried mixer near its parents")
    return Proposals(ideas=[_proposal(view, found, scores(known))], to_person=_answer(view, found.genome))


def parents(view: View) -> tuple[SearchParent, ...]:
    """Parents whose genome is known: from the header of our own files, and the baselines by family."""
    found = []
    for facts in view.context.parents:
        genome = genome_of(facts.source)
        if genome is None and facts.is_baseline:
            genome = BASELINES.get(facts.family)
        if genome is not None:
            found.append(SearchParent(id=facts.id, name=facts.name or facts.family, genome=genome))
    return tuple(found)


def knowledge(view: View) -> Knowledge:
    """Everything that weights the draw."""
    rejected = [from_json(proposal.plan) for proposal in view.proposals]
    base = {o for parent in parents(view) for o in operators_in(parent.genome)}
    avoid = {o for genome in rejected if genome is not None for o in operators_in(genome) if o not in base}
    return Knowledge(
        scale=view.scale,
        record=view.context.operators,
        adding=view.context.adding,
        advice=advice(view.context.recollections, scale=view.scale, known=_known(view)),
        direction=view.direction,
        preferences=view.preferences,
        avoid=frozenset(avoid - {*view.preferences.wanted}) if view.objections else frozenset(),
        tried=tried(view),
    )


def tried(view: View) -> frozenset[Genome]:
    """Mixers of earlier experiments and of this negotiation."""
    plans = [*view.context.tried_plans, *(p.plan for p in view.proposals)]
    genomes = [from_json(plan) for plan in plans if plan]
    return frozenset(genome for genome in genomes if genome is not None)


def advice(
    recollections: Sequence[Recollection], *, scale: float, known: Collection[tuple[str, str]] = ()
) -> Mapping[str, float]:
    """Operator -> what memory adds to its worth, in scales.

    Papers, principles and the next step of an analysis raise what they name: as data where the search wrote it, by the
    grammar's words where somebody else did. An own experiment speaks of what it changed, by its effect; those `known`
    (id and name) are in the record already, which says it better.
    """
    found: dict[str, float] = {}
    for recollection in recollections:
        own = recollection.kind == "analysis"
        named = recollection.next_operators
        wanted = recognise(recollection.next).wanted if named is None else named
        for operator in wanted if own else recollection.operators:
            found[operator] = max(found.get(operator, 0.0), MENTION)
        if own and (recollection.key, recollection.title) not in known:
            for operator, moved in _told(recollection, scale).items():
                found[operator] = found.get(operator, 0.0) + moved
    return {operator: found[operator] for operator in CATALOGUE if operator in found}


def _told(lesson: Recollection, scale: float) -> Mapping[str, float]:
    """What one experiment says of each operator that it changed, in scales: the posterior of equal normal priors."""
    evidence = lesson.evidence
    if evidence is None:
        return {}
    effect = evidence.effects.parent
    if effect is None:
        return dict.fromkeys(lesson.gained, REFUSED) if evidence.status in ("failed", "rejected") else {}
    error = scale if effect.error is None else effect.error
    each = effect.gain * scale / ((len(lesson.gained) + len(lesson.lost)) * scale**2 + error**2)
    return dict.fromkeys(lesson.gained, each) | dict.fromkeys(lesson.lost, -each)


def _known(view: View) -> frozenset[tuple[str, str]]:
    return frozenset((row.experiment, row.name) for row in view.context.ledger if row.effects.parent is not None)


def _predicted(view: View, gain: Mapping[str, float], found: Draw) -> Prediction:
    """The sum of the changed operators' gains, as uncertain as they are and as effects scatter around such sums."""
    effect = change(gain, view.context.adding, gained=found.gained, lost=found.lost)
    half = TENTH * doubt(view, (*found.gained, *found.lost))
    return Prediction(effect=effect, low=effect - half, high=effect + half)


def doubt(view: View, changed: Collection[str]) -> float:
    """How far the effect of such a change may lie from the sum of its operators' gains, as a standard deviation."""
    record = view.context.operators
    return math.hypot(view.scatter, *(record[o].sd if o in record else view.scale for o in changed))


def _proposal(view: View, found: Draw, gain: Mapping[str, float]) -> Proposal:
    genome = found.genome
    focus = max(found.gained or found.lost or operators_in(genome), key=lambda operator: gain[operator])
    cited = [r for r in view.context.recollections if {*r.operators} & {*found.gained}]
    prediction = _predicted(view, gain, found)
    return Proposal(
        name=_name(genome, found),
        base=found.base.id,
        second=found.other.id if found.other else "",
        family=genome.family,
        motivation=_motivation(view, found, cited),
        change=_change(found),
        predicted_effect=_prediction(view, found, prediction.effect),
        prediction=prediction,
        probe=CATALOGUE[focus].probe if focus in found.gained else view.metric,
        risk=f"{CATALOGUE[focus].risk[0].upper()}{CATALOGUE[focus].risk[1:]}.",
        cites=list(dict.fromkeys(r.key for r in cited)),
        plan=genome.to_json(),
    )


def _name(genome: Genome, found: Draw) -> str:
    short = [
        o.replace("feature_map_", "").replace("decay_init_", "decay_").replace("parallel_", "") for o in found.gained
    ]
    if not short:
        short = [f"no_{o}" for o in found.lost] or ["varied"]
    families = "_".join(path.family for path in genome.paths)
    name = f"{families}_with_{'_'.join(s for s in short if s not in families)}".removesuffix("_with_")
    return name if len(name) <= 60 else name[:60].rpartition("_")[0]


def _change(found: Draw) -> str:
    parts = [f"{found.base.name} crossed with {found.other.name}" if found.other else f"From {found.base.name}"]
    if found.gained:
        parts.append(f"with {listed(found.gained)}")
    if found.lost:
        parts.append(f"without {listed(found.lost)}")
    if not found.gained and not found.lost:
        parts.append(f"with other settings of {listed(operators_in(found.genome))}")
    return ", ".join(parts) + "."


def _motivation(view: View, found: Draw, cited: Sequence[Recollection]) -> str:
    parts = [
        f"{CATALOGUE[o].phrase[0].upper()}{CATALOGUE[o].phrase[1:]}: {CATALOGUE[o].why}." for o in found.gained[:3]
    ]
    titles = {r.key: r.title for r in cited}  # several insights of one paper are one citation
    for key in list(titles)[:3]:
        borne = [o for r in cited if r.key == key for o in r.operators if o in found.gained]
        parts.append(f"Memory returned [{key}] {titles[key]}, which bears on {', '.join(dict.fromkeys(borne))}.")
    if not cited:
        parts.append("Nothing that memory returned bears on this change; it is a draw of the search.")
    for operator in [o for o in found.gained if o in view.context.operators][:2]:
        seen = view.context.operators[operator]
        times = "once" if seen.tried == 1 else f"{seen.tried} times"
        mean = scale_of(view.metric, (0.0, seen.mean_effect)).signed(seen.mean_effect)
        parts.append(f"{operator} was changed {times} here, mean effect {mean} against the parent.")
    if asked := [o for o in found.gained if o in view.preferences.wanted]:
        parts.append(f"The user asked for {', '.join(asked)}.")
    if view.objections:
        parts.append(f"Drawn anew after the objection on {view.objections[-1].ground}.")
    return " ".join(parts)


def _prediction(view: View, found: Draw, expected: float) -> str:
    measured = [o for o in (*found.gained, *found.lost) if o in view.context.operators]
    basis = f"from the record of {', '.join(measured)} here" if measured else "nothing of it was measured here yet"
    if not expected:
        return f"{view.metric} about as of {found.base.name} ({basis})."
    direction = "higher" if view.context.task.metric.higher_is_better is (expected > 0) else "lower"
    return f"{view.metric} about {abs(expected):.3g} {direction} than {found.base.name} ({basis})."


def _answer(view: View, genome: Genome) -> str:
    present = {*operators_in(genome)}
    kept = [o for o in view.preferences.wanted if o in present]
    refused = [o for o in view.preferences.unwanted if o in present]
    parts = [f"This proposal has {', '.join(kept)}."] if kept else []
    if view.preferences.wanted and not kept:
        parts.append("None of the wanted ones could be put into these parents and kept valid.")
    parts += [f"I could not take out {', '.join(refused)}."] if refused else []
    if view.preferences.unwanted and not refused:
        parts.append("It has none of the unwanted ones.")
    return answered(view, will=" ".join(parts))


def _dropped(view: View, why: str) -> Proposals:
    last = view.proposals[-1:] or (
        Proposal(
            name="nothing_new",
            family="other",
            motivation=f"Withdrawn by the search: {why}.",
            change="Nothing is changed.",
            predicted_effect="Nothing: it will not be measured.",
            probe=view.metric,
            risk="None.",
        ),
    )
    ideas = [p.model_copy(update={"motivation": f"Withdrawn by the search: {why}."}) for p in last]
    will = "This hypothesis is dropped; they weigh again in a proposal that is open."
    return Proposals(ideas=ideas, drop=True, to_person=answered(view, will=will))
