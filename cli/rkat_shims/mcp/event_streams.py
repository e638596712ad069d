"""Streams of events that stay open between calls of tools. Each has a connection of its own, so that one that nobody
reads holds up nothing else; what such a one misses is told by a `stream_truncated`."""

import uuid
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import anyio

from meerkat_client._async.connection import Connection
from meerkat_client.errors import RkatError
from meerkat_client.following import Losses

from .daemon import Daemon
from .params import DEFAULT_TIMEOUT_MS

# An agent follows a few sessions; each stream takes one of the daemon's connections.
MAX_STREAMS: Final = 16
# How closed streams ended, so that who comes late is told so, and not that there never was such a stream.
_REMEMBERED: Final = 256


class EventStreams:
    """The open streams of one client."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._open: dict[str, _Stream] = {}
        self._outcomes: OrderedDict[str, str] = OrderedDict()

    def __repr__(self) -> str:
        return f"<EventStreams open={len(self._open)}>"

    async def carry_out(self, tool: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """One of the tools `meerkat_event_stream_…`.

        Raises:
            RkatError: the session or the stream is not there, or too many streams are open.
        """
        match tool.removeprefix("meerkat_event_stream_"):
            case "open":
                return await self._begin(given)
            case "read":
                return await self._read(given)
            case _:
                return self._close(given["stream_id"])

    async def _begin(self, given: Mapping[str, Any]) -> dict[str, Any]:
        if len(self._open) >= MAX_STREAMS:
            raise RkatError(
                "OVERLOADED",
                f"{MAX_STREAMS} streams are open, which is the most.",
                hint="Close one with meerkat_event_stream_close.",
                details={"limit": MAX_STREAMS},
            )
        stream = _Stream(self._daemon, given)
        stream_id = f"stream-{uuid.uuid4()}"
        # Before the first await, so that several at a time do not pass the bound.
        self._open[stream_id] = stream
        try:
            opened = await stream.open()
        except BaseException:
            self._close(stream_id)
            raise
        return {**opened, "stream_id": stream_id}

    async def _read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        stream_id = given["stream_id"]
        stream = self._open.get(stream_id)
        if stream is None and stream_id in self._outcomes:
            return {"stream_id": stream_id, "status": "closed", "outcome": self._outcomes[stream_id]}
        if stream is None:
            raise RkatError(
                "INVALID_PARAMS",
                f"There is no open stream {stream_id!r}.",
                hint="Open one with meerkat_event_stream_open.",
                details={"field": "stream_id"},
            )
        seconds = None if given.get("no_timeout") else given.get("timeout_ms", DEFAULT_TIMEOUT_MS) / 1000
        event = None
        with anyio.move_on_after(seconds) as scope:
            event = await stream.next()
        if event is not None:
            return {"stream_id": stream_id, "status": "event", "event": event}
        if scope.cancelled_caught:
            return {"stream_id": stream_id, "status": "timeout"}
        self._close(stream_id)
        return {"stream_id": stream_id, "status": "closed", "outcome": stream.outcome}

    def _close(self, stream_id: str) -> dict[str, Any]:
        stream = self._open.pop(stream_id, None)
        if stream is None:
            return {"stream_id": stream_id, "closed": False, "already_closed": stream_id in self._outcomes}
        stream.close()
        self._outcomes[stream_id] = stream.outcome
        if len(self._outcomes) > _REMEMBERED:
            self._outcomes.popitem(last=False)
        return {"stream_id": stream_id, "closed": True, "already_closed": False}


class _Stream:
    """One session's events as the daemon sends them, over connections that may break.

    Attributes:
        session_id: as it was asked for, then the full one.
        cursor: the last event that was given out.
        outcome: why it ended, once it has.
    """

    def __init__(self, daemon: Daemon, given: Mapping[str, Any]) -> None:
        self.session_id: str = given["session_id"]
        self.cursor: int | None = given.get("cursor")
        self.outcome = "explicit_close"
        self._until = given.get("until", "closed")
        self._daemon = daemon
        self._connection: Connection | None = None
        self._losses = Losses()
        self._reading = anyio.Lock()
        self._ended = False

    async def open(self) -> dict[str, Any]:
        """Subscribe, after the last event that was given out; what the daemon said to it.

        Raises:
            RkatError: the daemon refused, or cannot be reached.
        """
        connection = self._connection = await self._daemon.connection()
        asked = {"session_id": self.session_id, "until": self._until}
        if self.cursor is not None:
            asked["cursor"] = self.cursor
        opened: dict[str, Any] = await connection.call("session/stream_open", asked)
        self.session_id, self.cursor = opened["session_id"], opened["cursor"]
        return opened

    async def next(self) -> dict[str, Any] | None:
        """The next event, or None when there will be none any more. One reader at a time; others wait for it.

        Raises:
            RkatError: DAEMON_UNAVAILABLE, or the session is gone.

        Cancellation: safe; no event is lost.
        """
        async with self._reading:
            while not self._ended:
                try:
                    if self._connection is None:
                        await self.open()
                    assert self._connection is not None, "it is open"
                    notification = await self._connection.next_notification(lambda: self._ended)
                except RkatError as error:
                    self._drop()
                    self._losses.count(error)
                    continue
                if notification is None:
                    break
                if notification.method == "session/stream_end":
                    self.outcome = notification.params["outcome"]
                    self._ended = True
                if notification.method == "session/stream_event":
                    self._losses.reset()
                    event: dict[str, Any] = notification.params["event"]
                    self.cursor = event["seq"]
                    return event
        return None

    def close(self) -> None:
        """End it; a reader that waits is told that it is closed. Safe to call twice."""
        self._ended = True
        self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._daemon.give_back(connection)
