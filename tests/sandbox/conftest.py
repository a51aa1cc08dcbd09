"""One warm process sandbox for all tests of this room that do not need their own.

It belongs to the session's event loop; who uses it asks for that loop: `pytest.mark.asyncio(loop_scope="session")`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from move37.sandbox.process.backend import ProcessSandbox


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sandbox() -> AsyncIterator[ProcessSandbox]:
    async with ProcessSandbox(1) as opened:
        yield opened
