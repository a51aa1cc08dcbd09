"""The Researcher as a search: a proposal drawn from parents, record and advice; after an objection, another or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from move37.agents.dossier import RecollectionFacts
from move37.agents.models.designer import literals
from move37.agents.models.designer.emit import genome_of
from move37.agents.models.designer.grammar import BASELINES, Genome, from_json, operators_in
from move37.agents.models.designer.hearing import heard, listed
from move37.agents.models.designer.lore import LORE, recognise
from move37.agents.models.designer.scene import Scene
from move37.agents.models.designer.search import ADVICE, Draw, Knowledge, Parent, draw, scores
from move37.agents.replies import Proposal

MOST_OBJECTIONS = 2  # answered with another draw; the next one is answered by dropping
SMALLEST_GAIN = 0.005  # a search hopes, but not for less than this
Record = Mapping[str, tuple[int, float]]  # operator -> (tried, mean gain)


def propose(scene: Scene) -> Proposal:
    """A new hypothesis, its revision, or its withdrawal."""
    if scene.is_program:
        return literals.propose(scene)
    if len(scene.objections) > MOST_OBJECTIONS:
        return _dropped(scene, f"{len(scene.objections)} objections stand")
    known = knowledge(scene)
    found = draw(parents(scene), known, scene.rng("propose"), boldness=len(scene.objections))
    if found is None:
        return _dropped(scene, "the search found no untried mixer near its parents")
    return _proposal(scene, found, known.record)


def parents(scene: Scene) -> tuple[Parent, ...]:
    """Parents whose genome is known: from the header of our own files, and the baselines by family."""
    found = []
    for facts in scene.facts.get("parents", []):
        genome = genome_of(facts["source"])
        if genome is None and facts["role"] == "baseline":
            genome = BASELINES.get(facts["family"])
        if genome is not None:
            found.append(Parent(id=facts["id"], name=facts["name"] or facts["family"], genome=genome))
    return tuple(found)


def knowledge(scene: Scene) -> Knowledge:
    """Everything that weights the draw."""
    record = scene.facts.get("operators", {})
    rejected = [from_json(proposal.plan) for proposal in scene.proposals]
    base = {o for parent in parents(scene) for o in operators_in(parent.genome)}
    avoid = {o for genome in rejected if genome is not None for o in operators_in(genome) if o not in base}
    return Knowledge(
        record={name: (r["tried"], r["mean_effect"]) for name, r in record.items()},
        advice=advice(scene.facts.get("recollections", [])),
        direction=scene.direction,
        wishes=scene.wishes,
        avoid=frozenset(avoid - {*scene.wishes.wanted}) if scene.objections else frozenset(),
        tried=tried(scene),
    )


def tried(scene: Scene) -> frozenset[Genome]:
    """Mixers of earlier experiments and of this negotiation."""
    plans = [*scene.facts.get("tried_plans", []), *(p.plan for p in scene.proposals)]
    genomes = [from_json(plan) for plan in plans if plan]
    return frozenset(genome for genome in genomes if genome is not None)


def advice(recollections: Sequence[RecollectionFacts]) -> Mapping[str, float]:
    """What each operator's weight is multiplied by: papers speak for theirs, our own analyses by how they ended."""
    factors: dict[str, float] = {}
    for recollection in recollections:
        factor, operators = ADVICE, list(recollection["operators"])
        if recollection["kind"] != "cognition":
            factor, following = _own_advice(recollection)
            for operator in following:
                factors[operator] = max(factors.get(operator, 1.0), ADVICE)
        for operator in operators:
            if operator in LORE and operator not in factors:
                factors[operator] = factor
    return factors


def _own_advice(recollection: RecollectionFacts) -> tuple[float, tuple[str, ...]]:
    """A factor for the operators that were used, and the operators that the analysis says to try next."""
    following = recognise(recollection["next"]).wanted if recollection["next"] else ()
    effect = recollection["effect"]
    if effect is None:
        return (0.6 if recollection["status"] in ("failed", "rejected") else 1.0), following
    return (1.5 if effect > 0 else 0.7), following


