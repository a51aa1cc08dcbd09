"""The typed grammar of mixers: what a genome may say, which genomes are valid, and how large the mixer will be.

    Genome = 1 to 3 `Path`s over shared queries, keys and values, a router between them, and what surrounds them all:
    short convolution, output norm, output gate, learned floor, residual path, number of heads

Read `Path`, `Genome`, `canonical` (one spelling for each meaning, so that equal mixers have equal plans), `faults`
(what is invalid, and why); size.py counts parameters. `operators_in` names the operators that a genome uses.
Not covered: how a genome becomes source (codegen.py), how it changes (operators.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Literal, get_args

Family = Literal[
    "softmax", "linear", "retention", "ssd", "gla", "delta", "gated_delta", "short_conv", "long_conv"
]  # fmt: skip
Norm = Literal["none", "l2", "rms"]
Feature = Literal["none", "elu", "relu", "silu", "softmax"]
Decay = Literal["default", "long", "short", "spread"]
Router = Literal["none", "softmax", "sigmoid", "hierarchical"]
Gate = Literal["none", "full", "low"]  # low: through a quarter of the width
Floor = Literal["none", "decay", "router"]
Heads = Literal["fewer", "same", "more"]

FAMILIES: tuple[Family, ...] = get_args(Family)
WINDOWS = (16, 32, 64)  # positions that a softmax path sees
MAX_PATHS = 3
CONV_WIDTH = 4
MODES = 4  # exponentials that a long convolution's filter is the sum of
GATED_DECAY = ("ssd", "gla", "gated_delta")  # the input decides what is forgotten
DECAYING = ("retention", *GATED_DECAY)
ERASING = ("delta", "gated_delta")
CONVOLVING = ("short_conv", "long_conv")
MAPPED = ("linear", "retention", "ssd", "gla", "delta", "gated_delta")  # may have a feature map
SUMMING = ("linear", "retention", "ssd", "gla")  # output grows with what was written: needs the output norm


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One way through time."""

    family: Family
    norm: Norm = "none"  # of queries and keys
    feature: Feature = "none"  # map of queries and keys
    beta: int = 1  # upper end of the write strength, 1 or 2
    decay: Decay = "default"  # how the memory spans of the heads start
    rotary: bool = False
    window: int = 0  # positions; softmax only


@dataclass(frozen=True, slots=True, kw_only=True)
class Genome:
    """One mixer."""

    paths: tuple[Path, ...]
    router: Router = "none"
    conv: bool = True  # short convolution on queries, keys and values
    out_norm: bool = True
    gate: Gate = "full"
    floor: Floor = "none"
    residual: bool = False  # values reach the output directly, with a learned weight a head
    heads: Heads = "same"

    @property
    def family(self) -> str:
        """As the lab calls it."""
        first = self.paths[0].family
        return "conv" if first in CONVOLVING else first

    def to_json(self) -> str:
        """The plan: canonical, one line."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=4096)  # the record of what was tried is read again for every experiment
def from_json(text: str) -> Genome | None:
    """The genome of a plan; None when the text is no valid genome of ours (foreign text enters here)."""
    try:
        data = json.loads(text)
        genome = Genome(**(data | {"paths": tuple(Path(**path) for path in data["paths"])}))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if not _well_typed(genome) or faults(genome):
        return None
    return canonical(genome)


def canonical(genome: Genome) -> Genome:
    """The same mixer with everything that has no effect spelled one way. Order of paths after the first is free."""
    first, *rest = (_canonical_path(path) for path in genome.paths)
    paths = (first, *sorted(rest, key=lambda path: FAMILIES.index(path.family)))
    several = len(paths) > 1
    floor = genome.floor
    if (floor == "router" and not several) or (floor == "decay" and not any(p.family in GATED_DECAY for p in paths)):
        floor = "none"
    return replace(genome, paths=paths, router=genome.router if several else "none", floor=floor)


def faults(genome: Genome) -> tuple[str, ...]:
    """Why a genome is invalid, one clause each; empty when it is valid."""
    families = [path.family for path in genome.paths]
    found = []
    if not 1 <= len(families) <= MAX_PATHS:
        found.append(f"{len(families)} paths: 1 to {MAX_PATHS} are possible")
    if len(set(families)) < len(families):
        found.append("two paths of one family")
    if len(families) > 1 and genome.router == "none":
        found.append("parallel paths need a router")
    if genome.router == "hierarchical" and len(families) < MAX_PATHS:
        found.append("a hierarchical router needs three paths")
    for path in genome.paths:
        if path.family in ERASING and path.norm != "l2":
            found.append("an erasing write needs keys of length one, or it diverges")
        if path.family == "softmax" and path.window not in WINDOWS:
            found.append("softmax only inside a fixed window: the task demands near-linear time")
    if any(family in SUMMING for family in families) and not genome.out_norm:
        found.append("a sum without a denominator needs the output norm")
    return tuple(found)


def operators_in(genome: Genome) -> tuple[str, ...]:
    """Names of the operators (memory/cognition/operators.txt) that this mixer uses, in the grammar's order."""
    used = {FAMILY_OPERATOR[path.family] for path in genome.paths}
    for path in genome.paths:
        used |= {"sliding_window"} if path.family == "softmax" else set()
        used |= {f"qk_{path.norm}norm"} if path.norm != "none" else set()
        used |= {f"feature_map_{path.feature}"} if path.feature != "none" else set()
        used |= {"beta_two"} if path.beta == 2 else set()
        used |= {f"decay_init_{path.decay}"} if path.decay != "default" else set()
        used |= {"rotary"} if path.rotary else set()
    flags = {
        "short_conv": genome.conv,
        "output_norm": genome.out_norm,
        "output_gate": genome.gate != "none",
        "learned_floor": genome.floor != "none",
        "residual_path": genome.residual,
        ROUTER_OPERATOR.get(genome.router, ""): genome.router != "none",
        f"{genome.heads}_heads": genome.heads != "same",
    }
    return tuple(sorted(used | {name for name, on in flags.items() if on}))


