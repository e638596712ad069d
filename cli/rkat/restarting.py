"""Let the daemon go on with the installed program, and know that it has."""

import os
import sys
import time
from typing import Any

from meerkat_client import BlockingClient
from meerkat_client._dial import daemon_environment
from meerkat_client.errors import RkatError
from meerkat_client.wire.version import VERSION

from .connection import connect
from .options import Options
from .stopping import GRACE_SECONDS, say_what_is_waited_for, stop_daemon

_LOOK_SECONDS = 0.05


def restart_daemon(options: Options, deadline: float | None) -> tuple[int, int | None]:
    """Restart the daemon in place, or start one when none runs; its pid, and that of the one before it.

    The same process goes on with the program of this `rkat`, and with what a daemon gets of this shell, unless a
    service manager has its own idea of both. A daemon that is too old for that is stopped, and another one started.

    Raises:
        RkatError: VERSION_MISMATCH when the daemon is newer than this program; DAEMON_UNAVAILABLE when it does not
            come back in time.
    """
    try:
        client = connect(options, start=False)
    except RkatError as error:
        _refuse_to_go_back(error)
        return _stop_and_start(options, deadline)
    with client:
        before = client.call("daemon/status")
        params: dict[str, Any] = {} if deadline is None else {"deadline_seconds": deadline}
        if not before.get("managed"):
            params |= {"program": sys.executable, "environment": daemon_environment(os.environ)}
        try:
            answer = client.call("daemon/restart", params)
        except RkatError as error:
            if error.code != "METHOD_NOT_FOUND":
                raise
            return _stop_and_start(options, deadline)
        say_what_is_waited_for(options, answer)
        _wait(client, before["restarts"], answer["deadline_seconds"] + GRACE_SECONDS)
        return client.info["pid"], before["process"]["pid"]


def _wait(client: BlockingClient, restarts: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while client.call("daemon/status")["restarts"] <= restarts:
        if time.monotonic() >= until:
            raise RkatError(
                "DAEMON_UNAVAILABLE",
                "The daemon was told to restart and has not done so.",
                hint="`rkat daemon logs` may tell what it waits for.",
            )
        time.sleep(_LOOK_SECONDS)


def _stop_and_start(options: Options, deadline: float | None) -> tuple[int, int | None]:
    before = stop_daemon(options, deadline)
    with connect(options) as client:
        return client.info["pid"], before


def _refuse_to_go_back(error: RkatError) -> None:
    if error.code not in ("VERSION_MISMATCH", "DAEMON_UNAVAILABLE"):
        raise error
    theirs = error.details.get("daemon_version")
    if isinstance(theirs, str) and numbers(theirs) > numbers(VERSION):
        error.hint = f"The daemon is newer ({theirs}) than this program ({VERSION}): install that version here too."
        raise error


def numbers(version: str) -> tuple[int, ...]:
    """A version's numbers, to compare by; what comes after the first one that is none does not count."""
    found = []
    for part in version.split("."):
        if not part.isdigit():
            break
        found.append(int(part))
    return tuple(found)
