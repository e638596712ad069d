"""Events by request: the latest cursor, the events after one, and a session together with its cursor."""

from ..contract.event import EventEnvelope
from ..contract.replay import (
    CursorParams,
    EventCursor,
    EventPage,
    EventsLatestCursor,
    EventsListSince,
    EventsSnapshot,
    EventsSnapshotResult,
    LatestCursor,
    ReplayedEvent,
    Scope,
)
from ..errors import StaleCursor
from ..ids import SessionId
from ..protocol.port import Call
from .context import Context


async def latest_cursor(context: Context, params: EventsLatestCursor, call: Call) -> LatestCursor:
    session_id = await context.realm.sessions.resolve(params.scope.session_id)
    async with context.realm.sessions.hold(session_id) as session:
        cursor = _cursor(session_id, session.events.last)
    return {"contract_version": context.contract_numbers, "cursor": cursor}


async def list_since(context: Context, params: EventsListSince, call: Call) -> EventPage:
    session_id = await context.realm.sessions.resolve(params.scope.session_id)
    after = await _place(context, params.cursor, session_id) if params.cursor is not None else 0
    async with context.realm.sessions.hold(session_id) as session:
        last = session.events.last
        if after > last:
            raise ahead(session_id, after, last)
        reached, envelopes = after, list[EventEnvelope]()
        # A page is empty at the end alone, also for who is not told of all.
        while not envelopes and (page := session.events.since(reached, limit=params.limit)):
            reached = page[-1]["seq"]
            envelopes = [envelope for envelope in page if context.tells(envelope)]
    return {
        "contract_version": context.contract_numbers,
        "scope": _scope(session_id),
        "from_cursor": _cursor(session_id, after),
        "latest_cursor": _cursor(session_id, last),
        "events": [_row(session_id, envelope) for envelope in envelopes],
        "has_more": reached < last,
    }


async def snapshot(context: Context, params: EventsSnapshot, call: Call) -> EventsSnapshotResult:
    session_id = await context.realm.sessions.resolve(params.scope.session_id)
    # The cursor is taken before the rest is read: who follows from it may see something twice, and misses nothing.
    info = await context.realm.sessions.read(session_id)
    return {
        "contract_version": context.contract_numbers,
        "scope": _scope(session_id),
        "cursor": _cursor(session_id, info["cursor"]),
        "snapshot": {"type": "session", "session": info},
    }


def ahead(session_id: str, cursor: int, latest: int) -> StaleCursor:
    """The error for a cursor that no event of the session has reached yet."""
    return StaleCursor(
        f"Cursor {cursor} lies ahead of the session's last event, {latest}.",
        details={
            "session_id": session_id,
            "reason": "ahead_of_latest",
            "cursor": cursor,
            "latest_cursor": latest,
        },
    )


async def _place(context: Context, cursor: CursorParams, session_id: SessionId) -> int:
    of = await context.realm.sessions.resolve(cursor.scope.session_id)
    if of != session_id:
        raise StaleCursor(
            f"The cursor belongs to session {of}, not to {session_id}.",
            details={"session_id": session_id, "reason": "scope_mismatch", "cursor_session_id": of},
        )
    return cursor.sequence


def _scope(session_id: str) -> Scope:
    return {"type": "session", "session_id": session_id}


def _cursor(session_id: str, sequence: int) -> EventCursor:
    return {"scope": _scope(session_id), "sequence": sequence}


def _row(session_id: str, envelope: EventEnvelope) -> ReplayedEvent:
    return {
        "event_id": _cursor(session_id, envelope["seq"]),
        "cursor": _cursor(session_id, envelope["seq"]),
        "timestamp_ms": envelope["timestamp_ms"],
        "source": envelope["source"],
        "session_id": session_id,
        "event": envelope["payload"],
    }
