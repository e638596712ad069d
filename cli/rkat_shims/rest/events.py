"""The events of sessions: one stream of the daemon's for each session that is read, however many readers there are.

A `Feed` follows a session and keeps its newest events, encoded once, in a bounded ring. Readers hold a place in it, so
two hundred of them cost no more memory than one, and the daemon has one stream to write. A reader that is further back
than the ring reaches, since it is slow or comes with an old cursor, gets a stream of its own until it has caught up.
The daemon tells what it does not have any more by an event of its own; here nothing is ever left out.
"""

from collections import deque
from typing import Any, Final, NamedTuple

import trio

from meerkat_client._async.connection import Connection
from meerkat_client._async.link import Link
from meerkat_client.errors import RkatError
from meerkat_client.following import Losses
from meerkat_client.wire.limits import MIB

from .sse import encode_event

# Half a minute of the fastest model; what is older is asked of the daemon again.
MAX_RING_EVENTS: Final = 4096
MAX_RING_BYTES: Final = 2 * MIB
# Streams of readers that catch up; each is a connection, and the daemon has 512 for everybody.
MAX_CATCHING_UP: Final = 16
# What a reader is given at once.
_BATCH_BYTES: Final = 64 * 1024


class Event(NamedTuple):
    """An event, ready to be sent.

    Attributes:
        turn_id: of a `run_started`.
    """

    seq: int
    kind: str
    turn_id: str | None
    text: bytes


def _event(envelope: dict[str, Any]) -> Event:
    payload = envelope["payload"]
    turn_id = (payload.get("identity") or {}).get("run_id") if payload["type"] == "run_started" else None
    text = encode_event(payload["type"], envelope, event_id=envelope["seq"])
    return Event(envelope["seq"], payload["type"], turn_id, text)


class DaemonStream:
    """The daemon's stream of one session after a cursor; made anew when its connection is lost."""

    def __init__(self, link: Link, session_id: str, cursor: int) -> None:
        self._link = link
        self._session_id = session_id
        self._cursor = cursor
        self._connection: Connection | None = None
        self._losses = Losses()
        self._ended = False

    async def open(self) -> None:
        """Have the stream, before there is an event in it. Raises as `next`."""
        while self._connection is None:
            try:
                await self._open()
            except RkatError as error:
                self._losses.count(error)

    async def next(self) -> Event | None:
        """The next event; None when the daemon has ended the stream.

        Raises:
            RkatError: the session is gone, or the daemon.

        Cancellation: safe; nothing is consumed.
        """
        while True:
            try:
                connection = self._connection or await self._open()
                notification = await connection.next_notification(lambda: False)
            except RkatError as error:
                self.close()
                self._losses.count(error)
                continue
            assert notification is not None, "it only ends when asked to"
            if notification.method == "session/stream_end":
                self.close()
                return None
            envelope = notification.params.get("event")
            if envelope is not None and envelope["seq"] > self._cursor:
                self._cursor = envelope["seq"]
                self._losses.reset()
                return _event(envelope)

    async def _open(self) -> Connection:
        connection = await self._link.stream_connection()
        try:
            asked = {"session_id": self._session_id, "cursor": self._cursor}
            pending = connection.begin("session/stream_open", asked)
            await connection.flush()
            while not pending.done:
                await connection.receive()
            pending.result()
        except BaseException:
            self._link.end_stream(connection)
            raise
        self._connection = connection
        return connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._link.end_stream(connection)


