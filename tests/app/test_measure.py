"""`move37 measure`: the JSON that others rely on, exit statuses, and the number of the quick preset's screen."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from move37.lab.records import Candidate
from move37.lab.tasks.mixers import MixersTask
from move37.lab.tasks.task import Rung
from move37.sandbox import ProcessSandbox
from tests.app.conftest import Move37

LINEAR = Path(__file__).parents[2] / "lab" / "baselines" / "linear.py"


@pytest.mark.slow
async def test_the_number_is_that_of_a_campaigns_screen_and_is_kept(
    tmp_path: Path, move37: Move37, capsys: pytest.CaptureFixture[str]
) -> None:
    task = MixersTask.open(cache=tmp_path / "home" / "cache")
    async with ProcessSandbox(1) as sandbox:
        screened = await task.measure(
            Candidate(source=LINEAR.read_text(), author="baseline"), experiment="c1-linear",
            rung=Rung(number=2, name="lm@3", steps=3), seed=0, learning_rate=1e-2, fresh=False, sandbox=sandbox,
            workdir=tmp_path / "campaign",
        )  # fmt: skip
    capsys.readouterr()  # what the lab logged before the command set up its logs
    command = ("--home", str(tmp_path / "home"), "measure", str(LINEAR), "--steps", "3", "--seed", "0", "--no-gates")
    answers = [
        await asyncio.to_thread(move37, *command, "--sandbox", "process", "--json", *more)
        for more in ((), ("--against", "linear"))
    ]
    first, second = (json.loads(answer.out) for answer in answers)
    assert [a.status for a in answers] == [0, 0]
    assert set(first) == {"passed", "gates", "failure", "measurements", "baselines", "verdict"}
    assert (first["passed"], first["gates"], first["failure"], first["verdict"]) == (None, [], None, None)
    (measurement,) = first["measurements"]
    assert {"metric", "value", "steps", "seed", "self_reported"} <= set(measurement)
    assert measurement["value"] == screened.measurements[0].value
    assert second["verdict"]["effect"] == 0.0 and "one seed" in second["verdict"]["text"]


def test_a_file_that_a_gate_refuses_is_not_trained(tmp_path: Path, move37: Move37) -> None:
    file = tmp_path / "broken.py"
    file.write_text("import no_such_module\n")
    answer = move37("measure", str(file), "--sandbox", "process", "--json")
    told = json.loads(answer.out)
    assert answer.status == 1 and told["passed"] is False and told["measurements"] == []


@pytest.mark.parametrize(
    "options, word",
    [
        (("--against", "no_such"), "choose one of"),
        (("--steps", "501"), "outside of the schedule"),
        (("--steps", "0"), "outside of the schedule"),
        (("--seed", "-1"), "use 0 to 2147483647"),
        (("--seed", "2147483648"), "use 0 to 2147483647"),
        (("--seeds", "0"), "use 1 to 100"),
        (("--seed", "0", "--seeds", "2"), "choose either"),
        (("--task", "no_such"), "unknown task"),
        (("--corpus", "nowhere"), "no such corpus"),
    ],
)
def test_what_cannot_be_used_is_wrong_use_in_one_line(move37: Move37, options: tuple[str, ...], word: str) -> None:
    answer = move37("measure", str(LINEAR), *options)
    assert answer.status == 2 and word in answer.err and answer.out == ""


def test_a_missing_file_is_wrong_use(move37: Move37) -> None:
    assert move37("measure", "nowhere.py").status == 2
