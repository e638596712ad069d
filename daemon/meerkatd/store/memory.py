"""The throw-away backend: one realm in dictionaries, gone with the process. Keeps all promises of the port but
durability.

Every method has one checkpoint, before it does anything, so that a cancelled write has not happened. The
folder that `open` is given is not looked at: two stores opened with the same folder share nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import trio

from ..errors import DuplicateInput
from .api import (
    ApprovalRow,
    ApprovalState,
    ChargeRow,
    KeyRow,
    MessagePage,
    NewMessage,
    RealmStore,
    SessionChange,
    SessionQuery,
    SessionRow,
    StoreInfo,
    ToolRow,
    TurnEnd,
    TurnRow,
    UsageRow,
    keeps_prompt,
    one_session,
)
from .blobs import Blobs, MemoryBlobs
from .lineage import check_sources, forked, shared, spans
from .spending import Spending, usage_rows

FORMAT_VERSION = 2


class MemoryBackend:
    """See `Backend`."""

    name = "memory"

    async def open(self, folder: str, *, create: bool, bulk: bool = False) -> RealmStore:
        await trio.lowlevel.checkpoint()
        return MemoryStore()


class MemoryStore:
    """One realm. See `RealmStore`."""

    backend = "memory"

    def __init__(self) -> None:
        self._sessions: dict[str, SessionRow] = {}
        self._bodies: dict[str, list[str]] = {}
        self._lineages: dict[str, tuple[tuple[str, int], ...]] = {}
        self._turns: dict[str, TurnRow] = {}
        self._last_turns: dict[str, str] = {}
        self._tools: dict[str, dict[str, ToolRow]] = {}
        self._keys: dict[str, KeyRow] = {}
        self._approvals: dict[str, ApprovalRow] = {}
        self._charges: dict[str, list[ChargeRow]] = {}
        self._spending: dict[str, Spending] = {}
        self.blobs: Blobs = MemoryBlobs()
        self._closed = False

    # -- writes ----------------------------------------------------------------------------------------------

    async def create_session(
        self, session: SessionRow, *, turn: TurnRow | None = None, key: KeyRow | None = None
    ) -> None:
        await self._checkpoint()
        if session.session_id in self._sessions:
            raise ValueError(f"session {session.session_id} exists already")
        self._check_turn(turn, expected=0)
        self._check_key(key)
        self._sessions[session.session_id] = replace(
            session, labels=dict(session.labels), message_count=0, turn_count=0 if turn is None else 1
        )
        self._bodies[session.session_id] = []
        self._insert(turn, key)

    async def begin_turn(
        self, turn: TurnRow, *, event_seq: int, meta: str | None = None, key: KeyRow | None = None
    ) -> None:
        await self._checkpoint()
        session = self._sessions[turn.session_id]
        self._check_turn(turn, expected=session.turn_count)
        self._check_key(key)
        self._sessions[turn.session_id] = replace(
            session,
            turn_count=session.turn_count + 1,
            updated_ms=turn.started_ms,
            event_seq=max(session.event_seq, event_seq),
            meta=session.meta if meta is None else meta,
        )
        self._insert(turn, key)

    async def put_tools(self, rows: Sequence[ToolRow], *, charges: Sequence[ChargeRow] = ()) -> None:
        await self._checkpoint()
        for row in rows:
            if row.turn_id not in self._turns:
                raise KeyError(row.turn_id)
        self._check_charges(charges)
        for row in rows:
            self._tools.setdefault(row.turn_id, {})[row.call_id] = row
        self._charge(charges)

    async def put_charges(self, rows: Sequence[ChargeRow]) -> None:
        await self._checkpoint()
        self._check_charges(rows)
        self._charge(rows)

    async def put_approval(self, row: ApprovalRow) -> None:
        await self._checkpoint()
        self._check_place(row.session_id, row.turn_id)
        earlier = self._approvals.get(row.approval_id, row)
        if earlier.session_id != row.session_id:
            raise ValueError(f"approval {row.approval_id} is another session's")
        self._approvals[row.approval_id] = row

    async def end_turn(self, end: TurnEnd) -> None:
        await self._checkpoint()
        session = self._sessions[end.session_id]
        turn = self._turns[end.turn_id]
        if turn.state != "running" or turn.session_id != end.session_id:
            raise ValueError(f"turn {end.turn_id} is not a running turn of session {end.session_id}")
        self._check_charges(end.charges, session_id=end.session_id)
        self._charge(end.charges)
        self._bodies[end.session_id] += [message.body for message in end.messages]
        self._turns[end.turn_id] = replace(
            turn,
            state=end.state,
            ended_ms=end.ended_ms,
            detail=end.detail,
            prompt=turn.prompt if keeps_prompt(end) else "",
            usage=end.usage,
        )
        self._sessions[end.session_id] = replace(
            session,
            message_count=session.message_count + len(end.messages),
            updated_ms=end.ended_ms,
            event_seq=end.event_seq,
            meta=session.meta if end.meta is None else end.meta,
            usage=session.usage + end.usage,
        )

    async def reserve_events(self, session_id: str, event_seq: int) -> None:
        await self._checkpoint()
        session = self._sessions[session_id]
        self._sessions[session_id] = replace(session, event_seq=max(session.event_seq, event_seq))

    async def append(
        self, session_id: str, messages: Sequence[NewMessage], *, updated_ms: int, key: KeyRow | None = None
    ) -> None:
        await self._checkpoint()
        session = self._sessions[session_id]
        self._check_key(key)
        self._bodies[session_id] += [message.body for message in messages]
        self._sessions[session_id] = replace(
            session, message_count=session.message_count + len(messages), updated_ms=updated_ms
        )
        self._insert(None, key)

    async def fork_session(self, session: SessionRow, *, source_id: str, count: int, key: KeyRow | None = None) -> None:
        await self._checkpoint()
        source = self._sessions[source_id]
        if session.session_id in self._sessions:
            raise ValueError(f"session {session.session_id} exists already")
        if count > source.message_count:
            raise ValueError(f"session {source_id} has {source.message_count} messages, not {count}")
        self._check_key(key)
        self._sessions[session.session_id] = replace(
            session, labels=dict(session.labels), message_count=count, turn_count=0
        )
        self._bodies[session.session_id] = []
        self._lineages[session.session_id] = forked(self._lineages.get(source_id, ()), source_id, count)
        self._insert(None, key)

    async def restore_session(
        self, session: SessionRow, *, lineage: Sequence[tuple[str, int]] = (), keys: Sequence[KeyRow] = ()
    ) -> None:
        await self._checkpoint()
        if session.session_id in self._sessions:
            raise ValueError(f"session {session.session_id} exists already")
        check_sources(lineage, {name: row.message_count for name, row in self._sessions.items()})
        for key in keys:
            self._check_key(key)
        self._sessions[session.session_id] = replace(
            session, labels=dict(session.labels), message_count=shared(tuple(lineage)), turn_count=0
        )
        self._bodies[session.session_id] = []
        self._lineages[session.session_id] = tuple(lineage)
        self._keys.update({key.key: key for key in keys})

    async def restore_turns(self, rows: Sequence[TurnRow]) -> None:
        await self._checkpoint()
        session_id = one_session(rows)
        if session_id is None:
            return
        session = self._sessions[session_id]
        for place, row in enumerate(rows):
            self._check_turn(row, expected=session.turn_count + place)
        for row in rows:
            self._insert(row, None)
        self._sessions[session_id] = replace(session, turn_count=session.turn_count + len(rows))

    async def change_session(self, session_id: str, change: SessionChange, *, key: KeyRow | None = None) -> SessionRow:
        await self._checkpoint()
        session = self._sessions[session_id]
        self._check_key(key)
        archived_ms = session.archived_ms
        if change.archived is not None:
            archived_ms = (archived_ms or change.updated_ms) if change.archived else None
        changed = replace(
            session,
            updated_ms=change.updated_ms,
            archived_ms=archived_ms,
            labels=session.labels if change.labels is None else dict(change.labels),
            meta=session.meta if change.meta is None else change.meta,
        )
        self._sessions[session_id] = changed
        self._insert(None, key)
        return changed

    # -- reads -----------------------------------------------------------------------------------------------

    async def session(self, session_id: str) -> SessionRow | None:
        await self._checkpoint()
        return self._sessions.get(session_id)

    async def sessions(self, query: SessionQuery) -> Sequence[SessionRow]:
        await self._checkpoint()
        found = [
            row
            for row in self._sessions.values()
            if (query.include_archived or row.archived_ms is None) and query.labels.items() <= row.labels.items()
        ]
        found.sort(key=lambda row: (row.updated_ms, row.session_id), reverse=True)
        return found[query.offset : query.offset + query.limit]

    async def sessions_by_prefix(self, prefix: str, *, limit: int) -> Sequence[str]:
        await self._checkpoint()
        return [session_id for session_id in self._sessions if session_id.startswith(prefix)][:limit]

    async def messages(self, session_id: str, *, offset: int, limit: int, max_bytes: int) -> MessagePage:
        await self._checkpoint()
        total = self._sessions[session_id].message_count
        page: list[str] = []
        for body in self._bodies_between(session_id, offset, min(total, offset + limit)):
            max_bytes -= len(body.encode())
            if max_bytes < 0 and page:
                break
            page.append(body)
        return MessagePage(offset=offset, total=total, bodies=page)

    async def turn(self, turn_id: str) -> TurnRow | None:
        await self._checkpoint()
        return self._turns.get(turn_id)

    async def last_turn(self, session_id: str) -> TurnRow | None:
        await self._checkpoint()
        last = self._last_turns.get(session_id)
        return None if last is None else self._turns[last]

    async def turns(self, session_id: str, *, offset: int = 0, limit: int) -> Sequence[TurnRow]:
        await self._checkpoint()
        found = sorted((row for row in self._turns.values() if row.session_id == session_id), key=_by_ordinal)
        return found[offset : offset + max(0, limit)]

    async def lineage(self, session_id: str) -> Sequence[tuple[str, int]]:
        await self._checkpoint()
        return self._lineages.get(session_id, ())

    async def running_turns(self) -> Sequence[TurnRow]:
        await self._checkpoint()
        return [turn for turn in self._turns.values() if turn.state == "running"]

    async def tools(self, turn_id: str) -> Sequence[ToolRow]:
        await self._checkpoint()
        return sorted(self._tools.get(turn_id, {}).values(), key=lambda row: (row.position, row.call_id))

    async def approval(self, approval_id: str) -> ApprovalRow | None:
        await self._checkpoint()
        return self._approvals.get(approval_id)

    async def approvals(
        self, *, session_id: str | None = None, states: Sequence[ApprovalState] = (), limit: int
    ) -> Sequence[ApprovalRow]:
        await self._checkpoint()
        found = [
            row
            for row in self._approvals.values()
            if session_id in (None, row.session_id) and (not states or row.state in states)
        ]
        found.sort(key=lambda row: (row.created_ms, row.approval_id), reverse=True)
        return found[: max(0, limit)]

    async def charges(self, session_id: str, *, offset: int = 0, limit: int) -> Sequence[ChargeRow]:
        await self._checkpoint()
        return self._charges.get(session_id, [])[offset : offset + max(0, limit)]

    async def usage(
        self, *, since_ms: int | None = None, until_ms: int | None = None, session_id: str | None = None
    ) -> Sequence[UsageRow]:
        await self._checkpoint()
        found = [(name, spending) for name, spending in self._spending.items() if session_id in (None, name)]
        return usage_rows(found, since_ms=since_ms, until_ms=until_ms)

    async def key(self, key: str) -> KeyRow | None:
        await self._checkpoint()
        return self._keys.get(key)

    async def keys(self) -> Sequence[KeyRow]:
        await self._checkpoint()
        return list(self._keys.values())

    async def info(self) -> StoreInfo:
        await self._checkpoint()
        return StoreInfo(
            backend=self.backend,
            sessions=len(self._sessions),
            messages=sum(row.message_count for row in self._sessions.values()),
            bytes_on_disk=0,
            format_version=FORMAT_VERSION,
        )

    # -- the whole ---------------------------------------------------------------------------------------------

    async def copy_to(self, folder: str) -> RealmStore:
        await self._checkpoint()
        copy = MemoryStore()
        copy._sessions, copy._turns = dict(self._sessions), dict(self._turns)
        copy._bodies = {name: list(bodies) for name, bodies in self._bodies.items()}
        copy._lineages, copy._last_turns = dict(self._lineages), dict(self._last_turns)
        copy._tools = {name: dict(rows) for name, rows in self._tools.items()}
        copy._keys, copy._approvals = dict(self._keys), dict(self._approvals)
        copy._charges = {name: list(rows) for name, rows in self._charges.items()}
        for charge in (charge for rows in copy._charges.values() for charge in rows):
            copy._spending.setdefault(charge.session_id, Spending()).add(charge)
        return copy

    async def problems(self) -> Sequence[str]:
        await self._checkpoint()
        return []

    # -- life ------------------------------------------------------------------------------------------------

    async def prune_keys(self, *, before_ms: int) -> int:
        await self._checkpoint()
        stale = [key for key, row in self._keys.items() if row.created_ms < before_ms]
        for key in stale:
            del self._keys[key]
        return len(stale)

    async def tidy(self) -> None:
        await self._checkpoint()

    async def aclose(self) -> None:
        self._closed = True
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()

    # -- parts -----------------------------------------------------------------------------------------------

    def _bodies_between(self, session_id: str, start: int, stop: int) -> Iterator[str]:
        for source, first, end in spans(self._lineages.get(session_id, ()), session_id, start, stop):
            before = shared(self._lineages.get(source, ()))
            yield from self._bodies[source][first - before : end - before]

    async def _checkpoint(self) -> None:
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError("this realm's store is closed")

    def _check_turn(self, turn: TurnRow | None, *, expected: int) -> None:
        if turn is None:
            return
        if turn.ordinal != expected:
            raise ValueError(f"turn {turn.turn_id} has ordinal {turn.ordinal}, the session is at {expected}")
        if turn.turn_id in self._turns:
            raise ValueError(f"turn {turn.turn_id} exists already")

    def _check_key(self, key: KeyRow | None) -> None:
        if key is not None and key.key in self._keys:
            raise DuplicateInput("This idempotency key is taken.", details={"idempotency_key": key.key})

    def _check_place(self, session_id: str, turn_id: str) -> None:
        if session_id not in self._sessions:
            raise KeyError(session_id)
        if self._turns[turn_id].session_id != session_id:
            raise ValueError(f"turn {turn_id} is not a turn of session {session_id}")

    def _check_charges(self, charges: Sequence[ChargeRow], *, session_id: str | None = None) -> None:
        homes = {charge.session_id for charge in charges} | ({session_id} if session_id else set())
        if len(homes) > 1:
            raise ValueError("charges of several sessions cannot be recorded at once")
        for charge in charges:
            self._check_place(charge.session_id, charge.turn_id)

    def _charge(self, charges: Sequence[ChargeRow]) -> None:
        for charge in charges:
            spending = self._spending.setdefault(charge.session_id, Spending())
            if not spending.has(charge.charge_id):
                spending.add(charge)
                self._charges.setdefault(charge.session_id, []).append(charge)

    def _insert(self, turn: TurnRow | None, key: KeyRow | None) -> None:
        if turn is not None:
            self._turns[turn.turn_id] = turn
            self._last_turns[turn.session_id] = turn.turn_id
        if key is not None:
            self._keys[key.key] = key


def _by_ordinal(turn: TurnRow) -> int:
    return turn.ordinal
