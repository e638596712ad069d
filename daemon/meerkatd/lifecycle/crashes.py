"""When this daemon's predecessors ended without a word: `crashes.json` in the state root.

A service manager starts a daemon again that has crashed, for ever and twice a second. So a daemon that finds five
crashes within a minute behind it starts in safe mode: it answers, says what is the matter, and opens no realm. Without
a manager each start is somebody's own request, whose failure is told to them; there, crashes are only counted.

An end in order clears the count: a stop, a restart, an idle end. So whoever has mended something only has to restart.
"""

import json
import os
import time
from collections.abc import Sequence

FILE_NAME = "crashes.json"
# A daemon that falls over a realm or a library does so within a second or two; a machine that loses power does not do
# it five times in a minute.
LIMIT = 5
WINDOW_SECONDS = 60.0
_KEPT = 20
_MAX_BYTES = 4096


class CrashLog:
    """The crashes of the daemons of one state root."""

    def __init__(self, state_root: str) -> None:
        self.path = os.path.join(state_root, FILE_NAME)

    def times(self) -> list[float]:
        """Unix times at which a crash was found, oldest first; what cannot be read counts as none."""
        try:
            with open(self.path, "rb") as file:
                found = json.loads(file.read(_MAX_BYTES))["crashes"]
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return [float(at) for at in found if isinstance(at, int | float)] if isinstance(found, list) else []

    def recent(self, now: float | None = None) -> int:
        """How many there were within the window. One in the future is that of a clock that was put right."""
        at = time.time() if now is None else now
        return sum(at - WINDOW_SECONDS <= crash <= at for crash in self.times())

    def is_looping(self, now: float | None = None) -> bool:
        return self.recent(now) >= LIMIT

    def note(self, now: float | None = None) -> None:
        """There was one more. Raises OSError."""
        self._write([*self.times(), time.time() if now is None else now][-_KEPT:])

    def clear(self) -> None:
        """All is well. Raises OSError."""
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            return

    def _write(self, times: Sequence[float]) -> None:
        # A crash of the machine may cost the last entry; that is no reason to make each start wait for the disk.
        temporary = f"{self.path}.{os.getpid()}"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, json.dumps({"crashes": [round(at, 3) for at in times]}).encode() + b"\n")
        finally:
            os.close(fd)
        os.replace(temporary, self.path)
