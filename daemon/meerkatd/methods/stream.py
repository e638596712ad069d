"""Event streams: any session, from any cursor, for as long as the connection lives."""

from contextlib import aclosing
from typing import Any

import trio

from ..contract.event import StreamClose, StreamClosed, StreamOpen, StreamOpened
from ..ids import uuid7
from ..protocol.port import Call
from ..sessions.session import Session
from .context import Context
from .event import ahead

# Ids of closed streams that are remembered, so that closing twice is told apart from closing what never was.
_CLOSED_REMEMBERED = 1024


async def open_stream(context: Context, params: StreamOpen, call: Call) -> StreamOpened:
    sessions = context.realm.sessions
    session_id = await sessions.resolve(params.session_id)
    async with sessions.hold(session_id) as session:
        cursor = _first_cursor(session, params)
        opened: StreamOpened = {
            "stream_id": uuid7(),
            "session_id": session_id,
            "opened": True,
            "cursor": cursor,
        }
        if session.turn is not None:
            opened["active_turn"] = session.turn.facts()
        stream = _Stream(context, opened["stream_id"], session, cursor, until_turn_end=params.until == "turn_end")
        context.streams[stream.stream_id] = stream.scope.cancel
        # Started last, and nothing is awaited after it: the reply goes out before the stream's first event.
        context.peer.start(stream.run, name=f"stream {session_id}")
    return opened


async def close(context: Context, params: StreamClose, call: Call) -> StreamClosed:
    cancel = context.streams.pop(params.stream_id, None)
    if cancel is not None:
        cancel()
    return {
        "stream_id": params.stream_id,
        "closed": True,
        "already_closed": cancel is None and params.stream_id in context.closed_streams,
    }


def _first_cursor(session: Session, params: StreamOpen) -> int:
    last = session.events.last
    if params.cursor is None:
        return session.turn.first_cursor if session.turn is not None else last
    if params.cursor > last:
        raise ahead(session.session_id, params.cursor, last)
    return params.cursor


class _Stream:
    """One reader of a session's events on one connection."""

    def __init__(
        self, context: Context, stream_id: str, session: Session, cursor: int, *, until_turn_end: bool
    ) -> None:
        self.stream_id = stream_id
        self.scope = trio.CancelScope()
        self._context = context
        self._session = session
        turn, last = session.turn, session.events.last
        # Without a running turn the end is what there is by now: a reader that comes back gets the rest of its turn.
        until = (lambda: turn.last_cursor if turn is not None else last) if until_turn_end else None
        self._events = session.events.follow(cursor, until=until)
        session.users += 1

    async def run(self) -> None:
        outcome = "explicit_close"
        try:
            with self.scope:
                await self._send_events()
                outcome = "remote_end"
        finally:
            self._session.users -= 1
            self._context.streams.pop(self.stream_id, None)
            _remember(self._context.closed_streams, self.stream_id)
        await self._context.peer.notify(
            "session/stream_end",
            {
                "stream_id": self.stream_id,
                "session_id": self._session.session_id,
                "ended": True,
                "outcome": outcome,
            },
        )

    async def _send_events(self) -> None:
        sequence = 0
        async with aclosing(self._events) as events:
            async for envelope in events:
                if not self._context.tells(envelope):
                    continue
                sequence += 1
                params: dict[str, Any] = {
                    "stream_id": self.stream_id,
                    "sequence": sequence,
                    "session_id": self._session.session_id,
                    "event": self._context.shown(envelope),
                }
                await self._context.peer.notify("session/stream_event", params)


def _remember(closed: dict[str, None], stream_id: str) -> None:
    closed[stream_id] = None
    while len(closed) > _CLOSED_REMEMBERED:
        del closed[next(iter(closed))]
