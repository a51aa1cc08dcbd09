"""A table in a terminal of any width: drawn as one where every number and word fits, else a few lines a row."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from move37.app.text import columns, harmless, one_line
from move37.app.views.shapes import Table, Tone

STYLES: dict[Tone, str] = {"": "", "good": "bold green", "bad": "red", "quiet": "dim", "strong": "bold"}
LEAST_TEXT = 15  # columns that a cell of words needs to be read


def table(found: Table) -> RenderableType:
    """Columns and rows; what a cell has besides (a traceback) stands under the table."""
    details = [
        Text(f"\n{one_line(row[1].text)}:\n{harmless(cell.detail)}", style="dim")
        for row in found.rows
        for cell in row
        if cell.detail
    ]
    return Group(_Fitting(found), *details)


class _Fitting:
    """A table where every number and word fits; else a line or two a row, since a number that is cut is no number."""

    def __init__(self, found: Table) -> None:
        self._found = found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fits = _least_width(self._found) <= options.max_width
        if not fits and self._found.stacks:
            yield from _lines_of(self._found)
            return
        made = RichTable(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
        for i, column in enumerate(self._found.columns):
            made.add_column(
                column.name,
                justify="right" if column.numeric else "left",
                ratio=1 if i == len(self._found.columns) - 1 else None,
                no_wrap=fits and column.numeric,
            )
        for row in self._found.rows:
            made.add_row(*(Text(one_line(cell.text), style=STYLES[cell.tone]) for cell in row))
        yield made


def _least_width(found: Table) -> int:
    """Where numbers stand whole and no text is squeezed below a few words."""
    widths = []
    for i, column in enumerate(found.columns):
        longest = max((columns(one_line(row[i].text)) for row in found.rows), default=0)
        widths.append(max(columns(column.name), longest if column.numeric else min(longest, LEAST_TEXT)))
    return sum(widths) + 2 * (len(widths) - 1)


def _lines_of(found: Table) -> Iterator[RenderableType]:
    """What a row is, its numbers with their names, and what is said about it below."""
    for row in found.rows:
        line = Text()
        for column, cell in zip(found.columns, row, strict=True):
            text = one_line(cell.text)
            if text and (column.numeric or column is not found.columns[-1]):
                line.append("  " if line else "")
                line.append(f"{column.name} " if column.numeric else "", "dim")
                line.append(text, STYLES[cell.tone])
        yield line
        if (text := one_line(row[-1].text)) and not found.columns[-1].numeric:
            yield Padding(Text(text, style=STYLES[row[-1].tone]), (0, 0, 0, 2))
