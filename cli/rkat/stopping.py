"""Stop the daemon, and know that it is gone."""

import os
import select
import signal
import time
from typing import Any

from meerkat_client import _dial
from meerkat_client.errors import RkatError
from meerkat_client.wire.peer import peer_credentials

from . import output
from .connection import connect
from .options import Options

# After its deadline for turns the daemon commits, closes and goes; a disk that hangs takes longer than this.
GRACE_SECONDS = 20.0
# A daemon that was told by a signal lets its turns go on for its own default, 10 s unless it was started otherwise.
SIGNAL_SECONDS = 60.0
# Where the system cannot tell of a process's end.
_LOOK_SECONDS = 0.05


def stop_daemon(options: Options, deadline: float | None) -> int | None:
    """Ask the daemon to stop and wait for its end; its pid, or None when none ran.

    Args:
        deadline: seconds that running turns may go on; None for the daemon's default.

    Raises:
        RkatError: DAEMON_UNAVAILABLE when it does not end in time.
    """
    try:
        client = connect(options, start=False)
    except RkatError as error:
        if error.code == "VERSION_MISMATCH":
            return stop_by_signal(options)
        if error.code == "DAEMON_UNAVAILABLE" and not _listens(options):
            return None
        raise
    with client:
        pid: int = client.info["pid"]
        process = _Process(pid)
        try:
            answer = client.call("daemon/stop", {} if deadline is None else {"deadline_seconds": deadline})
            say_what_is_waited_for(options, answer)
            if process.ends_within(answer["deadline_seconds"] + GRACE_SECONDS):
                return pid
        finally:
            process.close()
    raise _still_there(pid)


def stop_by_signal(options: Options) -> int | None:
    """Stop a daemon with which this program has no protocol in common: SIGTERM means the same to all of them.

    The process is the one that listens, as the kernel tells it.

    Raises:
        RkatError: as `stop_daemon`.
    """
    try:
        with _dial.connect(state_root=options.state_root, start=False) as sock:
            pid = peer_credentials(sock).pid
    except RkatError as error:
        if error.code != "DAEMON_UNAVAILABLE":
            raise
        return None
    if pid is None:
        return None
    process = _Process(pid)
    try:
        os.kill(pid, signal.SIGTERM)
        if process.ends_within(SIGNAL_SECONDS):
            return pid
    finally:
        process.close()
    raise _still_there(pid)


def _listens(options: Options) -> bool:
    """Whether somebody takes connections, answering or not."""
    try:
        _dial.connect(state_root=options.state_root, start=False).close()
    except RkatError:
        return False
    return True


def _still_there(pid: int) -> RkatError:
    return RkatError(
        "DAEMON_UNAVAILABLE",
        f"The daemon (pid {pid}) was told to stop and is still there.",
        hint="`rkat daemon logs` may tell what it waits for.",
        details={"pid": pid},
    )


def say_what_is_waited_for(options: Options, answer: dict[str, Any]) -> None:
    """A turn may take as long as its deadline; whoever waits should know for what."""
    turns = answer["active_turns"]
    if turns and not options.json:
        what = "a turn" if turns == 1 else f"{turns} turns"
        output.note(f"waiting for {what} to end, at most {answer['deadline_seconds']:g} s ...")


class _Process:
    """A process that is not our child. Linux gives a descriptor that tells of its end; elsewhere we look again."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor = -1
        self._gone = False
        try:
            if hasattr(os, "pidfd_open"):
                self._descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._gone = True

    def ends_within(self, seconds: float) -> bool:
        if self._descriptor >= 0:
            ending = select.poll()
            ending.register(self._descriptor, select.POLLIN)
            return bool(ending.poll(seconds * 1000))
        until = time.monotonic() + seconds
        while not self._is_gone():
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def _is_gone(self) -> bool:
        if not self._gone:
            try:
                os.kill(self._pid, 0)
            except ProcessLookupError:
                self._gone = True
        return self._gone

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
