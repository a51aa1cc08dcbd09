"""Ctrl-C at the table: whoever speaks is asked anew, and hears what was typed meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from autogen_core.models import LLMMessage, UserMessage

from move37.agents.metering import Metered
from move37.agents.models.client import JsonOutput, LocalClient
from move37.agents.roles import MEMBERS, RoleContext
from tests.agents.test_conversation import CONTEXT


class Slow(LocalClient):
    """Answers once it is let go; remembers what it was asked, and whether it was cut off."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.cut_off = 0
        self.go = asyncio.Event()
        self.called = asyncio.Event()

    async def answer(self, messages: Sequence[LLMMessage], json_output: JsonOutput) -> str:
        self.asked.append([str(m.content) for m in messages])
        self.called.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        return "done"


async def _free() -> None:
    return None


def a_role(**changes: Any) -> RoleContext:
    role = RoleContext(
        member=MEMBERS[0],
        number=1,
        task=CONTEXT.task,
        stage=lambda: "hypothesis",
        before=_free,
        after=lambda _: None,
        failed=lambda _: None,
    )
    return replace(role, **changes)


async def test_a_speaker_who_is_interrupted_begins_anew_and_hears_what_was_typed() -> None:
    times, typed, inner = [0], ["think of decays"], Slow()
    role = a_role(interruptions=lambda: times[0], interjected=lambda: [typed.pop()] if typed else [])
    running = asyncio.create_task(Metered(inner, role).create([UserMessage(content="propose", source="Lab")]))
    await inner.called.wait()
    inner.called.clear()
    times[0] += 1
    await asyncio.wait_for(inner.called.wait(), 120)
    inner.go.set()
    assert (await running).content == "done" and inner.cut_off == 1
    assert inner.asked == [["propose"], ["propose", "(interrupting you) think of decays"]]


async def test_without_an_interruption_it_is_asked_once() -> None:
    inner = Slow()
    inner.go.set()
    await Metered(inner, a_role()).create([UserMessage(content="x", source="Lab")])
    assert inner.asked == [["x"]]
