"""Terminals for the pages: commands run by bash on a pseudo-terminal, one after another, in one or more terminals.

Variables and folder of a terminal last from command to command, and so does `$?`.
"""

import os
import pty
import select
import shlex
import signal
import subprocess
import time
from pathlib import Path

# A command on a machine that is busy with everything else; what hangs takes for ever.
DEADLINE_SECONDS = 60.0
# A local model on a slow machine.
LOCAL_DEADLINE_SECONDS = 600.0


class Running:
    """A command and what it has written so far."""

    def __init__(self, command: list[str], *, environ: dict[str, str], cwd: str, deadline: float) -> None:
        self._deadline = deadline
        self._master, slave = pty.openpty()
        try:
            self._process = subprocess.Popen(
                command, stdin=slave, stdout=slave, stderr=slave, env=environ, cwd=cwd, start_new_session=True
            )
        finally:
            os.close(slave)
        self._bytes = b""
        self._taken = 0

    @property
    def text(self) -> str:
        """What it has written since the last `take`."""
        return self._bytes[self._taken :].decode("utf-8", "replace")

    def take(self) -> str:
        text, self._taken = self.text, len(self._bytes)
        return text

    def read(self, until: float) -> bool:
        """Wait for more output; False at its end. Raises TimeoutError."""
        left = until - time.monotonic()
        if left <= 0 or not select.select([self._master], [], [], left)[0]:
            raise TimeoutError(f"nothing more comes after:\n{self.text}")
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux tells the end of a pseudo-terminal so
            return False
        self._bytes += data
        return bool(data)

    def deadline(self) -> float:
        return time.monotonic() + self._deadline

    def interrupt(self) -> None:
        os.killpg(self._process.pid, signal.SIGINT)

    def wait(self) -> int:
        """Read to the end; the exit status."""
        until = self.deadline()
        while self.read(until):
            pass
        return self._process.wait(timeout=max(1.0, until - time.monotonic()))

    def close(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._master)


class Terminal:
    """A shell, as a page's reader has it open."""

    def __init__(self, environ: dict[str, str], *, cwd: Path, scratch: Path, deadline: float) -> None:
        self._environ = environ
        self._cwd = cwd
        self._state = scratch
        self._deadline = deadline
        self._status = 0
        self.running: Running | None = None

    @property
    def cwd(self) -> Path:
        kept = self._state / "cwd"
        return Path(kept.read_text().strip()) if kept.exists() else self._cwd

    def start(self, command: str) -> Running:
        """Run a command, and leave it running."""
        assert self.running is None, f"a command is running where {command!r} is typed"
        state = shlex.quote(str(self._state))
        script = (
            f"set -a\n[ -e {state}/environ ] && . {state}/environ\n(exit {self._status})\n{command}\n"
            f"status=$?; export -p > {state}/environ; pwd > {state}/cwd; exit $status\n"
        )
        self.running = Running(
            ["bash", "--noprofile", "--norc", "-c", script],
            environ=self._environ,
            cwd=str(self.cwd),
            deadline=self._deadline,
        )
        return self.running

    def finish(self) -> str:
        """Wait for the end of what runs; what it wrote since it was last looked at."""
        assert self.running is not None, "no command is running in this terminal"
        try:
            self._status = self.running.wait()
            return self.running.take()
        finally:
            self.close()

    def close(self) -> None:
        running, self.running = self.running, None
        if running is not None:
            running.close()
