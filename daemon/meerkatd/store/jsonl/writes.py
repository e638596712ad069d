"""Every transaction, as one function from what is known to the records that say it. No I/O here.

Each checks what it builds on and raises as the port says; it changes nothing itself.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...errors import DuplicateInput
from ..api import (
    ApprovalRow,
    ChargeRow,
    KeyRow,
    NewMessage,
    SessionChange,
    SessionRow,
    ToolRow,
    TurnEnd,
    TurnRow,
    one_session,
)
from ..lineage import check_sources, forked, shared
from . import rows
from .catalog import Catalog, Log, Session
from .record import Record

# What may be a file's name everywhere: upper-case letters are not told apart on every file system.
_SESSION_ID = re.compile(r"[0-9a-z][0-9a-z_-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A transaction.

    Attributes:
        log: the one log that it appends to.
        records: nothing is written when there are none.
        fresh: the session that `records` create; its log is then a new file.
        result: called after the records were taken in.
        alone: no other transaction may share its commit, for its effects reach beyond its log.
    """

    log: Log
    records: Sequence[Record]
    fresh: Session | None = None
    result: Callable[[], Any] = lambda: None
    alone: bool = False


def create_session(catalog: Catalog, session: SessionRow, turn: TurnRow | None, key: KeyRow | None) -> Change:
    fresh = _fresh(catalog, session)
    records = [rows.session_record(session)]
    if turn is not None:
        _check_turn(catalog, turn, expected=0)
        records.append(rows.turn_record(turn, updated_ms=session.updated_ms, event_seq=0, meta=None))
    records += _key_records(catalog, key)
    return Change(log=fresh, records=records, fresh=fresh)


def fork_session(catalog: Catalog, session: SessionRow, source_id: str, count: int, key: KeyRow | None) -> Change:
    """Alone, for what it shares must be on the disk before."""
    source = catalog.sessions[source_id]
    if count > source.row.message_count:
        raise ValueError(f"session {source_id} has {source.row.message_count} messages, not {count}")
    fresh = _fresh(catalog, session)
    fresh.lineage = forked(source.lineage, source_id, count)
    fresh.row = replace(fresh.row, message_count=count)
    records = [rows.session_record(session, fresh.lineage), *_key_records(catalog, key)]
    return Change(log=fresh, records=records, fresh=fresh, alone=True)


def restore_session(catalog: Catalog, session: SessionRow, lineage: rows.Lineage, keys: Sequence[KeyRow]) -> Change:
    fresh = _fresh(catalog, session)
    check_sources(lineage, {source: catalog.sessions[source].row.message_count for source, _ in lineage})
    fresh.lineage = lineage
    fresh.row = replace(fresh.row, message_count=shared(lineage))
    key_records = [record for key in keys for record in _key_records(catalog, key)]
    records = [rows.session_record(session, lineage), *key_records]
    return Change(log=fresh, records=records, fresh=fresh, alone=bool(lineage))


def restore_turns(catalog: Catalog, turns: Sequence[TurnRow]) -> Change:
    session_id = one_session(turns)
    if session_id is None:
        return Change(log=catalog.realm, records=[])
    session = catalog.sessions[session_id]
    row = session.row
    for place, turn in enumerate(turns):
        _check_turn(catalog, turn, expected=row.turn_count + place)
    records = [rows.turn_record(turn, updated_ms=row.updated_ms, event_seq=row.event_seq, meta=None) for turn in turns]
    return Change(log=session, records=records)


def begin_turn(catalog: Catalog, turn: TurnRow, event_seq: int, meta: str | None, key: KeyRow | None) -> Change:
    session = catalog.sessions[turn.session_id]
    _check_turn(catalog, turn, expected=session.row.turn_count)
    record = rows.turn_record(turn, updated_ms=turn.started_ms, event_seq=event_seq, meta=meta)
    return Change(log=session, records=[record, *_key_records(catalog, key)])


def put_tools(catalog: Catalog, tools: Sequence[ToolRow], charges: Sequence[ChargeRow]) -> Change:
    """Raises ValueError when the rows are not of one session: that would be two logs."""
    places = [catalog.turns[row.turn_id] for row in tools]
    homes = {session_id for session_id, _ in places} | {charge.session_id for charge in charges}
    if len(homes) > 1:
        raise ValueError("tool calls of several sessions cannot be written at once")
    if not homes:
        return Change(log=catalog.realm, records=[])
    session = catalog.sessions[homes.pop()]
    records = [rows.tool_record(row, ordinal=ordinal) for row, (_, ordinal) in zip(tools, places, strict=True)]
    return Change(log=session, records=[*records, *_charge_records(catalog, session, charges)])


