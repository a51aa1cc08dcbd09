"""Reports: records -> one HTML page or Markdown, pure but for the writing of the file.

Read `story.py` (what is told), `findings.py` (what is counted), `charts.py` (drawn by Plotly), `page.py` and
`markdown.py`. `rows.py` has the JSON of the reading commands.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from move37.lab.archive.store import Archive, Campaign


def write_report(archive: Archive, campaign: Campaign, path: Path, *, markdown: bool = False) -> Path:
    """Write the report of one campaign to `path`; returns its absolute path. Raises `EnvironmentFault`."""
    from move37.app.exits import EnvironmentFault
    from move37.app.report.markdown import markdown_of
    from move37.app.report.page import page_of
    from move37.app.report.story import story_of

    story = story_of(archive, campaign)
    text = markdown_of(story) if markdown else page_of(story)
    target = path.expanduser().absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Written beside and renamed, so that a reader never sees half a page.
        half = target.with_name(f".{target.name}.half")
        half.write_text(text, encoding="utf-8")
        half.replace(target)
    except OSError as error:
        raise EnvironmentFault(
            f"the report cannot be written to {target} ({error.strerror}): choose another --out"
        ) from error
    return target
