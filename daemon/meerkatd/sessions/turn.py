"""One turn while it lives in memory."""

from dataclasses import dataclass, field
from typing import Any

import trio

from ..contract.turn import ActiveTurn, Holder
from ..errors import MeerkatError
from ..ids import Cursor, TurnId
from .turn_state import TERMINAL, Happening, State, advance


@dataclass(slots=True, kw_only=True)
class Turn:
    """A turn from its admission to its commit. It belongs to the daemon, not to the connection that asked for it.

    Attributes:
        holder: who started it; shown to those who find the session busy.
        first_cursor: cursor before the turn's first event: follow from here to see all of it.
        last_cursor: the turn's last event, once it is committed; None until then.
        open: it is written ahead and not yet ended in the store, so that its end takes what is added meanwhile.
        injected: how many of the messages that were added while it runs it has taken.
        scope: cancelled by an interrupt; the runner runs inside it.
        done: set after the commit (or its final failure) and after the last event was published.
        result: what a completed turn gives its caller.
        error: why a failed or interrupted one gives none.
    """

    turn_id: TurnId
    ordinal: int
    holder: Holder
    started_ms: int
    first_cursor: Cursor
    last_cursor: Cursor | None = None
    state: State = "admitted"
    open: bool = False
    injected: int = 0
    stop_reason: str = "interrupted by a client"
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    done: trio.Event = field(default_factory=trio.Event)
    result: dict[str, Any] | None = None
    error: MeerkatError | None = None

    def advance(self, happening: Happening) -> None:
        self.state = advance(self.state, happening)

    def interrupt(self, reason: str | None = None) -> None:
        """Ask the turn to stop. A turn that has ended is left alone; asking twice is asking once."""
        if self.state in TERMINAL:
            return
        if reason is not None and self.state != "interrupting":
            self.stop_reason = reason
        self.advance("interrupt")
        self.scope.cancel()

    def outcome(self) -> dict[str, Any]:
        """The result of a turn that is done.

        Raises:
            MeerkatError: what made the turn fail, or REQUEST_CANCELLED after an interrupt.
        """
        if self.error is not None:
            # A fresh object each time: several callers may wait for one turn, and a traceback grows where it is raised.
            raise MeerkatError(
                self.error.message, code=self.error.code, details=self.error.details, hint=self.error.hint
            )
        assert self.result is not None, "a turn that is done has a result or an error"
        return self.result

    def facts(self) -> ActiveTurn:
        """What others are told while it runs."""
        facts: ActiveTurn = {
            "turn_id": self.turn_id,
            "started_at_ms": self.started_ms,
            "surface": self.holder["surface"],
            "client": self.holder["client"],
            "cursor": self.first_cursor,
        }
        if "pid" in self.holder:
            facts["pid"] = self.holder["pid"]
        return facts
