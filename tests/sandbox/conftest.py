"""One warm process sandbox for all tests of this room that do not need their own.

It belongs to the session's event loop; who uses it asks for that loop: `pytest.mark.asyncio(loop_scope="session")`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import ZygoteSettings


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sandbox() -> AsyncIterator[ProcessSandbox]:
    async with ProcessSandbox(1) as opened:
        yield opened


@pytest.fixture(scope="module")
def cold() -> Iterator[None]:
    """Backends that are opened by name start interpreters without torch: two seconds less for each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("move37.sandbox.process.opening.ZygoteSettings", lambda warm: ZygoteSettings(warm=False))
        yield
