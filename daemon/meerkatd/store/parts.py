"""A whole store, read and written in parts of bounded size, so that it can go from one backend to another.

`parts_of` tells a store that nobody writes to meanwhile (a copy, or one whose realm is held); `take` puts a part into
another one. Sessions come after those whose messages they share; of one session its row comes first, then turns, tool
calls, messages, charges and approvals. Blobs come before everything, for messages name them.
"""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .api import ApprovalRow, ChargeRow, KeyRow, NewMessage, RealmStore, SessionQuery, SessionRow, ToolRow, TurnRow
from .blobs import Blob, Blobs
from .lineage import shared

# Rows of one part, and bytes of message bodies: a few milliseconds of anybody's time.
_ROWS = 500
_BYTES = 1 << 20
# Of all sessions, which come as one page after the other.
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPart:
    """`lineage` and `keys` are as `RealmStore.restore_session` takes them."""

    row: SessionRow
    lineage: Sequence[tuple[str, int]]
    keys: Sequence[KeyRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesPart:
    """The next messages of a session's own. `updated_ms` is the session's."""

    session_id: str
    updated_ms: int
    messages: Sequence[NewMessage]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnsPart:
    rows: Sequence[TurnRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolsPart:
    rows: Sequence[ToolRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargesPart:
    rows: Sequence[ChargeRow]


Part = Blob | SessionPart | TurnsPart | ToolsPart | MessagesPart | ChargesPart | ApprovalRow


async def parts_of(store: RealmStore, *, blobs: Blobs) -> AsyncGenerator[Part, None]:
    """Everything of a store, in an order in which `take` can take it.

    `blobs` are given apart, for a copy has none. Close it (`contextlib.aclosing`) when it is not read to its end.
    Raises as the store does.
    """
    for blob_id in await blobs.ids():
        yield await blobs.get(blob_id)
    keys: dict[str | None, list[KeyRow]] = {}
    for key in await store.keys():
        keys.setdefault(key.session_id, []).append(key)
    async for row, lineage in sessions_of(store):
        yield SessionPart(row=row, lineage=list(lineage), keys=keys.get(row.session_id, []))
        async for part in _parts_of(store, row, shared(tuple(lineage))):
            yield part
    # Oldest first, as they came.
    for approval in reversed(await store.approvals(limit=1 << 62)):
        yield approval


async def sessions_of(store: RealmStore) -> AsyncGenerator[tuple[SessionRow, Sequence[tuple[str, int]]], None]:
    """Every session and its lineage, each after those that it shares messages of."""
    rows: dict[str, SessionRow] = {}
    lineages: dict[str, Sequence[tuple[str, int]]] = {}
    while page := await store.sessions(SessionQuery(offset=len(rows), limit=_PAGE, include_archived=True)):
        rows |= {row.session_id: row for row in page}
    for session_id in rows:
        lineages[session_id] = await store.lineage(session_id)
    for session_id in _sources_first(lineages):
        yield rows[session_id], lineages[session_id]


def _sources_first(lineages: Mapping[str, Sequence[tuple[str, int]]]) -> Iterator[str]:
    # A lineage is flat and its sources are in the order of their making, so no source needs a look at its own.
    told: dict[str, None] = {}
    for session_id in sorted(lineages):
        for source, _ in (*lineages[session_id], (session_id, 0)):
            if source not in told:
                told[source] = None
                yield source


async def _parts_of(store: RealmStore, row: SessionRow, first_own: int) -> AsyncGenerator[Part, None]:
    session_id = row.session_id
    for offset in range(0, row.turn_count, _ROWS):
        turns = await store.turns(session_id, offset=offset, limit=_ROWS)
        yield TurnsPart(rows=list(turns))
        for turn in turns:
            if tools := await store.tools(turn.turn_id):
                yield ToolsPart(rows=list(tools))
    offset = first_own
    while offset < row.message_count:
        page = await store.messages(session_id, offset=offset, limit=_ROWS, max_bytes=_BYTES)
        messages = [NewMessage(role=role_of(body), body=body) for body in page.bodies]
        yield MessagesPart(session_id=session_id, updated_ms=row.updated_ms, messages=messages)
        offset += len(messages)
    offset = 0
    while charges := await store.charges(session_id, offset=offset, limit=_ROWS):
        yield ChargesPart(rows=list(charges))
        offset += len(charges)


async def take(store: RealmStore, part: Part) -> None:
    """Put a part into a store. Raises as the store does."""
    match part:
        case Blob():
            await store.blobs.put(part.data, part.media_type)
        case SessionPart():
            await store.restore_session(part.row, lineage=part.lineage, keys=part.keys)
        case TurnsPart():
            await store.restore_turns(part.rows)
        case ToolsPart():
            await store.put_tools(part.rows)
        case MessagesPart():
            await store.append(part.session_id, part.messages, updated_ms=part.updated_ms)
        case ChargesPart():
            await store.put_charges(part.rows)
        case ApprovalRow():
            await store.put_approval(part)


def role_of(body: str) -> str:
    """A message's role, which its body says as well."""
    try:
        said = json.loads(body)
    except ValueError:
        return "user"
    role = said.get("role") if isinstance(said, dict) else None
    return role if isinstance(role, str) else "user"
