"""Sessions as they were in another store: their transactions, and the query that only a copy asks."""

import json
from collections.abc import Sequence
from typing import Any

import apsw

from ..api import KeyRow, SessionRow, TurnRow, one_session
from ..lineage import check_sources, shared
from . import reads
from .writes import insert_key, insert_session, insert_turn


def restore_session(
    db: apsw.Connection, session: SessionRow, lineage: Sequence[tuple[str, int]], keys: Sequence[KeyRow]
) -> None:
    known: dict[str, tuple[int, int]] = {source: _source(db, source) for source, _ in lineage}
    check_sources(lineage, {source: count for source, (_, count) in known.items()})
    session_key = insert_session(db, session, messages=shared(tuple(lineage)), turns=0)
    stored = json.dumps([(known[source][0], end) for source, end in lineage])
    db.execute("UPDATE sessions SET lineage = ? WHERE session_key = ?", (stored, session_key))
    for key in keys:
        insert_key(db, key)


def restore_turns(db: apsw.Connection, rows: Sequence[TurnRow]) -> None:
    session_id = one_session(rows)
    if session_id is None:
        return
    found: Any = db.execute("SELECT session_key, turn_count FROM sessions WHERE session_id = ?", (session_id,)).get
    if found is None:
        raise KeyError(session_id)
    session_key, count = found
    for place, row in enumerate(rows):
        if row.ordinal != count + place:
            raise ValueError(f"turn {row.turn_id} has ordinal {row.ordinal}, the session is at {count + place}")
        insert_turn(db, session_key, row)
    db.execute("UPDATE sessions SET turn_count = turn_count + ? WHERE session_key = ?", (len(rows), session_key))


def lineage(db: apsw.Connection, session_id: str) -> Sequence[tuple[str, int]]:
    session_key: Any = db.execute("SELECT session_key FROM sessions WHERE session_id = ?", (session_id,)).get
    if session_key is None:
        return ()
    name = "SELECT session_id FROM sessions WHERE session_key = ?"
    return [(str(db.execute(name, (source,)).get), end) for source, end in reads.lineage(db, session_key)]


def _source(db: apsw.Connection, session_id: str) -> tuple[int, int]:
    """`(session_key, message_count)`."""
    counts = "SELECT session_key, message_count FROM sessions WHERE session_id = ?"
    found: Any = db.execute(counts, (session_id,)).get
    if found is None:
        raise KeyError(session_id)
    session_key, count = found
    return session_key, count
