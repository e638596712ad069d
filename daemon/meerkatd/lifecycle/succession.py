"""A restart in place: this process goes on with the program that is installed now.

The listening sockets and the locks stay open through execve(2), so nobody is refused: who comes meanwhile waits in the
sockets' queues. It is the same process, so a service manager sees no end, and no other daemon can slip in. Everything
else is left behind as at a stop: turns have ended, realms are closed, connections were told.

What the next program needs is in one variable, for the process that it names only.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import NamedTuple, NoReturn

import trio

from meerkat_client.wire.paths import Places
from meerkat_client.wire.version import VERSION

from ..errors import InvalidParams, VersionMismatch
from .endpoint import Identity, Inherited

VARIABLE = "MEERKAT_HANDOVER"
# Importing everything that `--version` needs takes a tenth of a second; a disk that has to be woken up takes longer.
PROBE_SECONDS = 20.0
# Of the last start only, or said anew for the next one.
_FLAGS = frozenset(("--detach",))
_WITH_VALUES = frozenset(("--ready-fd", "--state-root", "--runtime-dir"))


class HandOver(NamedTuple):
    """What is handed over.

    Attributes:
        lock: descriptors of the instance lock.
        sockets: descriptors that listen.
        identity, managed: see `Inherited`.
        restarts: how often this process has done so.
    """

    lock: tuple[int, int]
    sockets: tuple[int, ...]
    identity: Identity | None
    managed: bool
    restarts: int

    def inherited(self) -> Inherited:
        sockets = tuple(socket.socket(fileno=fd) for fd in self.sockets)
        return Inherited(sockets, self.identity, self.managed)


def take_hand_over(environ: MutableMapping[str, str]) -> HandOver | None:
    """What the last program of this process left; takes it out of `environ`."""
    text = environ.pop(VARIABLE, None)
    if text is None:
        return None
    said = json.loads(text)
    if said.pop("pid") != os.getpid():
        return None
    identity = said["identity"]
    found = HandOver(
        lock=(said["lock"][0], said["lock"][1]),
        sockets=tuple(said["sockets"]),
        identity=None if identity is None else (identity[0], identity[1]),
        managed=said["managed"],
        restarts=said["restarts"],
    )
    for fd in (*found.lock, *found.sockets):
        os.set_inheritable(fd, False)
    return found


class Successor(NamedTuple):
    """The next program of this process."""

    command: Sequence[str]
    environment: Mapping[str, str]
    hand_over: HandOver

    def begin(self) -> NoReturn:
        """Become it. To be called when everything else has ended.

        Raises:
            OSError: the program is gone; this process still has what it wanted to hand over.
        """
        for fd in (*self.hand_over.lock, *self.hand_over.sockets):
            os.set_inheritable(fd, True)
        said = json.dumps({**self.hand_over._asdict(), "pid": os.getpid()})
        os.execve(self.command[0], list(self.command), {**self.environment, VARIABLE: said})


def command_of(program: str | None, arguments: Sequence[str], places: Places) -> list[str]:
    """How to run the daemon with `program`, a Python interpreter (None: the one that runs now), as it was started.

    Args:
        places: said in full, for the environment may have changed that they came from.
    """
    kept, left = [], list(arguments)
    while left:
        argument = left.pop(0)
        name, given, _ = argument.partition("=")
        if name in _WITH_VALUES:
            del left[: 0 if given else 1]
        elif name not in _FLAGS:
            kept.append(argument)
    where = ("--state-root", places.state_root, "--runtime-dir", places.runtime_dir)
    return [*_program(program), *kept, *where]


def _program(program: str | None) -> list[str]:
    return [program or sys.executable, "-P", "-m", "meerkatd"]


async def probe(program: str | None) -> str:
    """The version of the daemon that `program` would run. It is run, so that a broken installation ends no good daemon.

    Raises:
        InvalidParams: it cannot be run, or is no meerkatd.
        VersionMismatch: it is older than this one.
    """
    command = [*_program(program), "--version"]
    try:
        with trio.fail_after(PROBE_SECONDS):
            done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, stdin=b"")
    except (OSError, subprocess.CalledProcessError, trio.TooSlowError) as error:
        raise InvalidParams(
            f"The installed program cannot be run, so nothing was restarted: {command[0]}.",
            details={"field": "program", "reason": str(error)},
            hint="Install meerkatd for that Python again, and look at what it says about `-m meerkatd --version`.",
        ) from error
    name, _, version = done.stdout.decode("utf-8", "replace").strip().partition(" ")
    if name != "meerkatd" or not numbers(version):
        raise InvalidParams(f"{command[0]} runs no meerkatd.", details={"field": "program"})
    if numbers(version) < numbers(VERSION):
        raise VersionMismatch(
            f"The installed meerkatd is {version}, older than the daemon that runs ({VERSION}); it was not restarted.",
            details={"daemon_version": VERSION, "installed_version": version},
            hint="Stop the daemon with `rkat daemon stop` first, if you mean to go back.",
        )
    return version


def numbers(version: str) -> tuple[int, ...]:
    """A version's leading numbers, to compare by: `1.10.0rc1` is (1, 10, 0)."""
    found = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
        if digits != part:
            break
    return tuple(found)
