"""An event loop in a thread of its own: what belongs to one loop can then be used from any.

AutoGen's programs open an executor in one loop and use it in another (a fixture and a test, two `asyncio.run`); a
sandbox belongs to the loop that first ran it. So it lives here, and every call is carried over.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
CLEANING = 30.0  # seconds that a cancelled call may take to end what it started


class BackgroundLoop:
    """Started by the first call; `close` ends the thread. Calls may come from any loop and thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, run there; cancelling the caller cancels it, and waits until it has cleaned up."""
        ended = threading.Event()

        async def tracked() -> T:
            try:
                return await work
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(tracked(), self._running())
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            await asyncio.to_thread(ended.wait, CLEANING)
            raise

    def close(self) -> None:
        """Idempotent. Whatever still runs there has been awaited by then."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._loop = None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_serve, args=(self._loop,), daemon=True, name="sandbox-loop").start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
