"""Every query, as one synchronous function that closes its cursor: a cursor left open would hold the log
back.
"""

import json
import os
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

import apsw

from ..api import KeyRow, MessagePage, SessionQuery, SessionRow, StoreInfo, ToolRow, TurnRow
from ..lineage import spans
from .rows import (
    KEY_COLUMNS,
    SESSION_COLUMNS,
    TOOL_COLUMNS,
    TURN_COLUMNS,
    key_row,
    session_row,
    tool_row,
    turn_row,
)
from .schema import FORMAT_VERSION, SEQ_BITS, SEQ_LIMIT, packed

# Greater than every character of an id, so that `prefix <= id < prefix + this` is the range of a prefix.
_AFTER_ANY = "\U0010ffff"


def session(db: apsw.Connection, session_id: str) -> SessionRow | None:
    row: Any = db.execute(f"SELECT {SESSION_COLUMNS} FROM sessions WHERE session_id = ?", (session_id,)).get
    return None if row is None else session_row(row)


def sessions(db: apsw.Connection, query: SessionQuery) -> Sequence[SessionRow]:
    bindings: list[Any] = []
    for _archived in range(1 + query.include_archived):
        bindings += [text for label in query.labels.items() for text in label]
    rows = db.execute(list_statement(query), (*bindings, query.limit, query.offset))
    return [session_row(row) for row in rows]


def list_statement(query: SessionQuery) -> str:
    """The page's keys come out of the index alone, also far down the list; only the page's rows are then read.

    With archived sessions it is a merge of two walks of the same index.
    """
    walk = "SELECT session_key AS page_key, updated_ms, session_id FROM sessions WHERE archived = "
    label = " AND session_key IN (SELECT session_key FROM session_labels WHERE name = ? AND value = ?)"
    marks = range(1 + query.include_archived)
    keys = " UNION ALL ".join(f"{walk}{mark}{label * len(query.labels)}" for mark in marks)
    columns = ", ".join(f"s.{name}" for name in SESSION_COLUMNS.split(", "))
    return (
        f"SELECT {columns} FROM ({keys} ORDER BY updated_ms DESC, session_id DESC LIMIT ? OFFSET ?) AS page "
        "CROSS JOIN sessions AS s ON s.session_key = page_key ORDER BY s.updated_ms DESC, s.session_id DESC"
    )


def sessions_by_prefix(db: apsw.Connection, prefix: str, limit: int) -> Sequence[str]:
    statement = "SELECT session_id FROM sessions WHERE session_id >= ? AND session_id < ? LIMIT ?"
    return [row[0] for row in db.execute(statement, (prefix, prefix + _AFTER_ANY, limit))]


def messages(db: apsw.Connection, session_id: str, offset: int, limit: int, max_bytes: int) -> MessagePage:
    counts = "SELECT session_key, message_count FROM sessions WHERE session_id = ?"
    row: Any = db.execute(counts, (session_id,)).get
    if row is None:
        raise KeyError(session_id)
    session_key, total = row
    bodies: list[str] = []
    with closing(_bodies(db, session_key, offset, min(total, offset + limit))) as found:
        for size, body in found:
            max_bytes -= size
            if max_bytes < 0 and bodies:
                break
            bodies.append(body)
    return MessagePage(offset=offset, total=total, bodies=bodies)


def _bodies(db: apsw.Connection, session_key: int, start: int, stop: int) -> Generator[tuple[int, str], None, None]:
    """Size in UTF-8 and text of messages `start` to `stop` - 1."""
    statement = "SELECT octet_length(body), body FROM messages WHERE id >= ? AND id < ? ORDER BY id"
    for source, first, end in spans(lineage(db, session_key), session_key, start, stop):
        with closing(db.execute(statement, (packed(source, first), packed(source, end)))) as found:
            yield from found


def lineage(db: apsw.Connection, session_key: int) -> tuple[tuple[int, int], ...]:
    """See `store/lineage.py`; sources are told by their `session_key`."""
    text: Any = db.execute("SELECT lineage FROM sessions WHERE session_key = ?", (session_key,)).get
    return tuple((source, end) for source, end in json.loads(text))


_TURNS = f"SELECT {TURN_COLUMNS} FROM turns AS t JOIN sessions AS s ON s.session_key = t.id >> {SEQ_BITS}"


def turn(db: apsw.Connection, turn_id: str) -> TurnRow | None:
    row: Any = db.execute(f"{_TURNS} WHERE t.turn_id = ?", (turn_id,)).get
    return None if row is None else turn_row(row)


def last_turn(db: apsw.Connection, session_id: str) -> TurnRow | None:
    counts = "SELECT session_key, turn_count FROM sessions WHERE session_id = ?"
    counted: Any = db.execute(counts, (session_id,)).get
    if counted is None:
        return None
    session_key, turns = counted
    row: Any = db.execute(f"{_TURNS} WHERE t.id = ?", (packed(session_key, turns - 1),)).get
    return None if row is None else turn_row(row)


def turns(db: apsw.Connection, session_id: str, offset: int, limit: int) -> Sequence[TurnRow]:
    session_key: Any = db.execute("SELECT session_key FROM sessions WHERE session_id = ?", (session_id,)).get
    if session_key is None or limit <= 0:
        return []
    span = (packed(session_key, offset), packed(session_key, min(offset + limit, SEQ_LIMIT) - 1))
    return [turn_row(row) for row in db.execute(f"{_TURNS} WHERE t.id >= ? AND t.id <= ? ORDER BY t.id", span)]


def running_turns(db: apsw.Connection) -> Sequence[TurnRow]:
    return [turn_row(row) for row in db.execute(f"{_TURNS} WHERE t.state = 'running' ORDER BY t.id")]


def tools(db: apsw.Connection, turn_id: str) -> Sequence[ToolRow]:
    statement = (
        f"SELECT {TOOL_COLUMNS} FROM tools WHERE turn = (SELECT id FROM turns WHERE turn_id = ?) "
        "ORDER BY position, call_id"
    )
    return [tool_row(turn_id, row) for row in db.execute(statement, (turn_id,))]


def key(db: apsw.Connection, text: str) -> KeyRow | None:
    row: Any = db.execute(f"SELECT {KEY_COLUMNS} FROM keys WHERE key = ?", (text,)).get
    return None if row is None else key_row(row)


def keys(db: apsw.Connection) -> Sequence[KeyRow]:
    return [key_row(row) for row in db.execute(f"SELECT {KEY_COLUMNS} FROM keys")]


def info(db: apsw.Connection, path: str) -> StoreInfo:
    counts: Any = db.execute("SELECT count(*), coalesce(sum(message_count), 0) FROM sessions").get
    count, total = counts
    files = (path, f"{path}-wal")
    return StoreInfo(
        backend="sqlite",
        sessions=count,
        messages=total,
        bytes_on_disk=sum(os.stat(name).st_size for name in files if os.path.exists(name)),
        format_version=FORMAT_VERSION,
    )
