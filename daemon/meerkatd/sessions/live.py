"""The live objects of a realm's sessions: at most one for each session, in memory for as long as somebody needs it."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from ..errors import SessionNotFound
from ..ids import SessionId
from ..store.api import RealmStore, SessionRow
from .event_log import EventLog
from .session import Session
from .turn import Turn

# Idle sessions kept in memory: a row and an empty event log are a few KiB.
IDLE_SESSIONS = 256
# What the events of all idle sessions may take together: each keeps those of its last two turns, for readers that come
# back, and one of them alone may have some 12 MiB.
IDLE_EVENT_BYTES = 64 * 1024 * 1024
# A log below this is not worth counting: 256 of them are 16 MiB.
_LIGHT_BYTES = 64 * 1024


class LiveSessions:
    """Live sessions by id, the ones used longest ago first.

    Args:
        store: gives the realm's store; None while the realm does not exist.
        now_ms: the wall clock.
    """

    def __init__(self, store: Callable[[], Awaitable[RealmStore | None]], *, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        self._live: OrderedDict[str, Session] = OrderedDict()
        self._loading: dict[str, trio.Event] = {}

    def __repr__(self) -> str:
        return f"<LiveSessions {len(self._live)}, of them busy {len(self.running())}>"

    def get(self, session_id: str) -> Session | None:
        """The live object, if there is one already."""
        return self._live.get(session_id)

    def add(self, row: SessionRow) -> Session:
        """The live object of a session that is about to be created: there before anybody can find its row."""
        session = self._live[row.session_id] = Session(row, self._log(row.session_id, last_seq=0))
        return session

    def discard(self, session_id: str) -> None:
        """Take back `add`: the session was not created."""
        del self._live[session_id]

    def running(self) -> list[Turn]:
        return [session.turn for session in self._live.values() if session.turn is not None]

    @property
    def readers(self) -> int:
        """Event streams that are open."""
        return sum(session.events.readers for session in self._live.values())

    @property
    def idle(self) -> bool:
        return not self._loading and all(session.idle for session in self._live.values())

    def forget_idle(self) -> None:
        for session_id in [each for each, session in self._live.items() if session.idle]:
            del self._live[session_id]

    def end_streams(self) -> None:
        """End every reader of events: the realm is gone."""
        for session in self._live.values():
            session.events.close()

    @asynccontextmanager
    async def hold(self, session_id: SessionId) -> AsyncIterator[Session]:
        """The one live object of a session, kept in memory while the block runs.

        Raises:
            SessionNotFound: the realm has no such session.
        """
        session = self._live.get(session_id) or await self._load(session_id)
        session.users += 1
        self._live.move_to_end(session_id)
        try:
            yield session
        finally:
            session.users -= 1
            self._forget_oldest()
            if session.events.weight > _LIGHT_BYTES:
                self._forget_heavy()

    async def _load(self, session_id: SessionId) -> Session:
        # One load at a time for each session: a row read by a second one could be older than a turn that the first
        # one has admitted, ended and forgotten meanwhile.
        while (other := self._loading.get(session_id)) is not None:
            await other.wait()
            if (session := self._live.get(session_id)) is not None:
                return session
        loaded = self._loading[session_id] = trio.Event()
        try:
            store = await self._store()
            row = await store.session(session_id) if store is not None else None
            if row is None:
                raise no_session(session_id)
            session = self._live[session_id] = Session(row, self._log(session_id, last_seq=row.event_seq))
            return session
        finally:
            del self._loading[session_id]
            loaded.set()

    def _forget_oldest(self) -> None:
        if len(self._live) <= IDLE_SESSIONS:
            return
        for session_id, session in self._live.items():
            if session.idle:
                del self._live[session_id]
                return

    def _forget_heavy(self) -> None:
        """Forget idle sessions, those used longest ago first, until the events of the others are within their bound."""
        idle = [(session_id, session.events.weight) for session_id, session in self._live.items() if session.idle]
        total = sum(weight for _, weight in idle)
        for session_id, weight in idle:
            if total <= IDLE_EVENT_BYTES:
                return
            if weight > _LIGHT_BYTES:
                del self._live[session_id]
                total -= weight

    def _log(self, session_id: str, *, last_seq: int) -> EventLog:
        return EventLog(session_id, last_seq=last_seq, now_ms=self._now_ms)


def no_session(session_id: str) -> SessionNotFound:
    """The error for an id that the realm does not have."""
    return SessionNotFound(f"There is no session {session_id} in this realm.", details={"session_id": session_id})
