"""Each failure has lines that show it below the judged file, on the shortest input; and only there."""

from __future__ import annotations

import contextlib
import io

import pytest
import torch

from move37.lab.audit.reproducer import BY_LENGTH, reproducers
from move37.sandbox import ProcessSandbox
from tests.builders import a_gate
from tests.lab.audit.programs import OWN

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEAD = "import torch\nimport torch.nn.functional as F\n"
MIXER = HEAD + (
    "class Mixer(torch.nn.Module):\n    def __init__(self, d_model, n_heads):\n        super().__init__()\n"
    "        self.proj = torch.nn.Linear(d_model, d_model)\n        INIT\n"
    "    def forward(self, x):\n        y = self.proj(x)\n        LINE\n        return y\n"
)
# gate -> (what is planted into __init__, into forward, the number of tokens on which it shows first)
PLANTED = {
    "causality": ("pass", "y = y + F.pad(y[:, 3:], (0, 0, 0, min(3, x.shape[1])))[:, :x.shape[1]]", 4),
    "truncation": ("pass", "y = y / x.shape[1]", 2),
    "batch": ("pass", "y = y - y.mean(0, keepdim=True) if x.shape[1] > 6 else y", 7),
    "finite": ("pass", "y = y / (x - x.mean(1, keepdim=True)).std(1, keepdim=True, correction=0)", 1),
    "purity": ("self.calls = 0", "self.calls += 1; y = y * self.calls", None),
    "determinism": ("self.scale = torch.randn(1)", "y = y * self.scale", None),
    "dead_parameters": ("self.unused = torch.nn.Parameter(torch.ones(3))", "pass", None),
    "parameters": ("self.more = torch.nn.Linear(d_model, 300)", "y = y + self.more(x).mean(-1, keepdim=True)", None),
    "dtype": ("pass", "y = y.float()", None),
    "shape": ("pass", "y = y[:, :63]", None),
    "complexity": ("pass", "y = (y @ y.mT).tril() @ y", None),
}


def shown(source: str, lines: str) -> str:
    """What the lines print below the file."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), torch.no_grad() if "backward" not in lines else contextlib.nullcontext():
        exec(f"{source}\n{lines}", {})
    return out.getvalue()


@pytest.mark.parametrize("gate", PLANTED)
async def test_a_failure_shows_below_its_file_and_not_below_an_honest_one(gate: str, cell: ProcessSandbox) -> None:
    init, line, tokens = PLANTED[gate]
    source = MIXER.replace("INIT", init).replace("LINE", line)
    shut = a_gate(name=gate, passed=False, limit=0.01)
    found = await reproducers(source, [a_gate(), shut], trust=f"shown-{gate}", sandbox=cell)
    assert list(found) == [gate]
    if tokens is not None:
        assert f"torch.randn(1, {tokens}, 64)" in found[gate]
    if gate == "complexity":
        return  # prints seconds
    torch.manual_seed(7)
    bad, good = shown(source, found[gate]), shown(HEAD + OWN, found[gate])
    honest = {"finite": "tensor(True) tensor(True)\n", "dead_parameters": "[]\n"}
    if gate in ("parameters", "dtype", "shape"):
        assert bad != good
    elif gate in honest:
        assert good == honest[gate] != bad
    else:
        number = [float(text.split("(")[1].split(",")[0].rstrip(")\n")) for text in (bad, good)]
        assert number[0] > 0.01 and number[1] < 1e-5


async def test_what_shows_at_no_short_length_gets_a_training_window(cell: ProcessSandbox) -> None:
    for source in (HEAD + OWN, HEAD + OWN.replace("return self.proj(x)", "raise ValueError(x)")):
        gates = [a_gate(name=name, passed=False, limit=0.01) for name in BY_LENGTH]
        found = await reproducers(source, gates, trust="none", sandbox=cell)
        assert all("torch.randn(1, 128, 64)" in found[name] for name in BY_LENGTH)


async def test_what_passes_needs_no_job() -> None:
    async with ProcessSandbox(1) as idle:
        assert await reproducers(OWN, [a_gate(), a_gate(name="import", passed=False)], trust="t", sandbox=idle) == {}
