"""How many tokens each role reads, experiment by experiment: a campaign whose model answers by script.

    python -m benchmarks.society [--budget 24] [--json]

Everything that is read is real (contract, baselines, files of the grammar, the built-in papers, lessons of the length
that a model writes); nothing is trained: numbers are drawn from the file's hash. Every candidate is refused once, so
that each experiment has one turn of every role. Tokens are memory's upper estimate, the schema of the reply left out.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from autogen_core.models import CreateResult, LLMMessage, RequestUsage

from move37.agents import campaign as campaigns
from move37.agents.approval import Approvals
from move37.agents.budget import Budget, CampaignUsage
from move37.agents.clock import Clock
from move37.agents.context import CampaignContext, ConversationLimits
from move37.agents.inbox import Inbox
from move37.agents.language_model import LanguageModel
from move37.agents.models.client import CALL, LocalClient, text_of
from move37.agents.replies import Code, Critique, Fix, Principles, Proposal, Proposals, Report
from move37.agents.roles import MEMBERS, Scientist
from move37.agents.search import operators_of
from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES
from move37.agents.search.operators import OPERATORS, put
from move37.lab.archive.store import Archive
from move37.lab.judging.checked import Checked, Fingerprint
from move37.lab.records import Brief, Candidate, GateResult, Measurement
from move37.lab.tasks import open_task
from move37.lab.tasks.task import Measured
from move37.memory.rank import tokens
from move37.memory.recall import open_memory

REFUSAL = "the output at time 17 changed by 0.31 when inputs after it were changed: a mixer may not read the future"


class Scripted(LocalClient):
    """Answers each role with texts as long as a model's, and counts what it was asked."""

    signature = "openai:scripted"

    def __init__(self) -> None:
        self.read: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))

    async def answer(self, messages: Sequence[LLMMessage], json_output: Any) -> str:
        """The role's reply."""
        call = CALL.get()
        number = call.number if call else 0
        self.read[call.role if call and number else "Analyst, principles"][number].append(
            sum(tokens(text_of(m)) for m in messages)
        )
        return str(_reply(json_output, number).model_dump_json())

    async def create(self, messages: Sequence[LLMMessage], *, json_output: Any = None, **_: Any) -> CreateResult:
        """The same with its tokens; `create_stream` of the base class gives it as one piece."""
        text = await self.answer(messages, json_output)
        usage = RequestUsage(prompt_tokens=0, completion_tokens=tokens(text))
        return CreateResult(finish_reason="stop", content=text, usage=usage, cached=False)


def _reply(form: Any, number: int) -> Any:
    rng = Random(number)
    operator = OPERATORS[number % len(OPERATORS)]
    if form is Proposals:
        ideas = [_idea(f"{operator}_{number}_{n}", operator, number, n) for n in range(3)]
        return Proposals(ideas=ideas)
    if form is Critique:
        return Critique(accept=True, ground="none", reason="It is cheap, untried here, and the mechanism is plain.")
    if form in (Code, Fix):
        genome = put(operator, BASELINES["gated_delta"], rng) or BASELINES["gla"]
        source = emit(genome, name=f"candidate_{number}", motivation="As the hypothesis says.")
        return Code(source=f"{source}# BAD\n") if form is Code else Fix(diagnosis="A shift was missing.", source=source)
    if form is Report:
        return Report(
            expected=f"A gain of .02 bits per byte from {operator}.",
            seen=f"The gain over the base was {rng.gauss(0, 0.03):+.3f}; overwrite recall stayed at .74.",
            why="Writes interfere: the state keeps what the key held before, and one decay a head clears too much.",
            next="Keep the change and start the decays shorter, on two heads only.",
            lesson=f"{operator} alone moves bits per byte by less than one seed can show and leaves recall as it was.",
            symptoms=["Overwrite recall stays below .8.", "The loss falls early and then as the base's."],
        )
    return Principles()


