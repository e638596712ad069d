"""Events by request: where a session's events stand, those after a cursor, and the session as it is at one.

A cursor is the session and the number of an event. Events are kept in memory for a while; those that are gone are told
by a row with the event `stream_truncated`, never left out in silence.
"""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from .base import DEFAULT_LIMIT, Limit, Offset, Params, SessionRef
from .capability import ContractVersion
from .event import EventPayload, EventSource
from .session import SessionInfo


class ScopeParams(Params):
    """Whose events: those of one session."""

    type: Literal["session"]
    session_id: SessionRef


class CursorParams(Params):
    """A place in a scope's events: the number of the last one that the reader has."""

    scope: ScopeParams
    sequence: Offset


class EventsLatestCursor(Params):
    """`events/latest_cursor`."""

    scope: ScopeParams


class EventsListSince(Params):
    """`events/list_since`: events after a cursor, oldest first."""

    scope: ScopeParams
    cursor: CursorParams | None = Field(None, description="From the beginning, when absent.")
    limit: Annotated[Limit, Field(description="A page may be shorter when its events are large: see has_more.")] = (
        DEFAULT_LIMIT
    )


class EventsSnapshot(Params):
    """`events/snapshot`: the session, and the cursor from which to follow what happens to it next."""

    scope: ScopeParams


class Scope(TypedDict):
    type: Literal["session"]
    session_id: str


class EventCursor(TypedDict):
    scope: Scope
    sequence: int


class ReplayedEvent(TypedDict):
    """An event as `events/list_since` gives it. Asking again with its `cursor` gives what comes after it."""

    event_id: EventCursor
    cursor: EventCursor
    timestamp_ms: int
    source: EventSource
    session_id: str
    event: EventPayload


class LatestCursor(TypedDict):
    """Result of `events/latest_cursor`."""

    contract_version: ContractVersion
    cursor: EventCursor


class EventPage(TypedDict):
    """Result of `events/list_since`."""

    contract_version: ContractVersion
    scope: Scope
    from_cursor: EventCursor
    latest_cursor: EventCursor
    events: list[ReplayedEvent]
    has_more: bool


class SessionSnapshot(TypedDict):
    type: Literal["session"]
    session: SessionInfo


class EventsSnapshotResult(TypedDict):
    """Result of `events/snapshot`."""

    contract_version: ContractVersion
    scope: Scope
    cursor: EventCursor
    snapshot: SessionSnapshot
