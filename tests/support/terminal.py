"""A program on a terminal of its own, as a person has it: what it shows, and keys to press."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence

PATIENCE_SECONDS = 30.0


class Terminal:
    """A running program whose stdin, stdout and stderr are one pseudo-terminal. End it with `close`.

    Attributes:
        shown: everything that it has written so far, as bytes decoded to text.
    """

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], cwd: str, columns: int = 100) -> None:
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._fd = ours
        self._raw = b""
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env={**env, "TERM": "xterm"},
            start_new_session=True, preexec_fn=_own_terminal,
        )  # fmt: skip
        os.close(theirs)

    @property
    def shown(self) -> str:
        return self._raw.decode("utf-8", "replace")

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, text: str) -> None:
        """Wait until `text` has been shown."""
        self._read_until(lambda: text in self.shown, f"{text!r} was not shown")

    def press(self, keys: str) -> None:
        """Type; "\\x03" is Ctrl-C."""
        os.write(self._fd, keys.encode())

    def wait(self) -> int:
        """Wait for the program's end; its exit status."""
        self._read_until(lambda: False, "the program did not end")
        return self._process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        os.close(self._fd)

    def _read_until(self, done: Callable[[], bool], complaint: str) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not done():
            ready, _, _ = select.select([self._fd], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"{complaint}; there is:\n{self.shown}"
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                data = b""  # Linux: EIO when the other side is closed.
            if not data:
                assert complaint == "the program did not end", f"{complaint}; there is:\n{self.shown}"
                return
            self._raw += data


def _own_terminal() -> None:
    """In the child: make the terminal its controlling one, so that Ctrl-C becomes a signal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
