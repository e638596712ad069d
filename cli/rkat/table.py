"""Tables for people: columns as wide as what is in them, never wider than the terminal, never wrapped."""

import sys
from collections.abc import Sequence

from .terminal import Style, cells, cut, is_terminal, visible_line, width

_GAP = "  "


def show(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Write a table to stdout. The last column takes what is left of the terminal's width; a pipe gets all of it.

    Args:
        right: indexes of columns that are aligned to the right.
    """
    shown = [[visible_line(cell) for cell in row] for row in rows]
    widths = [max([cells(heading), *(cells(row[place]) for row in shown)]) for place, heading in enumerate(headings)]
    if is_terminal(sys.stdout):
        taken = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1)
        widths[-1] = max(0, width() - taken)
    style = Style(sys.stdout)
    print(style.bold(_line(headings, widths, right)))
    for row in shown:
        print(_line(row, widths, right))


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> str:
    parts = []
    for place, cell in enumerate(row):
        text = cut(cell, widths[place])
        space = " " * (widths[place] - cells(text))
        parts.append(space + text if place in right else text + space)
    return cut(_GAP.join(parts).rstrip(), width()) if is_terminal(sys.stdout) else _GAP.join(parts).rstrip()


def fields(pairs: Sequence[tuple[str, str | None]]) -> None:
    """Write `name  value` lines to stdout; a value of None is left out."""
    known = [(name, visible_line(value)) for name, value in pairs if value is not None]
    widest = max((cells(name) for name, _ in known), default=0)
    style = Style(sys.stdout)
    for name, value in known:
        print(f"{style.dim(name)}{' ' * (widest - cells(name))}{_GAP}{value}")
