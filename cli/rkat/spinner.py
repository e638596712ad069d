"""A sign of life on stderr while nothing else happens; leaves nothing behind."""

import sys
import threading
import time

from .terminal import can_move_cursor

# What takes less is not worth a flicker.
DELAY_SECONDS = 0.3
_FRAME_SECONDS = 0.1
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ERASE_LINE = "\r\x1b[K"


class Spinner:
    """Drawn by a thread between `start` and `stop`; does nothing where no cursor can be moved. Both may be repeated."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        if self._thread is not None or not can_move_cursor(sys.stderr):
            return
        self._stopped.clear()
        self._thread = threading.Thread(target=self._draw, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take it away; nothing of it is drawn after this returns."""
        # In this order a Ctrl-C in between leaves something that the next `stop` finishes.
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _draw(self) -> None:
        began = time.monotonic()
        if self._stopped.wait(DELAY_SECONDS):
            return
        count = 0
        try:
            while not self._stopped.is_set():
                frame = _FRAMES[count % len(_FRAMES)]
                sys.stderr.write(f"{_ERASE_LINE}{frame} {self._text} {time.monotonic() - began:.0f} s")
                sys.stderr.flush()
                count += 1
                self._stopped.wait(_FRAME_SECONDS)
            sys.stderr.write(_ERASE_LINE)
            sys.stderr.flush()
        except OSError:
            # The terminal is gone, and with it whoever would look.
            return
