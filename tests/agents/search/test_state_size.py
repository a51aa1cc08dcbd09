"""The state of a mixer: numbers that agree with what the built mixer lets through from the past to the future."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from move37.agents.search import state_size
from move37.agents.search.codegen import emit
from move37.agents.search.genome import PLACES, STREAMS, Genome, Path, SmallBlock, Stream
from move37.agents.search.grammar import BASELINES
from move37.agents.search.state_size import of_baseline, state_numbers
from move37.lab.baselines import NAMES, source

WIDTH, HEADS, PAST, FUTURE = 8, 2, 24, 24
SMALL = Genome(paths=(Path(family="linear", feature="elu"),), conv=False)
GENOMES = [
    *BASELINES.values(),
    Genome(paths=(Path(family="long_conv"),), conv=False),
    Genome(paths=(Path(family="short_conv"),), conv=False),
    Genome(paths=(Path(family="softmax", window=16),), conv=False),
    Genome(paths=(Path(family="gla"), Path(family="delta", norm="l2")), router="softmax", conv=False),
    Genome(paths=(Path(family="gated_delta", norm="l2"),), heads="fewer"),
    Genome(paths=(Path(family="kda", norm="l2"),), conv=False),
    Genome(paths=(Path(family="delta", norm="l2", steps=2),), conv=False),
    Genome(paths=(Path(family="delta", norm="l2", separate=True),), conv=False),
    Genome(paths=(Path(family="retention", tree=True),), conv=False),
    Genome(paths=(Path(family="kda", norm="l2", tree=True),), conv=False),
    Genome(paths=(Path(family="gla"),), conv=False, keys="half"),
    Genome(paths=(Path(family="gla"),), conv=False, values="double"),
    Genome(paths=(Path(family="gla"),), taps=6),
    Genome(paths=(Path(family="gla"), Path(family="delta", norm="l2")), router="chain", conv=False),
    Genome(paths=(Path(family="retention"),), conv=False, passes=2),
    *(
        Genome(paths=(Path(family="retention"),), conv=False, streams=(stream,))
        for name in STREAMS for stream in (Stream(name=name, mix="shift"), Stream(name=name, mix="conv", taps=3))
    ),
    *(
        Genome(paths=(Path(family="retention"),), conv=False, around=(SmallBlock(place=place, block=SMALL),))
        for place in PLACES
    ),
]  # fmt: skip


def let_through(source: str) -> int:
    """Rank of the derivative of later outputs by earlier inputs: at most as much as the state holds."""
    torch.manual_seed(0)
    space: dict[str, type[torch.nn.Module]] = {}
    exec(compile(source, "it.py", "exec"), space)
    mixer = space["Mixer"](WIDTH, HEADS).double().eval()
    rows = FUTURE * WIDTH  # outputs; a copy of the sequence for each, so that one pass backwards gives all derivatives
    x = torch.randn(1, PAST + FUTURE, WIDTH, dtype=torch.float64).repeat(rows, 1, 1)
    past = x[:, :PAST].requires_grad_()
    later = mixer(torch.cat([past, x[:, PAST:]], dim=1))[:, PAST:]
    (derivatives,) = torch.autograd.grad(later.reshape(rows, rows).diagonal().sum(), past)
    return int(torch.linalg.matrix_rank(derivatives.reshape(rows, PAST * WIDTH), rtol=1e-9))


@pytest.mark.parametrize("genome", GENOMES, ids=lambda g: g.to_json())
def test_no_more_comes_through_than_the_state_holds(genome: Genome) -> None:
    numbers = state_numbers(genome, width=WIDTH, heads=HEADS, tokens=PAST)
    assert numbers is not None and 0 < let_through(emit(genome, name="it")) <= numbers


@pytest.mark.parametrize("name", NAMES)
def test_the_labs_own_baselines_are_counted_too(name: str) -> None:
    numbers = of_baseline(name, width=WIDTH, heads=HEADS, tokens=PAST)
    assert numbers is not None and 0 < let_through(source(name)) <= numbers


def test_only_attention_without_a_window_grows_with_the_length() -> None:
    short = {n: state_numbers(g, width=64, heads=4, tokens=256) for n, g in BASELINES.items()}
    long = {n: state_numbers(g, width=64, heads=4, tokens=1024) for n, g in BASELINES.items()}
    assert short == long  # the search's own softmax has a window
    whole = Genome(paths=(Path(family="softmax"),), conv=False)
    assert [state_numbers(whole, width=64, heads=4, tokens=t) for t in (256, 1024)] == [2 * 64 * 256, 2 * 64 * 1024]


def test_a_part_that_is_not_understood_makes_the_size_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Newer(Genome):
        memory_bank: int = 0

    monkeypatch.setattr(state_size, "KNOWN", {**state_size.KNOWN, Newer: state_size.KNOWN[Genome]})
    paths = (Path(family="gla"),)
    assert state_numbers(Newer(paths=paths), width=64, heads=4, tokens=8) is not None
    assert state_numbers(Newer(paths=paths, memory_bank=9), width=64, heads=4, tokens=8) is None
