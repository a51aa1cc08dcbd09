"""Gates on one thread, as in the sandbox; one warm sandbox a module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import torch

from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.sandbox import Sandbox


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    backend = ProcessSandbox(1)
    yield backend
    await backend.close()
