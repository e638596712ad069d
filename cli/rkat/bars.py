"""A small bar chart: one bar for each value, in eighths of a cell, as wide as the terminal leaves it.

No library: a bar beside each row of a table says as much as a plot above it would, works in a pipe, fits into any
width, and takes nothing to load.
"""

import sys
from collections.abc import Sequence

from .terminal import width

_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"
# Wide enough to tell a twentieth; more says nothing more.
_MAX_CELLS = 30
# Of the terminal's width; the rest is the table's.
_SHARE = 4


def bars(values: Sequence[float], *, cells: int | None = None) -> list[str]:
    """A bar for each value, the largest as wide as there is room.

    Args:
        cells: the room; by default a part of the terminal's width.
    """
    room = cells if cells is not None else max(1, min(_MAX_CELLS, width() // _SHARE))
    largest = max(values, default=0)
    return [_bar(value / largest * room) if largest > 0 else "" for value in values]


def _bar(length: float) -> str:
    if not _can_draw():
        return "#" * round(length)
    eighths = round(length * 8)
    # Something is not nothing.
    eighths = max(1, eighths) if length > 0 else 0
    return (_FULL * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _can_draw() -> bool:
    """Whether stdout's encoding has the blocks."""
    try:
        (_FULL + _EIGHTHS).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
