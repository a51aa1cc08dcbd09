"""Engineer and Debugger as a search: a genome becomes a file; a refused file becomes the file of a simpler genome."""

from __future__ import annotations

from collections.abc import Sequence

from move37.agents.errors import ModelReplyInvalid
from move37.agents.replies import Code, Fix
from move37.agents.search import program
from move37.agents.search.codegen import emit, genome_of
from move37.agents.search.grammar import Genome, canonical, from_json, operators_in
from move37.agents.search.operators import put, take
from move37.agents.search.preferences import Preferences, recognise
from move37.agents.search.user_replies import answered, listed
from move37.agents.search.view import View

BLOCKS = ("block_before", "block_beside", "block_after")
# Gate -> operators that are taken out first when it refuses, the likeliest cause first.
CULPRITS = {
    "import": ("long_conv", "sliding_window", "gla", "short_conv", "qk_l2norm", "output_gate"),
    "shape": ("sliding_window", "long_conv", "more_heads", "fewer_heads", "hierarchical_router", "rotary"),
    "finite": (
        "beta_two",
        "second_pass",
        "several_reflections",
        "separate_erase_write",
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
    "dead_parameters": (
        "chained_paths",
        "learned_floor",
        "feature_map_relu",
        "residual_path",
        "hierarchical_router",
        "qk_rmsnorm",
    ),
    "parameters": (
        "block_before",
        "block_beside",
        "block_after",
        "wide_values",
        "output_gate",
        "gla",
        "long_conv",
        "hierarchical_router",
        "parallel_softmax_router",
    ),
    "complexity": (
        "log_linear_state",
        "block_before",
        "block_beside",
        "block_after",
        "sliding_window",
        "long_conv",
        "gla",
        "hierarchical_router",
    ),
    "dtype": ("long_conv", "rotary", "qk_rmsnorm", "learned_floor"),
    "determinism": ("long_conv", "rotary"),
}


def implement(view: View) -> Code:
    """The file of the accepted hypothesis.

    Raises `ModelReplyInvalid`: it has no plan of the grammar; none is made out of prose.
    """
    if view.is_program:
        return program.implement(view)
    before = from_json(view.plan)
    if before is None:
        raise ModelReplyInvalid(
            "designer is a search: the hypothesis holds no plan of its grammar, and it builds nothing from prose"
        )
    genome = _wished(before, _last_wishes(view), view)
    will = (
        "I changed the file accordingly."
        if genome != before
        else "The file cannot be changed so and stay valid, or is so."
    )
    return Code(source=_file(view, genome), notes="Emitted from the plan.", to_person=answered(view, will=will))


def repair(view: View) -> Fix:
    """The file of the genome without the likeliest cause, or giving up. Raises `ValueError`: nothing was refused."""
    if view.is_program:
        return program.repair(view)
    if view.refused is None:
        raise ValueError("there is no refused file to repair")
    source = view.refused.candidate.source
    genome = genome_of(source)
    refused = [gate.name for gate in view.refused.gates]
    answer = answered(view, will="They weigh in the next proposal; here I only change what the gate refused.")
    if genome is None:
        diagnosis = "I am a search and can only repair files that my grammar wrote; this one is not."
        return Fix(diagnosis=diagnosis, source=source or "# nothing\n", give_up=True, to_person=answer)
    simpler, removed = _simpler(genome, refused, view)
    if simpler is None:
        diagnosis = f"Gate {', '.join(refused) or 'unknown'}: nothing is left that could be taken out of this mixer."
        return Fix(diagnosis=diagnosis, source=source, give_up=True, to_person=answer)
    return Fix(
        diagnosis=f"Gate {', '.join(refused)} refused; the likeliest cause in the grammar is {removed}: changed.",
        source=_file(view, simpler),
        learned=f"{removed} beside {', '.join(operators_in(simpler)[:3])} is what gate {', '.join(refused)} refuses.",
        to_person=answer,
    )


def _last_wishes(view: View) -> Preferences:
    preferences = Preferences()
    for line in view.unanswered:
        preferences = preferences.without(recognise(line))
    return preferences


def _wished(genome: Genome, preferences: Preferences, view: View) -> Genome:
    rng = view.rng("wish")
    for operator in preferences.wanted:
        if operator not in operators_in(genome):
            genome = put(operator, genome, rng) or genome
    for operator in preferences.unwanted:
        genome = take(operator, genome, rng) or genome
    return canonical(genome)


def _simpler(genome: Genome, refused: Sequence[str], view: View) -> tuple[Genome | None, str]:
    rng = view.rng("mend", view.refused.candidate.attempt - 1 if view.refused else 0)
    if refused == ["novelty"]:
        for operator in rng.sample(sorted(CULPRITS["finite"] + ("rotary", "qk_rmsnorm", "more_heads")), 9):
            if (moved := put(operator, genome, rng) or take(operator, genome, rng)) is not None:
                return moved, operator
    present = operators_in(genome)
    suspects = [o for gate in refused for o in CULPRITS.get(gate, ()) if o in present]
    suspects += [o for o in reversed(present) if o not in suspects]  # then any other operator that can be taken out
    for operator in suspects:
        if (moved := take(operator, genome, rng)) is not None:
            return moved, operator
    return None, ""


def _file(view: View, genome: Genome) -> str:
    h = view.hypothesis
    motivation = f"{h.change} {h.motivation}".strip() if h else ""
    name = h.name if h else genome.family
    return emit(genome, name=f"{name}: {listed(operators_in(genome)[:4])}", motivation=motivation[:900])
