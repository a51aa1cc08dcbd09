"""One warm process sandbox for a whole module: forking a job from it costs milliseconds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from move37.sandbox import ProcessSandbox


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cell() -> AsyncIterator[ProcessSandbox]:
    async with ProcessSandbox(1) as sandbox:
        yield sandbox
