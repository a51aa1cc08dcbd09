"""The typed grammar of mixers: `from_json` for foreign plans, and the lab's baselines as genomes.

A mixer is a composition of blocks. One block is 1 to 3 paths over shared queries, keys and values, parallel behind a
router or chained, with what happens to each stream around them; further blocks with weights of their own may stand
before it, beside it or after it, and the block may be applied twice.

Read genome.py (the records), spelling.py (`canonical`: one spelling for each meaning, so that equal mixers have equal
plans; `faults`: what is invalid, and why), naming.py (`operators_in`, `distance`); size.py counts parameters.
Not covered: how a genome becomes source (codegen.py), how it changes (operators.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

from move37.agents.search.genome import (
    CONVOLVING,
    DECAYING,
    ERASING,
    FAMILIES,
    GATED_DECAY,
    MAPPED,
    MAX_PATHS,
    SUMMING,
    WINDOWS,
    Decay,
    Family,
    Feature,
    Floor,
    Genome,
    Heads,
    Norm,
    Path,
    Router,
    SmallBlock,
    Stream,
    genome_from,
)
from move37.agents.search.naming import FAMILY_OPERATOR, ROUTER_OPERATOR, distance, operators_in
from move37.agents.search.spelling import canonical, faults, well_typed

__all__ = [
    "BASELINES", "CONVOLVING", "DECAYING", "ERASING", "FAMILIES", "FAMILY_OPERATOR", "GATED_DECAY", "MAPPED",
    "MAX_PATHS", "ROUTER_OPERATOR", "SUMMING", "WINDOWS", "Decay", "Family", "Feature", "Floor", "Genome", "Heads",
    "Norm", "Path", "Router", "SmallBlock", "Stream", "canonical", "distance", "faults", "from_json", "operators_in",
]  # fmt: skip

# What the lab's own seven baselines are, in this grammar (softmax inside a window, which the baseline is not).
BASELINES: Mapping[str, Genome] = {
    "softmax": Genome(paths=(Path(family="softmax", norm="rms", rotary=True, window=64),)),
    "linear": Genome(paths=(Path(family="linear", feature="elu"),)),
    "retention": Genome(paths=(Path(family="retention"),)),
    "ssd": Genome(paths=(Path(family="ssd"),), residual=True),
    "gla": Genome(paths=(Path(family="gla"),)),
    "delta": Genome(paths=(Path(family="delta", norm="l2", beta=2),)),
    "gated_delta": Genome(paths=(Path(family="gated_delta", norm="l2"),)),
}


@lru_cache(maxsize=4096)  # the record of what was tried is read again for every experiment
def from_json(text: str) -> Genome | None:
    """The genome of a plan; None when the text is no valid genome of ours (foreign text enters here).

    Plans of older campaigns lack newer fields, whose defaults are what was the case then.
    """
    try:
        genome = genome_from(json.loads(text))
        valid = well_typed(genome) and not faults(genome)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return canonical(genome) if valid else None
