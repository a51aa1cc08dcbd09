"""What a scoring asks again: answers that rest on the future, on other rows or on earlier calls, up to the last one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from move37.lab.inside.building import build_model, rebuild_foreign
from move37.lab.inside.job import InsideJob
from move37.lab.inside.remote import Remote
from move37.lab.inside.score import _answers, reads_ahead
from move37.lab.training.jobs import Network
from tests.lab.inside.conftest import Start
from tests.lab.inside.mixers import HONEST, batches, with_forward

NETWORK = Network(kind="bytes").spec
WINDOW = 24  # of 128 tokens: all lengths take their time
LAST = f"if torch.is_inference_mode_enabled() and x.shape[1] == {WINDOW}:\n    "


def problem(start: Start, source: str) -> str:
    """What a scoring of untrained weights says of the answers."""
    built = build_model(start(source), NETWORK, seed=0)

    def fresh() -> Remote:
        remote = start(source)
        rebuild_foreign(remote, built, seed=77)
        return remote

    job = cast(InsideJob, SimpleNamespace(built=built, fresh=fresh))
    inputs, targets = (part.flatten(0, 1)[:, :WINDOW].contiguous() for part in batches(4))
    built.model.eval()
    for mixer in built.mixers:
        mixer.mode = "inference"
    return reads_ahead(job, inputs, targets, _answers(job, inputs, targets).nats)


def test_an_honest_scoring_has_no_problem(start: Start) -> None:
    assert problem(start, HONEST) == ""


def test_a_look_ahead_is_called_one(start: Start) -> None:
    ahead = "x = x + torch.nn.functional.pad(x, (0, 0, 0, 1))[:, 1:]"
    assert problem(start, with_forward(ahead)).startswith("reads the future: where it is cut off, the answers differ")


ADDED = (
    "y = self.now(torch.tanh(x)) + self.before(shifted)\n    {}\n    return torch.cat([y[:, :-1], y[:, -1:] + more], 1)"
)
APART = "(x[0] - x[-1]).mean(0)"  # of two rows: nothing that all texts share
LAST_ANSWER = {
    "other rows": LAST + ADDED.format("more = 9 * x[:, -1].mean(0)"),
    "earlier calls": LAST + ADDED.format(f"more, self.kept = 30 * getattr(self, 'kept', {APART}), {APART}"),
}


def test_the_last_answer_of_a_window_rests_on_nothing_but_its_own_row(start: Start) -> None:
    """No later token stands behind it, so that no cut before the end asks for it."""
    for lines in LAST_ANSWER.values():
        assert problem(start, with_forward(lines)).startswith("rests on other rows or earlier calls")