def put_charges(catalog: Catalog, charges: Sequence[ChargeRow]) -> Change:
    return put_tools(catalog, (), charges)


def put_approval(catalog: Catalog, approval: ApprovalRow) -> Change:
    session = catalog.sessions[approval.session_id]
    ordinal = _ordinal(catalog, session, approval.turn_id)
    earlier = catalog.approvals.get(approval.approval_id)
    if earlier is not None and earlier.home != approval.session_id:
        raise ValueError(f"approval {approval.approval_id} is another session's")
    return Change(log=session, records=[rows.approval_record(approval, ordinal=ordinal)])


def end_turn(catalog: Catalog, end: TurnEnd) -> Change:
    session = catalog.sessions[end.session_id]
    home, ordinal = catalog.turns[end.turn_id]
    if home != end.session_id or ordinal not in session.running:
        raise ValueError(f"turn {end.turn_id} is not a running turn of session {end.session_id}")
    count = session.row.message_count
    messages = [rows.message_record(message, seq=count + n) for n, message in enumerate(end.messages)]
    charges = _charge_records(catalog, session, end.charges)
    return Change(log=session, records=[*messages, *charges, rows.turn_end_record(end, ordinal=ordinal)])


def append(
    catalog: Catalog, session_id: str, messages: Sequence[NewMessage], updated_ms: int, key: KeyRow | None
) -> Change:
    session = catalog.sessions[session_id]
    first = session.row.message_count
    records = [rows.message_record(message, seq=first + n) for n, message in enumerate(messages)]
    count = rows.append_record(len(messages), updated_ms=updated_ms)
    return Change(log=session, records=[*records, count, *_key_records(catalog, key)])


def reserve_events(catalog: Catalog, session_id: str, event_seq: int) -> Change:
    session = catalog.sessions[session_id]
    rises = event_seq > session.row.event_seq
    return Change(log=session, records=[rows.events_record(event_seq)] if rises else [])


def change_session(catalog: Catalog, session_id: str, change: SessionChange, key: KeyRow | None) -> Change:
    session = catalog.sessions[session_id]
    record = rows.change_record(session.row, change)
    return Change(log=session, records=[record, *_key_records(catalog, key)], result=lambda: session.row)


def prune_keys(catalog: Catalog, before_ms: int) -> Change:
    count = sum(held.row.created_ms < before_ms for held in catalog.keys.values())
    records = [rows.prune_record(before_ms)] if count else []
    return Change(log=catalog.realm, records=records, result=lambda: count, alone=True)


def _fresh(catalog: Catalog, session: SessionRow) -> Session:
    session_id = session.session_id
    if not _SESSION_ID.fullmatch(session_id):
        raise ValueError(f"session id {session_id!r} cannot name a file")
    if session_id in catalog.sessions:
        raise ValueError(f"session {session_id} exists already")
    return Session(row=rows.session_row(rows.session_fields(session)))


def _check_turn(catalog: Catalog, turn: TurnRow, *, expected: int) -> None:
    if turn.ordinal != expected:
        raise ValueError(f"turn {turn.turn_id} has ordinal {turn.ordinal}, the session is at {expected}")
    if turn.turn_id in catalog.turns:
        raise ValueError(f"turn {turn.turn_id} exists already")


def _ordinal(catalog: Catalog, session: Session, turn_id: str) -> int:
    home, ordinal = catalog.turns[turn_id]
    if home != session.session_id:
        raise ValueError(f"turn {turn_id} is not a turn of session {session.session_id}")
    return ordinal


def _charge_records(catalog: Catalog, session: Session, charges: Sequence[ChargeRow]) -> Sequence[Record]:
    """Those that are not recorded yet."""
    records: dict[str, Record] = {}
    for charge in charges:
        if charge.session_id != session.session_id:
            raise ValueError("charges of several sessions cannot be recorded at once")
        ordinal = _ordinal(catalog, session, charge.turn_id)
        if charge.charge_id not in records and not (session.spending and session.spending.has(charge.charge_id)):
            records[charge.charge_id] = rows.charge_record(charge, ordinal=ordinal)
    return list(records.values())


def _key_records(catalog: Catalog, key: KeyRow | None) -> Sequence[Record]:
    if key is None:
        return ()
    if key.key in catalog.keys:
        raise DuplicateInput("This idempotency key is taken.", details={"idempotency_key": key.key})
    return (rows.key_record(key, prunes=len(catalog.prunes)),)
