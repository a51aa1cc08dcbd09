"""Every attack of the table, on every backend that this machine can have."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from move37.sandbox.errors import SandboxBroken
from tests.sandbox.attacks.backends import NAMES, WITH_OTHERS, Target, missing, open_target
from tests.sandbox.attacks.table import ATTACKS, FOLDER_OF_PROGRAMS, GVISOR, Attack, verdict
from tests.sandbox.attacks.trial import try_attack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.attack]

MARKS = {"docker": [pytest.mark.docker], GVISOR: [pytest.mark.docker, pytest.mark.slow]}
MARKS[WITH_OTHERS] = [pytest.mark.slow]
if os.geteuid() == 0:  # one of the two process backends in the fast half, whoever runs it
    MARKS["process as a user"] = [pytest.mark.slow]
BACKENDS = [pytest.param(name, marks=MARKS.get(name, []), id=name.replace(" ", "-")) for name in NAMES]


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=BACKENDS)
async def target(request: pytest.FixtureRequest) -> AsyncIterator[Target]:
    if why := await missing(request.param):
        pytest.skip(why)
    opened = await open_target(request.param)
    try:
        yield opened
    finally:
        await opened.sandbox.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.program)
async def test_attack_is_stopped(target: Target, attack: Attack) -> None:
    if why := attack.not_stopped_by.get(target.name):
        pytest.xfail(why)
    try:
        trial = await try_attack(attack, target.sandbox, target.count)
    except SandboxBroken as error:
        if target.name == GVISOR:
            pytest.xfail(f"runsc lost its container, and the attack with it ({error})")
        raise
    assert verdict(attack, trial) == ""


async def test_every_program_stands_in_the_table_once() -> None:
    programs = sorted(path.stem for path in FOLDER_OF_PROGRAMS.glob("*.py"))
    assert programs == sorted(attack.program for attack in ATTACKS)
    assert len(programs) >= 50
