"""Each call has a seed of its own, and the same one in a repetition."""

from __future__ import annotations

import json

import pytest

from move37.agents.models import ModelOptions, open_model
from move37.agents.models.client import CALL, FACTS, CallFacts, CallKey
from move37.agents.models.wire import reseeded
from move37.agents.replies import Critique
from tests.agents.models.server import answering
from tests.agents.models.test_hosted import ASKED, GOOD

FIRST = CallKey(number=1, stage="hypothesis", role="Researcher", turn=0)
OTHERS = [
    CallKey(number=2, stage="hypothesis", role="Researcher", turn=0),
    CallKey(number=1, stage="analysis", role="Researcher", turn=0),
    CallKey(number=1, stage="hypothesis", role="Critic", turn=0),
    CallKey(number=1, stage="hypothesis", role="Researcher", turn=1),
]


def seed_of(key: CallKey | None, *, seed: int = 0, attempts: int = 0, options: bool = False) -> int:
    sampling = {"seed": seed}
    call, facts = CALL.set(key), FACTS.set(CallFacts(attempts=attempts))
    try:
        body = reseeded({"model": "tiny", **({"options": sampling} if options else sampling)})
    finally:
        CALL.reset(call)
        FACTS.reset(facts)
    found: int = (body["options"] if options else body)["seed"]
    return found


@pytest.mark.parametrize("options", [False, True])
def test_calls_differ_and_repetitions_do_not(options: bool) -> None:
    seeds = [seed_of(key, options=options) for key in (FIRST, *OTHERS)] + [seed_of(FIRST, attempts=1, options=options)]
    assert len({*seeds}) == len(seeds) and all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of(FIRST, options=options) == seeds[0] != seed_of(FIRST, seed=1, options=options)


def test_outside_of_a_campaign_the_seed_is_the_one_that_was_given() -> None:
    assert seed_of(None, seed=5) == 5
    assert reseeded({"model": "tiny"}) == {"model": "tiny"}  # who takes none is sent none


async def test_the_server_is_sent_it() -> None:
    with answering((200, GOOD)) as (url, requests):
        client = open_model("openai:tiny", ModelOptions(base_url=url))
        for key in (FIRST, *OTHERS, FIRST):
            token = CALL.set(key)
            await client.create(ASKED, json_output=Critique)
            CALL.reset(token)
        await client.close()
    sent = [request["seed"] for request in requests]
    assert len({*sent}) == len(OTHERS) + 1 and sent[0] == sent[-1], json.dumps(sent)
