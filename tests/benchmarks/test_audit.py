"""The layers that the benchmark of an audit writes."""

from __future__ import annotations

import ast

from benchmarks.audit import FAULTS, RULES, layers


def test_every_fifth_layer_has_a_fault_and_all_differ() -> None:
    found = layers(100)
    sources = [source for source, _ in found.values()]
    assert len(found) == len({ast.dump(ast.parse(source)) for source in sources}) == 100
    assert [bool(gates) for _, gates in found.values()] == [number % 5 == 4 for number in range(100)]
    assert all(any(line in source for source in sources) for _, line in FAULTS.values())
    assert all(any(f"{call}(" in source for source in sources) for _, call, _ in RULES.values())
