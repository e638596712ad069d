"""One session while it lives in memory: its row, the one turn it may have, and its events."""

from collections.abc import Sequence

import trio

from ..agent.context import ContextSize
from ..contract.message import AddedMessage
from ..errors import SessionArchived, SessionBusy
from ..ids import SessionId
from ..instruments import BUSY
from ..store.api import SessionRow
from .event_log import EventLog
from .meta import SessionMeta
from .turn import Turn


class Session:
    """The live side of a session. At most one object exists for each session of a realm.

    Attributes:
        row: as it is committed.
        turn: the one turn that runs, or None.
        users: requests and readers that hold the object; it stays in memory while there are any.
        context_size: what the last call of its model told about the size of its context.
        closing: an archive is being committed.
        changing: held while the row is changed by anything but a turn's events: labels, the archive mark, messages
            that are added, the beginning and the end of a turn.
    """

    def __init__(self, row: SessionRow, events: EventLog) -> None:
        self.row = row
        self.meta = SessionMeta.load(row.meta)
        self.events = events
        self.turn: Turn | None = None
        self.users = 0
        self.closing = False
        self.changing = trio.Lock()
        self.context_size = ContextSize()
        self._events_from = events.last

    def __repr__(self) -> str:
        return f"<Session {self.row.session_id} {'busy' if self.turn else 'idle'} {self.row.message_count} messages>"

    @property
    def session_id(self) -> SessionId:
        return SessionId(self.row.session_id)

    @property
    def idle(self) -> bool:
        """Nobody needs the object any more."""
        return self.turn is None and self.users == 0 and self.events.readers == 0 and not self.closing

    def admit(self, turn: Turn) -> None:
        """Make `turn` the session's one turn. No await between check and set: it cannot race.

        Raises:
            SessionBusy: with the facts of the turn that runs.
            SessionArchived: it takes no turns.
        """
        self.check_unused()
        self.check_open()
        self.turn = turn

    def check_unused(self) -> None:
        """Raises SessionBusy when a turn runs or an archive is under way."""
        if self.turn is not None:
            BUSY.add()
            facts = self.turn.facts()
            raise SessionBusy(
                f"A turn is running in session {self.session_id}; {facts['client']} ({facts['surface']}) started it.",
                details={"session_id": self.session_id, **facts},
            )
        if self.closing:
            BUSY.add()
            raise SessionBusy(f"Session {self.session_id} is being archived.", details={"session_id": self.session_id})

    def check_open(self) -> None:
        """Raises SessionArchived when it is archived."""
        if self.row.archived_ms is not None:
            raise SessionArchived(
                f"Session {self.session_id} is archived.",
                details={"session_id": self.session_id, "archived_at_ms": self.row.archived_ms},
            )

    def take_injected(self, turn: Turn) -> Sequence[AddedMessage]:
        """The messages that were added while `turn` runs and that it has not taken yet."""
        added = self.meta.injected[turn.injected :]
        turn.injected += len(added)
        return added

    def forget_old_events(self, turn: Turn) -> None:
        """A turn begins: keep the events of the one before it, for readers that come back, and drop older ones."""
        self.events.forget_before(self._events_from)
        self._events_from = turn.first_cursor

    def replace_row(self, row: SessionRow) -> None:
        self.row = row
        self.meta = SessionMeta.load(row.meta)