def _proposal(scene: Scene, found: Draw, record: Record) -> Proposal:
    genome, gain = found.genome, scores(record)
    focus = max(found.gained or found.lost or operators_in(genome), key=lambda operator: gain[operator])
    cited = [r for r in scene.facts.get("recollections", []) if {*r["operators"]} & {*found.gained}]
    change = _change(found)
    answer = heard(scene, will=_will(scene, genome))
    return Proposal(
        name=_name(genome, found),
        family=genome.family,
        motivation=_motivation(scene, found, cited),
        change=change,
        predicted_effect=_prediction(scene, found, record),
        probe=LORE[focus].probe if focus in found.gained else scene.facts.get("metric", "bits_per_byte"),
        risk=f"{LORE[focus].risk[0].upper()}{LORE[focus].risk[1:]}.",
        cites=list(dict.fromkeys(r["key"] for r in cited)),
        plan=genome.to_json(),
        to_person=answer,
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


def _motivation(scene: Scene, found: Draw, cited: Sequence[RecollectionFacts]) -> str:
    record = scene.facts.get("operators", {})
    parts = [f"{LORE[o].phrase[0].upper()}{LORE[o].phrase[1:]}: {LORE[o].why}." for o in found.gained[:3]]
    titles = {r["key"]: r["title"] for r in cited}  # several insights of one paper are one citation
    for key in list(titles)[:3]:
        borne = [o for r in cited if r["key"] == key for o in r["operators"] if o in found.gained]
        parts.append(f"Memory returned [{key}] {titles[key]}, which bears on {', '.join(dict.fromkeys(borne))}.")
    if not cited:
        parts.append("Nothing that memory returned bears on this change; it is a draw of the search.")
    for operator in [o for o in found.gained if o in record][:2]:
        seen = record[operator]
        times = "once" if seen["tried"] == 1 else f"{seen['tried']} times"
        parts.append(f"{operator} was measured {times} here, mean effect {seen['mean_effect']:+.3f}.")
    if asked := [o for o in found.gained if o in scene.wishes.wanted]:
        parts.append(f"The person asked for {', '.join(asked)}.")
    if scene.objections:
        parts.append(f"Drawn anew after the objection on {scene.objections[-1].ground}.")
    return " ".join(parts)


def _prediction(scene: Scene, found: Draw, record: Record) -> str:
    gain = scores(record)
    expected = sum(gain[o] for o in found.gained) - sum(gain[o] for o in found.lost)
    metric = scene.facts.get("metric", "bits_per_byte")
    measured = [o for o in (*found.gained, *found.lost) if record.get(o, (0, 0.0))[0] > 0]
    basis = (
        f"the record of {', '.join(measured)} here" if measured else "the grammar's prior, nothing measured here yet"
    )
    direction = "higher" if scene.facts.get("higher_is_better", False) else "lower"
    return f"{metric} about {max(expected, SMALLEST_GAIN):.3f} {direction} than {found.base.name} (from {basis})."


def _will(scene: Scene, genome: Genome) -> str:
    present = {*operators_in(genome)}
    kept = [o for o in scene.wishes.wanted if o in present]
    refused = [o for o in scene.wishes.unwanted if o in present]
    parts = [f"This proposal has {', '.join(kept)}."] if kept else []
    if scene.wishes.wanted and not kept:
        parts.append("None of the wanted ones could be put into these parents and kept valid.")
    parts += [f"I could not take out {', '.join(refused)}."] if refused else []
    if scene.wishes.unwanted and not refused:
        parts.append("It has none of the unwanted ones.")
    return " ".join(parts)


def _dropped(scene: Scene, why: str) -> Proposal:
    last = scene.proposals[-1] if scene.proposals else None
    return Proposal(
        name=last.name if last else "nothing_new",
        family=last.family if last else "other",
        motivation=f"Withdrawn by the search: {why}.",
        change=last.change if last else "Nothing is changed.",
        predicted_effect="Nothing: it will not be measured.",
        probe=scene.facts.get("metric", "bits_per_byte"),
        risk="None.",
        plan=last.plan if last else "",
        drop=True,
        to_person=heard(scene, will="This hypothesis is dropped; they weigh again in a proposal that is open."),
    )
