"""Copying the database while it is in use, and judging a copy.

SQLite's own backup, a few pages at a time, on the connection that writes: what is committed between two steps is put
into the copy as well, so the copy is of the moment of the last step, however long it took.
"""

import os
from collections.abc import Iterator, Sequence

import apsw

from .connection import DATABASE_NAME
from .schema import SEQ_BITS

# 1 MiB: a few milliseconds, after which others have their turn.
STEP_PAGES = 256
# More say nothing new.
_MOST_PROBLEMS = 20


class Copy:
    """A copy under way. Every method runs in the worker's thread but `abandon`, which is for after its end."""

    def __init__(self, db: apsw.Connection, folder: str) -> None:
        path = os.path.join(folder, DATABASE_NAME)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        self._target = apsw.Connection(path)
        # Nobody needs what a failed copy leaves.
        self._target.pragma("journal_mode", "OFF")
        self._target.pragma("synchronous", "OFF")
        self._backup = self._target.backup("main", db, "main")

    def step(self, _db: apsw.Connection) -> bool:
        """Copy some pages; whether that was all."""
        return self._backup.step(STEP_PAGES)

    def finish(self, _db: apsw.Connection) -> None:
        self._backup.finish()
        self._target.close()

    def abandon(self) -> None:
        self._backup.close(force=True)
        self._target.close(force=True)


def problems(db: apsw.Connection) -> Sequence[str]:
    found = [text for (text,) in db.execute(f"PRAGMA integrity_check({_MOST_PROBLEMS})") if text != "ok"]
    return [f"The database is damaged: {text}." for text in found] or list(_contradictions(db))


def _contradictions(db: apsw.Connection) -> Iterator[str]:
    for table, *_ in db.execute("PRAGMA foreign_key_check"):
        yield f"A row of the table {table} belongs to one that is gone."
    for session_id, said, there in db.execute(_MISCOUNTED, (_MOST_PROBLEMS,)):
        yield f"Session {session_id} says that it has {said} messages of its own, and has {there}."
    for session_id, said, there in db.execute(_TURNS_MISCOUNTED, (_MOST_PROBLEMS,)):
        yield f"Session {session_id} says that it has {said} turns, and has {there}."
    for session_id, end in db.execute(_SHARED_MISSING, (_MOST_PROBLEMS,)):
        yield f"Session {session_id} shares messages up to {end} with a session that lacks them."


_OWN = "(s.message_count - coalesce(json_extract(s.lineage, '$[#-1][1]'), 0))"
_HELD = (
    f"(SELECT count(*) FROM {{table}} WHERE id >= s.session_key << {SEQ_BITS} AND id < s.session_key + 1 << {SEQ_BITS})"
)
_MISCOUNTED = f"""
    SELECT session_id, {_OWN} AS said, {_HELD.format(table="messages")} AS held FROM sessions AS s
    WHERE said <> held LIMIT ?
"""
_TURNS_MISCOUNTED = f"""
    SELECT session_id, turn_count, {_HELD.format(table="turns")} AS held FROM sessions AS s
    WHERE turn_count <> held LIMIT ?
"""
_SHARED_MISSING = """
    SELECT s.session_id, json_extract(each.value, '$[1]') AS past FROM sessions AS s, json_each(s.lineage) AS each
    LEFT JOIN sessions AS source ON source.session_key = json_extract(each.value, '$[0]')
    WHERE source.message_count IS NULL OR source.message_count < past LIMIT ?
"""