def _idea(name: str, operator: str, number: int, place: int) -> Proposal:
    return Proposal(
        name=name[:60],
        base=("gated_delta_net", "gla", "mamba2")[place],
        family="gated_delta",
        motivation=f"{operator} keeps writes of nearby keys apart, which overwrite recall needs; papers agree in part.",
        change=f"Put {operator} into the base, variant {number}.{place}, and leave everything else as it is.",
        predicted_effect="bits per byte lower by about .02 at 100 steps",
        probe="overwrite_recall",
        risk="The state may forget too early, so that long-range copies get worse.",
    )


class Drawn:
    """The mixers task with numbers from a hash, and one refusal a candidate."""

    def __init__(self, cache: Path) -> None:
        self._real = open_task("mixers", cache=cache)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def check(self, candidate: Candidate, **_: Any) -> Checked:
        """Refuses a file that ends in BAD."""
        bad = candidate.source.endswith("# BAD\n")
        gates = (
            GateResult(
                name="causality", passed=not bad, value=0.31 * bad, limit=1e-4, message=REFUSAL if bad else "ok"
            ),
            GateResult(name="parameters", passed=True, value=20_000.0, limit=22_000.0, message="ok"),
        )
        tree = hashlib.sha256(candidate.source.encode()).hexdigest()
        facts = {"parameters": 98_000.0}
        return Checked(results=gates, fingerprint=Fingerprint(experiment="", tree=tree), facts=facts)

    async def measure(self, candidate: Candidate, *, rung: Any, seed: int, **how: Any) -> Measured:
        """A value near that of a small byte model."""
        draw = int(hashlib.sha256(f"{candidate.source}{seed}".encode()).hexdigest()[:6], 16) / 2**24
        metric = self._real.metric.name if rung.steps else "overwrite_recall"
        value = 3.3 - rung.steps / 700 + draw / 10 if rung.steps else 0.5 + draw / 2
        found = Measurement(
            metric=metric, value=value, rung=rung.number, seed=seed, steps=rung.steps, train_seconds=9.0,
            learning_rate=how["learning_rate"], fresh=how["fresh"], calibrated=True, width=64, total_steps=500,
        )  # fmt: skip
        return Measured(measurements=(found,), sandbox={"backend": "none"})


class Nowhere:
    """A sandbox in which nothing runs."""

    name = "none"

    async def release(self, trust: str) -> None:
        """Nothing is held."""


async def campaign_of(home: Path, budget: int, scientists: Mapping[str, Scientist], *, preset: str = "full") -> None:
    """Run a campaign of numbers that are drawn; its archive is what is left of it."""
    inbox = Inbox()
    memory = open_memory(home)
    await memory.load_builtin()
    task: Any = Drawn(home / "cache")
    sandbox: Any = Nowhere()
    with Archive.open(home) as archive:
        record = archive.begin_campaign(Brief(budget=budget, text="Mind the speed. Two time scales interest me."))
        context = CampaignContext(
            archive=archive,
            record=record,
            task=task,
            schedule=task.schedule(preset),
            sandbox=sandbox,
            memory=memory,
            scientists=scientists,
            prices=lambda role, prompt, completion, cached: 0.0,
            operators_of=operators_of,
            inbox=inbox,
            approvals=Approvals("never", inbox, lambda _: None, partial(archive.say, record.id)),
            usage=CampaignUsage(),
            budget=Budget(),
            on_event=lambda _: None,
            clock=Clock(),
            workdir=home / "work",
            limits=ConversationLimits(),
            workers=1,
        )
        await campaigns.run(context)
    await memory.close()


def main() -> None:
    """Run it and print tokens a prompt by role: the third experiment, the last, and the median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=int, default=24)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        client = Scripted()
        somebody = LanguageModel(client, signature=client.signature)
        asyncio.run(campaign_of(Path(folder), given.budget, {m.name: somebody for m in MEMBERS}))
    read = client.read
    found = {
        role: {
            "third": round(statistics.mean(by_number.get(3, [0]))),
            "last": round(statistics.mean(by_number[max(by_number)])),
            "median": round(statistics.median(n for one in by_number.values() for n in one)),
        }
        for role, by_number in read.items()
    }
    if given.json:
        print(json.dumps(found))
        return
    for role, row in found.items():
        print(f"{role:<20} third {row['third']:>6}   last {row['last']:>6}   median {row['median']:>6}")


if __name__ == "__main__":
    main()
