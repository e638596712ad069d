"""That the daemon is to leave: why, how long its turns may go on, and how far it has come.

    asked ─► turns end, or their deadline passes, or somebody hurries ─► leaving ─► every connection is told and closed

One object for each life of a daemon. Whatever ends the daemon asks here, and whatever has to know looks here. A stop
that comes while a restart is under way makes it a stop; nothing makes a stop anything else.
"""

from typing import Literal

import trio

Reason = Literal["stop", "idle", "restart"]


class Departure:
    """See the module.

    Args:
        deadline: seconds that running turns may go on, unless whoever asks says otherwise.

    Attributes:
        reason: why, once somebody has asked.
        program, environment: for a restart, the Python that is to run the next daemon, and what it is to see; None for
            those of this one.
    """

    def __init__(self, *, deadline: float) -> None:
        self.deadline = deadline
        self.reason: Reason | None = None
        self.program: str | None = None
        self.environment: dict[str, str] | None = None
        self._asked = trio.Event()
        self._hurried = trio.Event()
        self._leaving = trio.Event()

    def __repr__(self) -> str:
        return f"<Departure {self.reason or 'nobody has asked'}>"

    def ask(self, reason: Reason, *, deadline: float | None = None, program: str | None = None) -> float:
        """Let the daemon leave; returns the deadline that counts now."""
        if program is not None:
            self.program = program
        if deadline is not None:
            self.deadline = deadline
        if self.reason in (None, "restart"):
            self.reason = reason
        self._asked.set()
        return self.deadline

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    @property
    def is_restart(self) -> bool:
        """Whether the same process goes on with the installed program."""
        return self.reason == "restart"

    async def wait(self) -> None:
        """Wait until somebody asks."""
        await self._asked.wait()

    def hurry(self) -> None:
        """Do not wait for turns any longer."""
        self._hurried.set()

    @property
    def in_a_hurry(self) -> bool:
        return self._hurried.is_set()

    async def hurried(self) -> None:
        await self._hurried.wait()

    def leave(self) -> None:
        """Nothing is begun any more."""
        self._leaving.set()

    async def leaving(self) -> None:
        await self._leaving.wait()
