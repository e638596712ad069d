"""Streams: the events of a turn that one has started, and those of any session. Each has a connection of its own."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
import anyio.lowlevel

from .. import requests
from .._protocol import Pending
from ..errors import RkatError
from ..events import Event, EventEnvelope, TextDelta
from ..following import Losses, SubscriptionFollower, TurnFollower, not_over
from ..requests import Ask
from ..results import InterruptResult, RunResult
from .connection import Connection
from .link import TAKE_BACK_SECONDS, Link

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

    async def _open(self, *, start: bool = True) -> Connection:
        """A fresh connection on which the follower's openings were asked.

        Args:
            start: as `Link.stream_connection` takes it.
        """
        connection = self._connection = await self._link.stream_connection(start=start)
        self._stopped = False
        pendings: list[Pending] = [connection.begin(*asked) for asked in self._about.openings()]
        self._about.sent(pendings)
        await connection.flush()
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

        async with session.stream("Tell me a story.") as stream:
            async for event in stream:
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

    async def __aenter__(self) -> Self:
        if self._connection is None and not self._over:
            await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        """The next event.

        Raises:
            TurnError: the turn gave no result; raised after its last event. TURN_LOST when the daemon ended first.
            RkatError: the turn was refused, such as SESSION_BUSY; or DAEMON_UNAVAILABLE.

        Cancellation: safe; nothing is consumed.
        """
        while not self._over:
            try:
                connection = self._connection or await self._open()
                notification = await connection.next_notification(self._follower.settled)
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
        raise StopAsyncIteration

    async def collect(self) -> RunResult:
        """Read to the end; the result."""
        async with self:
            async for _ in self:
                pass
        return self.result

    async def collect_text(self) -> tuple[str, RunResult]:
        """Read to the end; all text that was streamed, of every answer of the turn, and the result."""
        async with self:
            parts = [event.delta async for event in self if isinstance(event, TextDelta)]
        return "".join(parts), self.result

    async def interrupt(self) -> InterruptResult:
        """Stop the turn; the stream then ends with `TurnInterruptedError`.

        Raises:
            RequestError: the turn has not begun.
        """
        if self.session_id is None or self.turn_id is None:
            raise RkatError("INVALID_REQUEST", "The turn has not begun yet.", hint="Wait for its first event.")
        return await self._link.ask(requests.interrupt(self.session_id, self.turn_id))

    async def close(self) -> None:
        """Leave. A turn that has not ended is interrupted, and its end is waited for. Safe to call twice."""
        connection, reply = self._connection, self._follower.reply
        try:
            if connection is not None and reply is not None and not reply.done and connection.lost is None:
                connection.take_back(reply)
                with anyio.move_on_after(TAKE_BACK_SECONDS, shield=True):
                    await _until(connection, reply)
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

        async with await session.subscribe_events() as events:
            async for envelope in events:
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

    async def open(self) -> Self:
        """Subscribe. Events that happen from now on, or after the cursor, are not missed.

        Raises:
            RkatError: SESSION_NOT_FOUND, STALE_CURSOR, or DAEMON_UNAVAILABLE.
        """
        while True:
            try:
                connection = await self._open(start=not self._stopped)
                while not self._follower.opened():
                    await connection.receive()
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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[EventEnvelope]:
        return self

    async def __anext__(self) -> EventEnvelope:
        """The next event.

        Raises:
            RkatError: the session is gone, or DAEMON_UNAVAILABLE.

        Cancellation: safe; nothing is consumed.
        """
        while not self._closed:
            try:
                if self._connection is None:
                    await self.open()
                assert self._connection is not None, "it is open"
                notification = await self._connection.next_notification(self._follower.settled)
            except RkatError as error:
                self._broke(error)
                continue
            if notification is None:
                await self.close()
                break
            envelope = self._follower.take(*notification)
            if envelope is not None:
                self._losses.reset()
                return envelope
        raise StopAsyncIteration

    async def close(self) -> None:
        """Leave. Safe to call twice."""
        self._closed = True
        self._end()
        await anyio.lowlevel.checkpoint()


async def _until(connection: Connection, reply: Pending) -> None:
    """Receive until `reply` is there or the connection is lost; what else comes is dropped."""
    while not reply.done and connection.lost is None:
        await connection.receive()
        connection.arrived.clear()
