"""Engineer and Debugger as a search: a genome becomes a file; a refused file becomes the file of a simpler genome."""

from __future__ import annotations

from collections.abc import Sequence

from move37.agents.errors import ModelReplyInvalid
from move37.agents.models.designer import literals
from move37.agents.models.designer.emit import emit, genome_of
from move37.agents.models.designer.grammar import BASELINES, FAMILY_OPERATOR, Genome, canonical, from_json, operators_in
from move37.agents.models.designer.hearing import heard, listed
from move37.agents.models.designer.lore import Wishes, recognise
from move37.agents.models.designer.operators import put, take
from move37.agents.models.designer.scene import Scene
from move37.agents.replies import Code, Fix

# What is taken out first when a gate refuses: the parts that could have caused it, most likely first.
CULPRITS = {
    "import": ("long_conv", "sliding_window", "gla", "short_conv", "qk_l2norm", "output_gate"),
    "shape": ("sliding_window", "long_conv", "more_heads", "fewer_heads", "hierarchical_router", "rotary"),
    "finite": (
        "beta_two",
        "feature_map_softmax",
        "decay_init_long",
        "learned_floor",
        "feature_map_relu",
        "residual_path",
    ),
    "causality": ("long_conv", "sliding_window"),
    "truncation": ("long_conv", "sliding_window", "rotary"),
    "batch": ("hierarchical_router", "parallel_softmax_router", "parallel_sigmoid_router"),
    "purity": ("long_conv", "rotary"),
    "dead_parameters": ("learned_floor", "feature_map_relu", "residual_path", "hierarchical_router", "qk_rmsnorm"),
    "parameters": ("output_gate", "gla", "long_conv", "hierarchical_router", "parallel_softmax_router"),
    "complexity": ("sliding_window", "long_conv", "gla", "hierarchical_router"),
    "dtype": ("long_conv", "rotary", "qk_rmsnorm", "learned_floor"),
    "determinism": ("long_conv", "rotary"),
}


def write(scene: Scene) -> Code:
    """The file of the accepted hypothesis. Raises `ModelReplyInvalid`: it has neither a plan nor words of the
    grammar.
    """
    if scene.is_program:
        return literals.write(scene)
    genome, notes = _planned(scene), "Emitted from the plan."
    if genome is None:
        genome = _from_words(scene)
        notes = "The hypothesis has no plan of the search; this is the nearest mixer of its words."
    if genome is None:
        raise ModelReplyInvalid(
            "designer is a search: the hypothesis holds neither its plan nor a word of its grammar, so no file"
        )
    before = genome
    genome = _wished(genome, _last_wishes(scene), scene)
    will = (
        "I changed the file accordingly."
        if genome != before
        else "The file cannot be changed so and stay valid, or is so."
    )
    return Code(source=_file(scene, genome), notes=notes, to_person=heard(scene, will=will))


def mend(scene: Scene) -> Fix:
    """The file of a genome without the likely culprit, or the honest end."""
    if scene.is_program:
        return literals.mend(scene)
    source = scene.facts.get("source", "")
    genome = genome_of(source)
    refused = [gate["name"] for gate in scene.facts.get("gates", []) if gate["passed"] is False]
    will = "They weigh in the next proposal; here I only mend what the gate refused."
    if genome is None:
        diagnosis = "I am a search and can only mend files that my grammar wrote; this one is not."
        return Fix(diagnosis=diagnosis, source=source or "# nothing\n", give_up=True, to_person=heard(scene, will=will))
    simpler, removed = _simpler(genome, refused, scene)
    if simpler is None:
        diagnosis = f"Gate {', '.join(refused) or 'unknown'}: nothing is left that could be taken out of this mixer."
        return Fix(diagnosis=diagnosis, source=source, give_up=True, to_person=heard(scene, will=will))
    return Fix(
        diagnosis=f"Gate {', '.join(refused)} refused; the likeliest cause in the grammar is {removed}: changed.",
        source=_file(scene, simpler),
        to_person=heard(scene, will=will),
    )


def _planned(scene: Scene) -> Genome | None:
    return from_json(scene.plan)


def _from_words(scene: Scene) -> Genome | None:
    """A hypothesis in prose, from a person or a language model: what the grammar recognises in it."""
    h = scene.hypothesis
    wishes = recognise(f"{h.get('name', '').replace('_', ' ')}. {h.get('change', '')}")
    base = BASELINES.get(str(h.get("family", "")))
    if base is None:
        family = next((f for f, operator in FAMILY_OPERATOR.items() if operator in wishes.wanted), None)
        base = BASELINES.get(family or "")
    if base is None and not wishes.wanted:
        return None
    genome = base or BASELINES["gated_delta"]
    changed = _wished(genome, wishes, scene)
    return changed if changed != genome or base is not None else None


def _last_wishes(scene: Scene) -> Wishes:
    wishes = Wishes()
    for line in scene.unanswered:
        wishes = wishes.without(recognise(line))
    return wishes


def _wished(genome: Genome, wishes: Wishes, scene: Scene) -> Genome:
    rng = scene.rng("wish")
    for operator in wishes.wanted:
        if operator not in operators_in(genome):
            genome = put(operator, genome, rng) or genome
    for operator in wishes.unwanted:
        genome = take(operator, genome, rng) or genome
    return canonical(genome)


def _simpler(genome: Genome, refused: Sequence[str], scene: Scene) -> tuple[Genome | None, str]:
    rng = scene.rng("mend")
    if refused == ["novelty"]:
        for operator in rng.sample(sorted(CULPRITS["finite"] + ("rotary", "qk_rmsnorm", "more_heads")), 9):
            if (moved := put(operator, genome, rng) or take(operator, genome, rng)) is not None:
                return moved, operator
    present = operators_in(genome)
    suspects = [o for gate in refused for o in CULPRITS.get(gate, ()) if o in present]
    suspects += [o for o in reversed(present) if o not in suspects]  # not by name: then anything that can go
    for operator in suspects:
        if (moved := take(operator, genome, rng)) is not None:
            return moved, operator
    return None, ""


def _file(scene: Scene, genome: Genome) -> str:
    h = scene.hypothesis
    motivation = f"{h.get('change', '')} {h.get('motivation', '')}".strip()
    name = str(h.get("name", "")) or genome.family
    return emit(genome, name=f"{name}: {listed(operators_in(genome)[:4])}", motivation=motivation[:900])
