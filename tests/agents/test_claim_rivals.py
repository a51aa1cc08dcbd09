"""A claim's rivals are fixed when it begins, and of code without a plan they are those of its ancestry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from move37.agents import claim_rivals, discovery_claim
from move37.agents.claim_ground import ClaimGround, ClaimWatch, ConfirmationRequest
from move37.agents.errors import NotConfirmable
from move37.lab import baselines
from move37.lab.archive.store import Archive
from move37.lab.claims import ABLATION, FAMILY
from move37.lab.measuring import MeasuringContext
from move37.lab.records import Claim, Measurement, Role, Stage
from move37.lab.standings import Standings
from move37.lab.tasks import mixers_schedule
from tests.agents.claims import STEPS, a_home, a_task
from tests.builders import a_candidate, a_measurement
from tests.shortened import default_scale_of

CODE = "class Mixer:\n    number = 1\n"  # no genome of the grammar


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(mixers_schedule, "SMALLEST_EFFECT", 10.0)  # at eight steps nothing is to be resolved
    with default_scale_of(STEPS):
        yield


@dataclass
class Asked:
    """A home whose claim can be asked again and again."""

    home: Path
    task: Any
    archive: Archive
    said: list[str] = field(default_factory=list)

    async def ask(self, wanted: ConfirmationRequest, *, until: str = "") -> Claim | None:
        async def go_on(question: str) -> bool:
            return question != until

        return await discovery_claim.ask(self.ground, self.archive.experiment("c1-001"), wanted, go_on)

    @property
    def ground(self) -> ClaimGround:
        watch = ClaimWatch(
            begins=lambda plan, runs: None, run=lambda name, seed, kept: None, answers=lambda c, m: None,
            notice=self.said.append,
        )  # fmt: skip
        context = MeasuringContext(
            task=self.task, sandbox=Named(), standings=Standings(self.home / "own.jsonl"),  # type: ignore[arg-type]
            workdir=self.home, places=asyncio.Semaphore(2),
        )  # fmt: skip
        return ClaimGround(
            archive=self.archive, task=self.task, context=context, cache=self.home / "cache", watch=watch
        )

    @property
    def rivals(self) -> Any:
        begun = self.archive.stage("c1-001", discovery_claim.BEGUN)
        assert begun is not None
        return begun["rivals"]


class Named:
    name = "none"


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    archive = Archive.open(tmp_path)
    a_home(archive)
    return Asked(home=tmp_path, task=a_task(tmp_path), archive=archive)


def second_corpus(home: Path, word: str = "text") -> Path:
    path = home / f"{word}.txt"
    path.write_text("".join(f"line {n} of another {word}, {n * n}\n" for n in range(40_000)))
    return path


async def test_what_is_asked_or_screened_after_a_claim_began_changes_no_rival(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ConfirmationRequest(seeds=2, trials=3, second_corpus=second_corpus(asked.home))
    opened, real = list[Any](), claim_rivals.second_task

    def second_task(*asked_for: Any) -> Any:
        opened.append(asked_for)
        return real(*asked_for)

    monkeypatch.setattr(claim_rivals, "second_task", second_task)
    assert await asked.ask(first, until=FAMILY) is None
    assert len(opened) == 1, "a second corpus may be gigabytes: a claim that begins reads it once"
    rivals, plan = asked.rivals, asked.archive.stage("c1-001", discovery_claim.BEGUN)
    better = asked.archive.begin_experiment(1, 5, Role.BASELINE, name="gla", family="gla").id
    own = a_candidate(source=baselines.source("gla"), author="baseline", family="gla")
    asked.archive.finish_stage(better, Stage.CANDIDATE, {"candidate": own})
    for ident, rate in ((better, 1e-2), ("c1-001", 5e-3)):
        found = measured(3.0, rate)
        asked.archive.finish_stage(ident, f"lm lr={rate:g}", {"measurements": (found,)}, rung=2)
    other = ConfirmationRequest(seeds=9, trials=8, second_corpus=second_corpus(asked.home, "kind"))
    claim = await asked.ask(other)
    assert claim is not None and asked.archive.stage("c1-001", discovery_claim.BEGUN) == plan
    settled = asked.archive.stage("c1-001", discovery_claim.SETTLED)
    assert settled is not None
    begun = [rivals["candidate"], *rivals["baselines"], *rivals["families"], rivals["ablation"]]
    assert settled["contenders"] == begun
    assert better not in {c.rival for c in claim.comparisons} and {c.seeds for c in claim.comparisons} <= {2, 4}
    told = asked.said[-1]
    assert "goes on as it began: --seeds, --trials, --second-corpus changes nothing" in told
    corpora = {c.corpus for c in claim.comparisons if c.corpus}
    assert corpora == {rivals["second"]}


async def test_a_second_text_that_changed_is_refused_until_it_is_put_back(asked: Asked) -> None:
    path = second_corpus(asked.home)
    wanted = ConfirmationRequest(seeds=2, trials=3, second_corpus=path)
    await asked.ask(wanted, until=FAMILY)
    whole = path.read_text()
    path.write_text(whole.replace("another", "a third"))
    with pytest.raises(NotConfirmable, match="changed since this confirmation began"):
        await asked.ask(wanted)
    path.unlink()
    with pytest.raises(NotConfirmable, match="cannot be used"):
        await asked.ask(wanted)
    path.write_text(whole)
    assert await asked.ask(wanted) is not None


async def test_a_claim_that_an_older_version_began_keeps_its_seeds(asked: Asked) -> None:
    plan = {"confirmation": 1, "seeds": [70, 71], "part": "a skip"}
    asked.archive.finish_stage("c1-001", discovery_claim.BEGUN, {"plan": plan})
    claim = await asked.ask(ConfirmationRequest(seeds=5, trials=3, second_corpus=second_corpus(asked.home)))
    assert claim is not None and claim.part == "a skip" and claim.comparisons[0].seeds == 2


async def test_code_without_a_plan_meets_its_bases_family_and_its_base_at_the_bases_rate(asked: Asked) -> None:
    written = asked.archive.begin_experiment(1, 2, Role.CANDIDATE, parents=("c1-linear",)).id
    own = a_candidate(source=CODE, author="openai:x", family="other")
    asked.archive.finish_stage(written, Stage.CANDIDATE, {"candidate": own}, family="other")
    asked.archive.finish_stage(written, "lm", {"measurements": (measured(3.4, 1e-2),)}, rung=2)
    asked.archive.finish_stage("c1-linear", "lm lr=0.02", {"measurements": (measured(3.2, 2e-2),)}, rung=2)
    wanted = ConfirmationRequest(trials=3, second_corpus=second_corpus(asked.home))
    found, _ = await claim_rivals.find(asked.ground, asked.archive.experiment(written), wanted)
    assert [f.id for f in found.families] == ["linear-tuned"] and found.family_why in asked.said
    assert not {FAMILY, ABLATION} & set(found.missing)
    assert found.candidate.rate == 1e-2 and found.ablation is not None and found.ablation.rate == 2e-2


def measured(value: float, rate: float) -> Measurement:
    return a_measurement(value=value, steps=STEPS, total_steps=STEPS, width=64, learning_rate=rate)