class Feed:
    """A session's newest events.

    Attributes:
        readers: how many there are.
        opened: set when the daemon's stream is there, or when there will be none.
        over: there will be no more; `error` says why, or is None when the daemon ended the stream.
    """

    def __init__(self, cursor: int) -> None:
        self.readers = 0
        self.opened = trio.Event()
        self.over = False
        self.error: RkatError | None = None
        self.scope = trio.CancelScope()
        self._before_first = cursor
        self._ring: deque[Event] = deque()
        self._bytes = 0
        self._changed = trio.Event()

    def __repr__(self) -> str:
        return f"<Feed held={len(self._ring)} bytes={self._bytes} readers={self.readers}>"

    async def run(self, stream: DaemonStream) -> None:
        """Follow the session until nobody reads."""
        try:
            with self.scope:
                await stream.open()
                self.opened.set()
                while (event := await stream.next()) is not None:
                    self.append(event)
        except RkatError as error:
            self.error = error
        finally:
            stream.close()
            self.over = True
            self.opened.set()
            self._wake()

    def append(self, event: Event) -> None:
        """Take a new event."""
        self._ring.append(event)
        self._bytes += len(event.text)
        while len(self._ring) > MAX_RING_EVENTS or (self._bytes > MAX_RING_BYTES and len(self._ring) > 1):
            oldest = self._ring.popleft()
            self._before_first = oldest.seq
            self._bytes -= len(oldest.text)
        self._wake()

    def covers(self, place: int) -> bool:
        """Whether everything after `place` that has happened since the feed began is here or has yet to come."""
        return place >= self._before_first

    def after(self, place: int) -> list[Event]:
        """Events after `place`, oldest first; a batch of them."""
        batch: list[Event] = []
        size = 0
        for event in self._from(place):
            batch.append(event)
            size += len(event.text)
            if size >= _BATCH_BYTES:
                break
        return batch

    async def wait(self) -> None:
        """Until there is something new."""
        await self._changed.wait()

    def _from(self, place: int) -> list[Event]:
        # Readers are nearly always at the end: look from there.
        found: list[Event] = []
        for event in reversed(self._ring):
            if event.seq <= place:
                break
            found.append(event)
        found.reverse()
        return found

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class Feeds:
    """The feeds of all sessions that are being read."""

    def __init__(self, link: Link, nursery: trio.Nursery) -> None:
        self._link = link
        self._nursery = nursery
        self._feeds: dict[str, Feed] = {}
        self.catching_up = trio.CapacityLimiter(MAX_CATCHING_UP)

    def __len__(self) -> int:
        return len(self._feeds)

    def enter(self, session_id: str, cursor: int) -> Feed:
        """The feed of a session for one more reader, who has everything up to `cursor`."""
        feed = self._feeds.get(session_id)
        if feed is None or feed.over:
            feed = self._feeds[session_id] = Feed(cursor)
            self._nursery.start_soon(feed.run, self.stream(session_id, cursor))
        feed.readers += 1
        return feed

    def leave(self, session_id: str, feed: Feed) -> None:
        """One reader less; without any the feed ends."""
        feed.readers -= 1
        if feed.readers == 0:
            feed.scope.cancel()
            if self._feeds.get(session_id) is feed:
                del self._feeds[session_id]

    def stream(self, session_id: str, cursor: int) -> DaemonStream:
        return DaemonStream(self._link, session_id, cursor)


class Reader:
    """One reader of a session, at its own pace.

    Args:
        place: the number of the last event that it has.
    """

    def __init__(self, feeds: Feeds, session_id: str, place: int) -> None:
        self.place = place
        self._feeds = feeds
        self._session_id = session_id
        self._feed = feeds.enter(session_id, place)
        self._own: DaemonStream | None = None

    async def opened(self) -> None:
        """Until there is a stream of the daemon's.

        Raises:
            RkatError: there is none.
        """
        await self._feed.opened.wait()
        if self._feed.error is not None:
            raise self._feed.error

    async def next(self) -> list[Event]:
        """The next events; an empty list when there will be no more.

        Raises:
            RkatError: the session is gone, or the daemon.

        Cancellation: safe; nothing is consumed.
        """
        while True:
            if self._feed.covers(self.place):
                self._end_own()
                if batch := self._feed.after(self.place):
                    return self._at(batch)
                if self._feed.over:
                    if self._feed.error is not None:
                        raise self._feed.error
                    return []
                await self._feed.wait()
            else:
                event = await self._caught_up()
                return self._at([event]) if event is not None else []

    async def _caught_up(self) -> Event | None:
        """The next event of a stream of its own."""
        if self._own is None:
            await self._feeds.catching_up.acquire_on_behalf_of(self)
            self._own = self._feeds.stream(self._session_id, self.place)
        return await self._own.next()

    def _at(self, batch: list[Event]) -> list[Event]:
        self.place = batch[-1].seq
        return batch

    def _end_own(self) -> None:
        if self._own is not None:
            self._own.close()
            self._own = None
            self._feeds.catching_up.release_on_behalf_of(self)

    def close(self) -> None:
        """It is gone."""
        self._end_own()
        self._feeds.leave(self._session_id, self._feed)
