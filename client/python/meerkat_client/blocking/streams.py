"""Streams: the events of a turn that one has started, and those of any session. Each has a connection of its own."""

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .. import requests
from .._protocol import Pending
from ..errors import RkatError
from ..events import Event, EventEnvelope, TextDelta
from ..following import Losses, SubscriptionFollower, TurnFollower, not_over
from ..requests import Ask
from ..results import InterruptResult, RunResult
from .connection import Connection
from .link import Link

if TYPE_CHECKING:
    from .session import Session


class _Stream:
    """A connection that is made anew when it was lost, for as long as the follower is not settled."""

    def __init__(self, link: Link, follower: TurnFollower | SubscriptionFollower) -> None:
        self._link = link
        self._about = follower
        self._connection: Connection | None = None
        self._losses = Losses()
        self._stopped = False

    def _open(self, *, start: bool = True) -> Connection:
        """A fresh connection on which the follower's openings were asked.

        Args:
            start: as `Link.stream_connection` takes it.
        """
        connection = self._connection = self._link.stream_connection(start=start)
        self._stopped = False
        pendings: list[Pending] = [connection.begin(*asked) for asked in self._about.openings()]
        self._about.sent(pendings)
        return connection

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._link.end_stream(connection)

    def _broke(self, error: RkatError) -> None:
        """After an error: raise it, or drop the lost connection so that the next one goes on."""
        self._losses.count(error)
        self._stopped = self._stopped or (self._connection is not None and self._connection.leaving == "stop")
        self._end()


class EventStream(_Stream):
    """A turn: its events, then its result.

        with session.stream("Tell me a story.") as stream:
            for event in stream:
                ...
        print(stream.result.text)

    The turn starts when the stream is entered, or first iterated. Leaving it before its end interrupts the turn: what
    it had produced is kept. A lost connection is made again and the stream goes on after the last event that it gave;
    what is missing is told by a `StreamTruncated`.
    """

    def __init__(
        self, link: Link, ask: Ask[RunResult], *, session: "Session | None", session_id: str | None = None
    ) -> None:
        self._follower = TurnFollower(ask, session_id)
        super().__init__(link, self._follower)
        self._session = session
        self._result: RunResult | None = None
        self._over = False

    def __repr__(self) -> str:
        return f"<EventStream session={self.session_id} cursor={self.cursor} {'over' if self._over else 'open'}>"

    @property
    def session_id(self) -> str | None:
        """None until the daemon has named the session that is being created."""
        return self._follower.session_id

    @property
    def session(self) -> "Session":
        """The session of the turn, to go on with.

        Raises:
            RequestError: the daemon has not named the session yet that is being created.
        """
        if self._session is None:
            if self.session_id is None:
                raise not_over("creation")
            from .session import Session

            self._session = Session(self._link, self.session_id, result=self._result)
        return self._session

    @property
    def turn_id(self) -> str | None:
        return self._follower.run_id

    @property
    def cursor(self) -> int | None:
        """The number of the last event."""
        return self._follower.cursor

    @property
    def result(self) -> RunResult:
        """The turn's result.

        Raises:
            RequestError: the stream has not been read to its end.
        """
        if self._result is None:
            raise not_over("turn")
        return self._result

    def __enter__(self) -> Self:
        if self._connection is None and not self._over:
            self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        """The next event.

        Raises:
            TurnError: the turn gave no result; raised after its last event. TURN_LOST when the daemon ended first.
            RkatError: the turn was refused, such as SESSION_BUSY; or DAEMON_UNAVAILABLE.
            KeyboardInterrupt: nothing is consumed; the stream can be read on, or left.
        """
        while not self._over:
            try:
                connection = self._connection or self._open()
                notification = connection.next_notification(self._follower.settled)
                if notification is None:
                    if (gap := self._follower.last_word()) is not None:
                        return gap
                    self._take_result()
                    break
            except RkatError as error:
                self._failed(error)
                continue
            event = self._follower.take(*notification)
            if event is not None:
                self._losses.reset()
                return event
        raise StopIteration

    def collect(self) -> RunResult:
        """Read to the end; the result."""
        with self:
            for _ in self:
                pass
        return self.result

    def collect_text(self) -> tuple[str, RunResult]:
        """Read to the end; all text that was streamed, of every answer of the turn, and the result."""
        with self:
            parts = [event.delta for event in self if isinstance(event, TextDelta)]
        return "".join(parts), self.result

    def interrupt(self) -> InterruptResult:
        """Stop the turn; the stream then ends with `TurnInterruptedError`.

        Raises:
            RequestError: the turn has not begun.
        """
        if self.session_id is None or self.turn_id is None:
            raise RkatError("INVALID_REQUEST", "The turn has not begun yet.", hint="Wait for its first event.")
        return self._link.ask(requests.interrupt(self.session_id, self.turn_id))

    def close(self) -> None:
        """Leave. A turn that has not ended is interrupted, and its end is waited for. Safe to call twice."""
        connection, reply = self._connection, self._follower.reply
        try:
            if connection is not None and reply is not None and not reply.done and connection.lost is None:
                connection.take_back(reply, grace=True)
        finally:
            self._over = True
            self._end()

    def _take_result(self) -> None:
        self._result = self._follower.result()
        if self._session is not None:
            self._session.note(self._result)
        self._over = True
        self._end()

    def _failed(self, error: RkatError) -> None:
        try:
            self._broke(error)
        except RkatError:
            self._over = True
            self._end()
            raise


