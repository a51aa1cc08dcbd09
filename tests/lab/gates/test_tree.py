"""The normalised tree forgets names, comments and annotations, and nothing that computes."""

from __future__ import annotations

import ast

import pytest

from move37.lab import baselines
from move37.lab.judging.ast_hash import ast_hash
from tests.lab.gates.defects import CLEAN


def hashed(source: str) -> str:
    return ast_hash(ast.parse(source))


@pytest.mark.parametrize(
    "old, new",
    [
        ("taps", "weights"),
        ('"""A gated short convolution."""', '"""Something else."""'),
        ("# first", "# a comment"),
        ("def forward(self, x)", "def forward(self, x: torch.Tensor) -> torch.Tensor"),
        ("def mix(self, u)", "def stir(self, soup)"),
    ],
)
def test_another_way_of_writing_is_the_same_program(old: str, new: str) -> None:
    source = CLEAN.replace(old, new)
    if "stir" in new:
        padding = "padded = F.pad({0}, (0, 0, 3, 0))\n        return sum(padded[:, i : i + {0}.shape[1]]"
        source = source.replace("self.mix(", "self.stir(").replace(padding.format("u"), padding.format("soup"))
        assert "soup.shape" in source

    assert hashed(source) == hashed(CLEAN)


@pytest.mark.parametrize("old, new", [("silu", "gelu"), ("/ 2", "/ 3"), ("range(4)", "range(3)"), ("y * F", "y + F")])
def test_another_computation_is_another_program(old: str, new: str) -> None:
    assert hashed(CLEAN.replace(old, new)) != hashed(CLEAN)


def test_hashing_leaves_the_tree_as_it_was() -> None:
    tree = ast.parse(CLEAN)
    before = ast.dump(tree)
    ast_hash(tree)

    assert ast.dump(tree) == before


def test_seven_baselines_are_seven_programs() -> None:
    assert len({hashed(baselines.source(name)) for name in baselines.NAMES}) == 7
