"""Processes of tools: a command and everything that it starts, which end when they are told to and with the daemon.

Each command runs below a `keeper`, a process that holds one end of a pipe whose other end only the daemon has. Letting
go of ours ends the command, and so does the death of the daemon, also by a signal that it cannot catch.
"""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import IO

import trio

_KEEPER = os.path.join(os.path.dirname(__file__), "keeper.py")
# Asked to end, a command gets this long before it is made to.
GRACE_SECONDS = 2.0
# The keeper's own work after that takes milliseconds; one that hangs itself is killed.
_PATIENCE_SECONDS = 3.0
# Our own settings, the telemetry's, which may have the key of a collector, and what a service manager tells the
# daemon alone: whoever has NOTIFY_SOCKET can speak to it in the daemon's name.
_OWN = ("MEERKAT_", "RKAT_", "OTEL_", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_")


class KeptProcess:
    """A command that runs below its keeper.

    Attributes:
        process: the keeper, whose pipes are the command's, and whose status is the command's as a shell tells it.
    """

    def __init__(self, process: trio.Process, lifeline: int) -> None:
        self.process = process
        self._lifeline: int | None = lifeline

    def __repr__(self) -> str:
        return f"<KeptProcess {self.process.pid} {'ended' if self.process.returncode is not None else 'running'}>"

    def let_go(self) -> None:
        """Tell the keeper to end everything; returns at once."""
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is not None:
            os.close(lifeline)

    async def stop(self, *, grace: float = GRACE_SECONDS) -> None:
        """End everything and wait for it. Shielded and bounded."""
        self.let_go()
        with trio.CancelScope(shield=True):
            with trio.move_on_after(grace + _PATIENCE_SECONDS):
                await self.process.wait()
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()


@asynccontextmanager
async def kept_process(
    command: Sequence[str],
    *,
    cwd: str | None,
    env: Mapping[str, str],
    stdin: int,
    stdout: int,
    stderr: int | IO[bytes],
    grace: float = GRACE_SECONDS,
) -> AsyncIterator[KeptProcess]:
    """Run a command for the length of the block, at most; nothing of it is left afterwards.

    Args:
        stdin, stdout, stderr: as for `subprocess`.
        grace: seconds that it has to end by itself when asked to.

    Raises:
        OSError: the folder does not exist, or no process can be made. A command that does not exist is a status of 127
            and a line on stderr.
    """
    reading, writing = os.pipe()
    try:
        with trio.CancelScope(shield=True):
            process = await trio.lowlevel.open_process(
                [sys.executable, "-I", "-S", _KEEPER, str(reading), str(grace), *command],
                cwd=cwd,
                env=env,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=[reading],
                # A Ctrl-C at the terminal of a daemon in front is for the daemon.
                start_new_session=True,
            )
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    kept = KeptProcess(process, writing)
    try:
        yield kept
    finally:
        await kept.stop(grace=grace)
        with trio.CancelScope(shield=True):
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    await stream.aclose()


def environment(environ: Mapping[str, str], *, without: frozenset[str] = frozenset()) -> dict[str, str]:
    """An environment for a tool: that of the daemon without what is the daemon's own affair.

    Args:
        without: names beside those that begin as the daemon's own do.
    """
    return {name: value for name, value in environ.items() if name not in without and not name.startswith(_OWN)}


PIPE, DEVNULL, STDOUT = subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT
