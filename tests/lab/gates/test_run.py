"""The gates as they are run: in the sandbox, with candidates that fight back."""

from __future__ import annotations

import pytest

from move37.lab.gates.registry import NAMES
from move37.lab.judging import run
from move37.lab.judging.checked import Checked, Fingerprint
from move37.lab.judging.run import run_gates
from move37.lab.records import Candidate
from move37.sandbox.sandbox import Sandbox
from tests.lab.gates.defects import CLEAN, PLANTED, planted
from tests.lab.gates.here import failing, result

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def checked(source: str, sandbox: Sandbox, known: tuple[Fingerprint, ...] = ()) -> Checked:
    return await run_gates(Candidate(source=source, author="test"), trust="test", sandbox=sandbox, known=known)


async def test_a_clean_mixer_passes_every_gate_and_novelty_is_null_without_an_archive(sandbox: Sandbox) -> None:
    found = await checked(CLEAN, sandbox)

    assert found.passed
    assert [r.name for r in found.results] == list(NAMES)
    assert [r.name for r in found.results if r.passed is None] == ["novelty"]
    assert found.facts["parameters"] == result(found, "parameters").value
    assert found.facts["mlp_width"] > 100


async def test_a_loop_within_a_loop_of_plain_python_shows_in_cpu_seconds(sandbox: Sandbox) -> None:
    found = await checked(PLANTED["a loop within a loop of plain Python"][1], sandbox)

    assert failing(found) == ["complexity"]
    assert "CPU time" in result(found, "complexity").message


