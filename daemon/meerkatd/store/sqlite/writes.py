"""Every transaction, as one synchronous function. The worker puts it between SAVEPOINT and COMMIT.

One function because a transaction of several awaits on a shared connection interleaves with another one:
measured, a row that its caller had been told of was gone when the other one rolled back.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from ...errors import DuplicateInput
from ..api import ChargeRow, KeyRow, NewMessage, SessionChange, SessionRow, ToolRow, TurnEnd, TurnRow, keeps_prompt
from ..lineage import forked
from . import reads
from .charging import put_charges
from .rows import labels_text, usage_values
from .schema import packed, unpacked


def create_session(db: apsw.Connection, session: SessionRow, turn: TurnRow | None, key: KeyRow | None) -> None:
    if turn is not None and turn.ordinal != 0:
        raise ValueError(f"the first turn of session {session.session_id} has ordinal {turn.ordinal}")
    session_key = insert_session(db, session, messages=0, turns=0 if turn is None else 1)
    if turn is not None:
        insert_turn(db, session_key, turn)
    insert_key(db, key)


def fork_session(db: apsw.Connection, session: SessionRow, source_id: str, count: int, key: KeyRow | None) -> None:
    source_key, messages, _turns = _counts(db, source_id)
    if count > messages:
        raise ValueError(f"session {source_id} has {messages} messages, not {count}")
    session_key = insert_session(db, session, messages=count, turns=0)
    lineage = forked(reads.lineage(db, source_key), source_key, count)
    db.execute("UPDATE sessions SET lineage = ? WHERE session_key = ?", (json.dumps(lineage), session_key))
    insert_key(db, key)


def begin_turn(db: apsw.Connection, turn: TurnRow, event_seq: int, meta: str | None, key: KeyRow | None) -> None:
    session_key, _messages, turns = _counts(db, turn.session_id)
    if turn.ordinal != turns:
        raise ValueError(f"turn {turn.turn_id} has ordinal {turn.ordinal}, the session is at {turns}")
    insert_turn(db, session_key, turn)
    db.execute(_BEGIN_TURN, (turn.started_ms, event_seq, meta, session_key))
    insert_key(db, key)


_BEGIN_TURN = """
    UPDATE sessions SET turn_count = turn_count + 1, updated_ms = ?, event_seq = max(event_seq, ?),
        meta = coalesce(?, meta)
    WHERE session_key = ?
"""


def put_tools(db: apsw.Connection, rows: Sequence[ToolRow], charges: Sequence[ChargeRow]) -> None:
    turns = {turn_id: _turn(db, turn_id)[0] for turn_id in {row.turn_id for row in rows}}
    db.executemany(
        _PUT_TOOL,
        [
            (turns[row.turn_id], row.call_id, row.position, row.name, row.arguments, row.state, row.detail)
            for row in rows
        ],
    )
    put_charges(db, charges)


_PUT_TOOL = """
    INSERT INTO tools(turn, call_id, position, name, arguments, state, detail) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT(turn, call_id) DO UPDATE SET position = excluded.position, name = excluded.name,
        arguments = excluded.arguments, state = excluded.state, detail = excluded.detail
"""


def end_turn(db: apsw.Connection, end: TurnEnd) -> None:
    session_key, count, _turns = _counts(db, end.session_id)
    rowid, state = _turn(db, end.turn_id)
    if state != "running" or unpacked(rowid)[0] != session_key:
        raise ValueError(f"turn {end.turn_id} is not a running turn of session {end.session_id}")
    put_charges(db, end.charges, end.session_id)
    _insert_messages(db, session_key, count, end.messages)
    usage = usage_values(end.usage)
    keep = keeps_prompt(end)
    db.execute(_END_TURN, (end.state, end.ended_ms, end.detail, keep, *usage, rowid))
    values = (len(end.messages), end.ended_ms, end.event_seq, end.meta, *usage, session_key)
    db.execute(_SETTLE_SESSION, values)


_END_TURN = """
    UPDATE turns SET state = ?, ended_ms = ?, detail = ?, prompt = iif(?, prompt, ''), input_tokens = ?,
        output_tokens = ?, cache_creation_tokens = ?, cache_read_tokens = ?
    WHERE id = ?
"""
_SETTLE_SESSION = """
    UPDATE sessions SET message_count = message_count + ?, updated_ms = ?, event_seq = ?,
        meta = coalesce(?, meta), input_tokens = input_tokens + ?, output_tokens = output_tokens + ?,
        cache_creation_tokens = cache_creation_tokens + ?, cache_read_tokens = cache_read_tokens + ?
    WHERE session_key = ?
