"""A bar on stderr while something is fetched; one line for those who read it later."""

import sys
from types import TracebackType

from .terminal import can_move_cursor

_CELLS = 24


class Progress:
    """Called with bytes so far and bytes in all. A context manager, which ends the bar's line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._drawn = can_move_cursor(sys.stderr)

    def __enter__(self) -> "Progress":
        if not self._drawn:
            print(f"{self._text} ...", file=sys.stderr, flush=True)
        return self

    def __call__(self, done: int, whole: int) -> None:
        if not self._drawn:
            return
        full = _CELLS * done // max(1, whole)
        bar = "█" * full + "░" * (_CELLS - full)
        sys.stderr.write(f"\r\x1b[K{self._text} {bar} {done / 1e6:.1f} of {whole / 1e6:.1f} MB")
        sys.stderr.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            print(file=sys.stderr, flush=True)