async def test_a_gate_that_hangs_fails_by_itself_and_the_others_go_on(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SECONDS", 3.0)
    found = await checked(planted(last="while self.training and x.shape[1] == 1:\n    pass"), sandbox)

    assert failing(found) == ["finite"]
    assert "did not end within 3 s of CPU time" in result(found, "finite").message
    assert "candidate.py" in result(found, "finite").traceback
    assert result(found, "determinism").passed


@pytest.mark.parametrize(
    ("line", "said"),
    [("while True:\n    pass", "did not end within 3 s"), ("__import__('os')._exit(7)", "exit status 7"),
     ("__import__('time').sleep(600)", "did not end within 3 s")],
)  # fmt: skip
async def test_what_never_computes_once_is_told_as_what_it_does(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    """The first request of all is the one that looks for a dtype in which the candidate runs."""
    monkeypatch.setattr(run, "SECONDS", 3.0)
    found = await checked(planted(last=line), sandbox)

    assert failing(found) == ["shape"]
    assert said in result(found, "shape").message


async def test_a_gate_that_ends_the_process_fails_by_itself(sandbox: Sandbox) -> None:
    leave = "y = __import__('os')._exit(7) if self.training and x.shape[1] == 1 else y"
    found = await checked(planted(last=leave), sandbox)

    assert failing(found) == ["finite"]
    assert "exit status 7" in result(found, "finite").message
    assert result(found, "causality").passed


async def test_a_forward_pass_that_always_kills_fails_shape_and_nothing_else_is_run(sandbox: Sandbox) -> None:
    found = await checked(planted(last="__import__('os')._exit(0)"), sandbox)

    assert failing(found) == ["shape"]
    assert {r.passed for r in found.results[2:]} == {None}


@pytest.mark.slow
async def test_memory_without_end_fails_the_gate_that_met_it(sandbox: Sandbox) -> None:
    hoard = "y = y + torch.ones(x.shape[1] ** 3).sum() * 0 if x.shape[1] > 2000 else y"
    found = await checked(planted(last=hoard), sandbox)

    assert failing(found) == ["complexity"]


@pytest.mark.slow
async def test_half_of_a_character_in_an_exception_can_be_shown_and_stored(sandbox: Sandbox) -> None:
    found = await checked(planted(first="raise ValueError('\\ud800')"), sandbox)

    assert failing(found) == ["shape"]
    assert "ValueError: ?" in "".join(r.message + r.traceback for r in found.results).encode("utf-8").decode()


async def test_what_a_candidate_prints_is_no_report(sandbox: Sandbox) -> None:
    forged = """print('{"gate": "causality", "raw": {"value": 0.0}}')"""
    leak = PLANTED["a leak that starts behind position 64"][1]
    found = await checked(leak.replace("        u, gate", f"        {forged}\n        u, gate"), sandbox)

    assert failing(found) == ["causality"]


async def test_a_thread_that_goes_on_working_fails_purity_and_holds_nobody_up(sandbox: Sandbox) -> None:
    work = "torch.sys.modules['threading'].Thread(target=torch.sys.modules['time'].sleep, args=(1e6,)).start()"
    found = await checked(planted(last=f"if x.shape[1] == 8:\n    {work}"), sandbox)

    assert failing(found) == ["purity"]
    assert "a thread is left running" in result(found, "purity").message


FORGED = """
import torch
lines = ['{"gate": "%s", "starts": true}\\n{"gate": "%s", "raw": {"value": 0.0}}' % (n, n) for n in NAMES]
for number in (1, 2, 3, 4, 5):
    try:
        torch.os.write(number, "\\n".join(lines).encode())
    except OSError:
        pass
torch.os._exit(0)

class Mixer:
    pass
"""


async def test_reports_that_a_candidate_writes_are_no_reports(sandbox: Sandbox) -> None:
    found = await checked(FORGED.replace("NAMES", repr(NAMES)), sandbox)

    assert failing(found) == ["import"] and not found.passed


@pytest.mark.slow
async def test_a_flood_of_prints_is_no_fault(sandbox: Sandbox) -> None:
    flood = "print('x' * 10**6)\nprint('x' * 10**6, file=torch.sys.stderr)"

    assert failing(await checked(planted(last=flood), sandbox)) == []


async def test_an_exception_that_cannot_say_what_it_is_is_the_candidates(sandbox: Sandbox) -> None:
    mute = "class Mute(Exception):\n    def __str__(self):\n        raise self"
    found = await checked(planted(top=mute, last="raise Mute"), sandbox)

    assert failing(found) == ["shape"]
    assert "Mute" in result(found, "shape").message


@pytest.mark.slow
async def test_remembering_the_whole_does_not_help_where_only_the_prefix_is(sandbox: Sandbox) -> None:
    """It leaks, and hides it by giving a known prefix the outputs that it had within the whole."""
    cheat = planted(
        top="torch.held = getattr(torch, 'held', [])",
        last="""
if torch.is_grad_enabled():
    return self.outer(y * F.silu(gate))
y = y + u.mean(dim=1, keepdim=True)
out = self.outer(y * F.silu(gate))
weights = float(self.inner.weight.sum())
for old, result, mark in torch.held:
    time = min(old.shape[1], x.shape[1])
    if mark == weights and old.shape[0] == x.shape[0] and torch.equal(old[:, :1], x[:, :1]):
        same = (old[:, :time] == x[:, :time]).all(dim=2).all(dim=0).long().cumprod(0).bool()
        out[:, :time][:, same] = result[:, :time][:, same]
torch.held.append((x.detach().clone(), out.detach().clone(), weights))
return out
""",
    )
    found = await checked(cheat, sandbox)

    assert "causality" in failing(found)


@pytest.mark.slow
async def test_the_second_of_two_equal_mixers_is_not_new(sandbox: Sandbox) -> None:
    first = await checked(CLEAN, sandbox)
    assert first.fingerprint is not None
    renamed = CLEAN.replace("taps", "weights").replace("inner", "project").replace("A gated short", "Another")
    rewritten = CLEAN.replace("y * F.silu(gate)", "F.silu(gate) * y")

    for copy in (renamed, rewritten):
        again = await checked(copy, sandbox, known=(first.fingerprint,))
        assert failing(again) == ["novelty"]
    assert (await checked(CLEAN.replace("silu", "gelu"), sandbox, known=(first.fingerprint,))).passed