"""


def append(
    db: apsw.Connection, session_id: str, messages: Sequence[NewMessage], updated_ms: int, key: KeyRow | None
) -> None:
    session_key, count, _turns = _counts(db, session_id)
    _insert_messages(db, session_key, count, messages)
    statement = "UPDATE sessions SET message_count = message_count + ?, updated_ms = ? WHERE session_key = ?"
    db.execute(statement, (len(messages), updated_ms, session_key))
    insert_key(db, key)


def reserve_events(db: apsw.Connection, session_id: str, event_seq: int) -> None:
    session_key, _messages, _turns = _counts(db, session_id)
    statement = "UPDATE sessions SET event_seq = max(event_seq, ?) WHERE session_key = ?"
    db.execute(statement, (event_seq, session_key))


def change_session(db: apsw.Connection, session_id: str, change: SessionChange, key: KeyRow | None) -> SessionRow:
    session_key, _messages, _turns = _counts(db, session_id)
    labels = None if change.labels is None else labels_text(change.labels)
    if change.labels is not None:
        # The row still tells the old labels, which is where the search table's entries are found.
        db.execute(_UNLABEL, (session_key, session_key))
        _label(db, session_key, change.labels)
    db.execute(_CHANGE_SESSION, (change.updated_ms, labels, change.meta, session_key))
    if change.archived is not None:
        mark = change.updated_ms if change.archived else None
        db.execute(_MARK_SESSION, (change.archived, change.archived, mark, session_key))
    insert_key(db, key)
    row = reads.session(db, session_id)
    assert row is not None
    return row


_CHANGE_SESSION = """
    UPDATE sessions SET updated_ms = ?, labels = coalesce(?, labels), meta = coalesce(?, meta) WHERE session_key = ?
"""
# An archived session that is archived again keeps its first time.
_MARK_SESSION = """
    UPDATE sessions SET archived = ?, archived_ms = iif(?, coalesce(archived_ms, ?), NULL) WHERE session_key = ?
"""


def prune_keys(db: apsw.Connection, before_ms: int) -> int:
    db.execute("DELETE FROM keys WHERE created_ms < ?", (before_ms,))
    return db.changes()


# -- parts ---------------------------------------------------------------------------------------------------


def _counts(db: apsw.Connection, session_id: str) -> tuple[int, int, int]:
    """`(session_key, message_count, turn_count)`."""
    statement = "SELECT session_key, message_count, turn_count FROM sessions WHERE session_id = ?"
    row: Any = db.execute(statement, (session_id,)).get
    if row is None:
        raise KeyError(session_id)
    session_key, messages, turns = row
    return session_key, messages, turns


def _turn(db: apsw.Connection, turn_id: str) -> tuple[int, str]:
    """`(id, state)`."""
    row: Any = db.execute("SELECT id, state FROM turns WHERE turn_id = ?", (turn_id,)).get
    if row is None:
        raise KeyError(turn_id)
    rowid, state = row
    return rowid, state


def insert_session(db: apsw.Connection, session: SessionRow, *, messages: int, turns: int) -> int:
    """Returns the `session_key`."""
    values = (
        session.session_id,
        session.created_ms,
        session.updated_ms,
        messages,
        turns,
        session.event_seq,
        session.archived_ms,
        session.archived_ms is not None,
        *usage_values(session.usage),
        labels_text(session.labels),
        session.meta,
    )
    try:
        session_key: int = db.execute(_INSERT_SESSION, values).get
    except apsw.ConstraintError:
        raise ValueError(f"session {session.session_id} exists already") from None
    _label(db, session_key, session.labels)
    return session_key


_INSERT_SESSION = """
    INSERT INTO sessions(session_id, created_ms, updated_ms, message_count, turn_count, event_seq, archived_ms,
        archived, input_tokens, output_tokens, cache_creation_tokens, cache_read_tokens, labels, meta)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING session_key
"""


def _insert_messages(db: apsw.Connection, session_key: int, first: int, messages: Sequence[NewMessage]) -> None:
    db.executemany(
        "INSERT INTO messages(id, role, body) VALUES (?, ?, ?)",
        [(packed(session_key, first + n), new.role, new.body) for n, new in enumerate(messages)],
    )


def insert_turn(db: apsw.Connection, session_key: int, turn: TurnRow) -> None:
    values = (
        packed(session_key, turn.ordinal),
        turn.turn_id,
        turn.state,
        turn.started_ms,
        turn.ended_ms,
        turn.prompt,
        turn.holder,
        turn.detail,
        *usage_values(turn.usage),
    )
    try:
        db.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    except apsw.ConstraintError:
        raise ValueError(f"turn {turn.turn_id} exists already") from None


def insert_key(db: apsw.Connection, key: KeyRow | None) -> None:
    if key is None:
        return
    values = (key.key, key.method, key.digest, key.session_id, key.turn_id, key.result, key.created_ms)
    try:
        db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    except apsw.ConstraintError:
        raise DuplicateInput("This idempotency key is taken.", details={"idempotency_key": key.key}) from None


def _label(db: apsw.Connection, session_key: int, labels: Mapping[str, str]) -> None:
    rows = [(name, value, session_key) for name, value in labels.items()]
    db.executemany("INSERT INTO session_labels VALUES (?, ?, ?)", rows)


_UNLABEL = """
    DELETE FROM session_labels WHERE (name, value, session_key) IN
        (SELECT j.key, j.value, ? FROM sessions, json_each(sessions.labels) AS j WHERE session_key = ?)
"""
