"""One reader of the archive for all viewers: it reads at most once a second, and unchanged records are not read again.

Everything that touches SQLite or renders runs in one worker thread, so that twenty viewers cost one; pages ask for
`view`, `live` and what is made of them (`once`, `rendered`), and draw again where that is another object than before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from move37.agents.insight import ArchiveInsight
from move37.app.insight import of_home
from move37.app.reading import has_archive, reading
from move37.app.views.campaign import CampaignView, view_of
from move37.app.watch import is_running
from move37.lab.archive.controls import Control, ControlKind, Controls
from move37.lab.archive.live import Curve, LiveReader, StoredRequest
from move37.lab.archive.store import Archive, Campaign
from move37.lab.errors import ArchiveEmpty

T = TypeVar("T")
FRESH = 0.9  # seconds for which what was read counts as now
ANSWER = 5.0  # seconds that a campaign has to answer an order


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFeed:
    """A campaign at this moment."""

    campaign: Campaign
    running: bool
    state: Mapping[str, Any]  # as `LiveReader.state`
    requests: tuple[StoredRequest, ...]
    controls: tuple[Control, ...]  # the newest ones
    curve_points: int


class Hub:
    """Reads one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="archive")
        self._archive: Archive | None = None
        self._reader: LiveReader | None = None
        self._kept: dict[tuple[str, int], tuple[float, asyncio.Future[Any]]] = {}
        self._views: dict[int, tuple[tuple[Any, ...], CampaignView]] = {}
        self._made: dict[tuple[str, int], tuple[tuple[object, ...], asyncio.Future[Any]]] = {}

    async def campaigns(self) -> tuple[Campaign, ...]:
        """All campaigns, oldest first; none while nothing has run here."""
        return await self._lately("campaigns", 0, self._campaigns)

    async def view(self, campaign: int) -> CampaignView:
        """The campaign with its records. Raises `ArchiveError` for an unknown number."""
        return await self._lately("view", campaign, lambda: self._view(campaign))

    async def live(self, campaign: int) -> LiveFeed:
        """The campaign at this moment."""
        return await self._lately("live", campaign, lambda: self._live(campaign))

    async def curves(self, campaign: int) -> tuple[Curve, ...]:
        """The training curves as they are now."""
        return await self._lately("curves", campaign, lambda: self._curves(campaign))

    async def rendered(self, name: str, campaign: int, make: Callable[[CampaignView], T]) -> T:
        """What `make` makes of the campaign's view, made once for all viewers until a record changes."""
        view = await self.view(campaign)
        return await self.once(name, campaign, (view,), lambda: make(view))

    async def once(
        self, name: str, campaign: int, of: tuple[object, ...], make: Callable[[], T], *, slow: bool = False
    ) -> T:
        """What `make` gives, made once for all viewers until another object stands in `of`; nobody waits for what is
        slow but who asked for it.
        """
        kept = self._made.get((name, campaign))
        if kept is None or any(a is not b for a, b in zip(kept[0], of, strict=True)) or _failed(kept[1]):
            made = asyncio.to_thread(make) if slow else self._run(make)
            kept = self._made[name, campaign] = of, asyncio.ensure_future(made)
        return await asyncio.shield(kept[1])

    async def insight(self, campaign: int) -> ArchiveInsight:
        """What the home's campaigns on this one's task teach together, as of this one's newest record."""
        view = await self.view(campaign)
        task = view.campaign.brief.task

        def reckon() -> ArchiveInsight:
            with reading(self.home) as archive:
                return of_home(archive, (), task)[0]

        return await self.once("insight", campaign, (view,), reckon, slow=True)

    async def order(
        self, campaign: int, kind: ControlKind, *, text: str = "", experiment: str | None = None, user: str
    ) -> str:
        """Ask the campaign for something; what it answers. Raises `ValueError` for a text that is too long."""

        def post() -> int:
            with Controls(self.home) as controls:
                return controls.post(campaign, kind, text=text, experiment=experiment, user=user)

        def find(ident: int) -> str | None:
            with Controls(self.home) as controls:
                found = controls.find(ident)
            return found.answer if found else None

        ident = await self._run(post)
        deadline = time.monotonic() + ANSWER
        while time.monotonic() < deadline:
            await asyncio.sleep(0.15)
            if (answer := await self._run(lambda: find(ident))) is not None:
                return answer
        return "passed on; the campaign is busy and has not answered yet"

    def close(self) -> None:
        """Let go of the archive."""
        self._pool.submit(self._close)
        self._pool.shutdown()

    # In the worker thread ----------------------------------------------------------------------------------------

    def _close(self) -> None:
        for opened in (self._archive, self._reader):
            if opened is not None:
                opened.close()

    def _campaigns(self) -> tuple[Campaign, ...]:
        try:
            return self._open().campaigns() if has_archive(self.home) else ()
        except ArchiveEmpty:  # a campaign's process is creating it at this moment
            return ()

    def _open(self) -> Archive:
        if self._archive is None:
            self._archive = Archive.open(self.home, readonly=True)
            self._reader = LiveReader(self.home)
        return self._archive

    def _view(self, campaign: int) -> CampaignView:
        archive = self._open()
        row = archive.campaign(campaign)
        key = (row, *archive.read(_CHANGES, (campaign, campaign, campaign))[0])
        kept = self._views.get(campaign)
        if kept is None or kept[0] != key:
            kept = self._views[campaign] = key, view_of(archive, row)
        return kept[1]

    def _live(self, campaign: int) -> LiveFeed:
        archive = self._open()
        assert self._reader is not None
        row = archive.campaign(campaign)
        with Controls(self.home) as controls:
            told = controls.of(campaign)[-30:]
        return LiveFeed(
            campaign=row,
            running=is_running(self.home, row),
            state=self._reader.state(campaign),
            requests=self._reader.requests(campaign),
            controls=told,
            curve_points=self._reader.points(campaign),
        )

    def _curves(self, campaign: int) -> tuple[Curve, ...]:
        self._open()
        assert self._reader is not None
        return self._reader.curves(campaign)

    async def _lately(self, name: str, campaign: int, read: Callable[[], T]) -> T:
        begun, found = self._kept.get((name, campaign), (0.0, None))
        if found is None or _failed(found) or (found.done() and time.monotonic() - begun >= FRESH):
            found = asyncio.ensure_future(self._run(read))
            self._kept[name, campaign] = time.monotonic(), found
        return await asyncio.shield(found)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _failed(found: asyncio.Future[Any]) -> bool:
    return found.done() and (found.cancelled() or found.exception() is not None)


_CHANGES = """
SELECT (SELECT coalesce(max(s.rowid), 0) FROM stages s JOIN experiments e ON e.id = s.experiment WHERE e.campaign = ?),
       (SELECT group_concat(id || status || name || reason) FROM experiments WHERE campaign = ?),
       (SELECT count(*) || ':' || coalesce(max(id), 0) || ':' || count(experiment) FROM lines WHERE campaign = ?)
"""