FAMILY_OPERATOR: Mapping[str, str] = {
    "softmax": "softmax_attention",
    "linear": "linear_attention",
    "retention": "retention",
    "ssd": "ssd",
    "gla": "gla",
    "delta": "delta_rule",
    "gated_delta": "gated_delta_rule",
    "short_conv": "short_conv",
    "long_conv": "long_conv",
}
ROUTER_OPERATOR: Mapping[str, str] = {
    "softmax": "parallel_softmax_router",
    "sigmoid": "parallel_sigmoid_router",
    "hierarchical": "hierarchical_router",
}

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


def distance(one: Genome, other: Genome) -> int:
    """In how many choices two genomes differ; window and rank of the gate do not count (near-identical is 0)."""
    mine, theirs = ({path.family: path for path in g.paths} for g in (one, other))
    apart: int = 2 * len(set(mine) ^ set(theirs))
    for family in set(mine) & set(theirs):
        a, b = asdict(mine[family]), asdict(theirs[family])
        apart += len([name for name in a if name != "window" and a[name] != b[name]])
    apart += sum(
        getattr(one, name) != getattr(other, name)
        for name in ("router", "conv", "out_norm", "floor", "residual", "heads")
    )
    return apart + ((one.gate == "none") != (other.gate == "none"))


def _canonical_path(path: Path) -> Path:
    family = path.family
    return Path(
        family=family,
        norm="none" if family in CONVOLVING else path.norm,
        feature=path.feature if family in MAPPED else "none",
        beta=path.beta if family in ERASING else 1,
        decay=path.decay if family in DECAYING else "default",
        rotary=path.rotary and family not in CONVOLVING,
        window=path.window if family == "softmax" else 0,
    )


def _well_typed(genome: Genome) -> bool:
    choices: tuple[tuple[Any, Any], ...] = (
        (genome.router, Router),
        (genome.gate, Gate),
        (genome.floor, Floor),
        (genome.heads, Heads),
        *((path.family, Family) for path in genome.paths),
        *((path.norm, Norm) for path in genome.paths),
        *((path.feature, Feature) for path in genome.paths),
        *((path.decay, Decay) for path in genome.paths),
    )
    flags = (genome.conv, genome.out_norm, genome.residual, *(path.rotary for path in genome.paths))
    return (
        all(isinstance(value, str) and value in get_args(kind) for value, kind in choices)
        and all(isinstance(flag, bool) for flag in flags)
        and all(type(path.beta) is int and path.beta in (1, 2) and type(path.window) is int for path in genome.paths)
    )
