"""What goes to a terminal: text without control characters, styles where they are wanted, cells counted.

A model's answer, a title, an error of a provider: all of it is somebody else's text. On a terminal an escape sequence
in it could repaint what is above, and a bidirectional override could reverse what a command seems to say.
"""

import os
import shutil
import sys
from typing import Any

_KEPT = "\n\t"
# C0, DEL, C1; line and paragraph separators; bidirectional embeddings, overrides and isolates.
_UNSAFE = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]


def _spelled(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


_ESCAPES = {code: _spelled(code) for code in _UNSAFE if chr(code) not in _KEPT}
_ESCAPES_LINE = {**{code: _spelled(code) for code in _UNSAFE}, ord("\n"): " ", ord("\t"): " "}


def visible(text: str) -> str:
    """`text` with its control characters spelled out; newlines and tabs stay."""
    return text.translate(_ESCAPES)


def visible_line(text: str) -> str:
    """`text` as one line: newlines and tabs become spaces, other control characters are spelled out."""
    return text.translate(_ESCAPES_LINE)


def is_terminal(stream: Any) -> bool:
    """Whether people read along; False for a stream that is closed or missing."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def can_ask() -> bool:
    """Whether there is somebody to ask: stdin and stderr are terminals."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def can_move_cursor(stream: Any) -> bool:
    """Whether a line may be drawn over, as a spinner does."""
    return is_terminal(stream) and os.environ.get("TERM", "dumb") != "dumb"


def width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size().columns


def cells(text: str) -> int:
    """Columns that `text` takes: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    import unicodedata

    count = 0
    for character in text:
        if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Me", "Mn"):
            continue
        count += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return count


def cut(text: str, columns: int) -> str:
    """`text` in at most `columns` cells, with an ellipsis where something is missing."""
    if cells(text) <= columns:
        return text
    kept, used = [], 1
    for character in text:
        used += cells(character)
        if used > columns:
            break
        kept.append(character)
    return "".join(kept) + "…" if columns > 0 else ""


class Style:
    """Styles for one stream: none unless it is a terminal that knows them (NO_COLOR, TERM=dumb)."""

    def __init__(self, stream: Any) -> None:
        self._on = can_move_cursor(stream) and not os.environ.get("NO_COLOR")

    def bold(self, text: str) -> str:
        return self._in("1", text)

    def dim(self, text: str) -> str:
        return self._in("2", text)

    def red(self, text: str) -> str:
        return self._in("1;31", text)

    def green(self, text: str) -> str:
        return self._in("32", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._on else text
