"""The state of an experiment's mixer, in numbers a sequence and a layer, where it is known. Pure.

Known are the lab's baselines and what the search wrote, from its own plan. A language model's file has no plan that
could be trusted: there nothing is known, and nothing is drawn.
"""

from __future__ import annotations

from move37.agents.search.codegen import genome_of
from move37.agents.search.state_size import of_baseline, state_numbers
from move37.lab.records import Experiment, Role
from move37.lab.training.sizes import D_MODEL, N_HEADS

TOKENS = 1024  # length of the sequence that the size is stated for
SEARCH = "designer"  # how the search signs what it wrote


def state_of(experiment: Experiment) -> int | None:
    """Numbers of state after `TOKENS` tokens, at the width of the quick preset; None: not known."""
    if experiment.role is Role.BASELINE:
        return of_baseline(experiment.name, width=D_MODEL, heads=N_HEADS, tokens=TOKENS)
    written = experiment.candidate
    if written is None or not written.author.startswith(SEARCH):
        return None
    genome = genome_of(written.source)
    return state_numbers(genome, width=D_MODEL, heads=N_HEADS, tokens=TOKENS) if genome else None
