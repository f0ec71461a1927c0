"""A table that fits: rows below upper-case heads; what does not fit beside the others stands below them.

In: heads and rows, the most important column first; a cell is anybody's text, or a `Text` of ours with a style. Out:
lines of at most the console's width. Rules: nothing is cut off. While all fits, each row is a line, and the last column
may fold. Else the first columns stay, as many as fit, and the others follow below, indented, each with its head;
empty ones are left out.

    BOX   SYNC       HEALTH                     BOX   SYNC
    site  OutOfSync  Degraded                   site  OutOfSync
                                                  HEALTH Degraded
"""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from gitops.cli.showing.words import printable

Cell = str | Text
GAP, INDENT = 2, 2
LEAST = 24
"""Characters that a column needs to fold in."""
SHARE = 3
"""Where not all fits, a column folds at so many parts of the line: one long name pushes nobody down."""


class Sheet:
    """What `console.print` takes."""

    def __init__(self, heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        self._heads = [Text(head) for head in heads]
        self._rows = [[_text(cell) for cell in row] for row in rows]
        self._widths = [max(map(_width, column)) for column in zip(self._heads, *self._rows, strict=True)]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width
        beside = sum(width + GAP for width in self._widths[:-1])
        if beside + min(self._widths[-1], LEAST) <= room:
            kept, widths = len(self._heads), [*self._widths[:-1], min(self._widths[-1], room - beside)]
        else:
            capped = [min(width, max(room // SHARE, LEAST)) for width in self._widths]
            kept = _kept(capped, room)
            widths = capped[:kept]
        if any(head.plain for head in self._heads):
            yield from _beside(console, self._heads[:kept], widths)
            yield Text("─" * min(sum(widths) + GAP * (kept - 1), room))
        for row in self._rows:
            yield from _beside(console, row[:kept], widths)
            yield from self._below(console, row, kept, room)

    def _below(self, console: Console, row: list[Text], kept: int, room: int) -> Iterator[Text]:
        """The other columns, as many on a line as fit."""
        line = Text(" " * INDENT)
        for head, cell in zip(self._heads[kept:], row[kept:], strict=True):
            if not cell.plain:
                continue
            pair = Text.assemble(head, " ", cell) if head.plain else cell
            if _width(line) > INDENT and ("\n" in pair.plain or _width(line) + GAP + _width(pair) > room):
                yield line
                line = Text(" " * INDENT)
            if "\n" in pair.plain or INDENT + _width(pair) > room:
                yield from _folded(console, pair, room)
            else:
                line.append(" " * GAP if _width(line) > INDENT else "").append_text(pair)
        if _width(line) > INDENT:
            yield line


def _kept(widths: Sequence[int], room: int) -> int:
    """How many columns stand beside each other."""
    used = -GAP
    for number, width in enumerate(widths):
        used += GAP + width
        if used > room:
            return max(number, 1)
    return len(widths)


def _folded(console: Console, cell: Text, room: int) -> Iterator[Text]:
    for number, line in enumerate(_lines(console, cell, room - 2 * INDENT)):
        yield Text(" " * (INDENT if number == 0 else 2 * INDENT)).append_text(line)


def _beside(console: Console, cells: Sequence[Text], widths: Sequence[int]) -> Iterator[Text]:
    """One row, each cell folded within its column."""
    columns = [_lines(console, cell, width) for cell, width in zip(cells, widths, strict=True)]
    for number in range(max(map(len, columns))):
        line = Text()
        for place, (column, width) in enumerate(zip(columns, widths, strict=True)):
            part = column[number] if number < len(column) else Text()
            line.append_text(part)
            if any(number < len(later) and later[number].plain for later in columns[place + 1 :]):
                line.append(" " * (width - _width(part) + GAP))
        yield line


def _lines(console: Console, cell: Text, width: int) -> list[Text]:
    if cell.plain.isascii() and len(cell.plain) <= width and "\n" not in cell.plain:
        return [cell]  # of a large fleet, nearly all
    lines = [*cell.wrap(console, max(width, 1), overflow="fold", no_wrap=False)]
    for line in lines:
        line.rstrip()
    return lines or [Text()]


def _text(cell: Cell) -> Text:
    if isinstance(cell, str):
        return Text(printable(cell))
    return Text(printable(cell.plain), style=cell.style)


def _width(text: Text) -> int:
    plain = text.plain
    if plain.isascii() and "\n" not in plain:
        return len(plain)
    return max((cell_len(line) for line in plain.split("\n")), default=0)