class EventSubscription(_Stream):
    """The events of a session, whoever starts its turns, for as long as one reads.

        with session.subscribe_events() as events:
            for envelope in events:
                print(envelope.seq, envelope.payload)

    Leaving it leaves the session alone. A lost connection is made again and the events go on after the last one. When
    somebody stops the daemon, the events go on once a daemon runs again; a subscription alone does not start it.
    """

    def __init__(self, link: Link, session_id: str, *, cursor: int | None) -> None:
        self._follower = SubscriptionFollower(session_id, cursor)
        super().__init__(link, self._follower)
        self._closed = False

    def __repr__(self) -> str:
        return f"<EventSubscription session={self.session_id} cursor={self.cursor}>"

    @property
    def session_id(self) -> str | None:
        return self._follower.session_id

    @property
    def stream_id(self) -> str | None:
        """The stream's id; a new one after a lost connection."""
        return self._follower.stream_id

    @property
    def cursor(self) -> int | None:
        """The number of the last event: subscribe with it to go on from here."""
        return self._follower.cursor

    @property
    def terminal_outcome(self) -> str | None:
        """Why the daemon ended the stream; None while it has not."""
        return self._follower.stream_outcome

    def open(self) -> Self:
        """Subscribe. Events that happen from now on, or after the cursor, are not missed.

        Raises:
            RkatError: SESSION_NOT_FOUND, STALE_CURSOR, or DAEMON_UNAVAILABLE.
        """
        while True:
            try:
                connection = self._open(start=not self._stopped)
                connection.wait_until(self._follower.opened)
                return self
            except RkatError as error:
                try:
                    self._broke(error)
                except RkatError:
                    self._end()
                    raise
            except BaseException:
                self._end()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[EventEnvelope]:
        return self

    def __next__(self) -> EventEnvelope:
        """The next event.

        Raises:
            RkatError: the session is gone, or DAEMON_UNAVAILABLE.
            KeyboardInterrupt: nothing is consumed; the stream can be read on, or left.
        """
        while not self._closed:
            try:
                if self._connection is None:
                    self.open()
                assert self._connection is not None, "it is open"
                notification = self._connection.next_notification(self._follower.settled)
            except RkatError as error:
                self._broke(error)
                continue
            if notification is None:
                self.close()
                break
            envelope = self._follower.take(*notification)
            if envelope is not None:
                self._losses.reset()
                return envelope
        raise StopIteration

    def close(self) -> None:
        """Leave. Safe to call twice."""
        self._closed = True
        self._end()
