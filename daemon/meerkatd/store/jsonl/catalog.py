"""What is known of a realm without reading a file: each session's row and state, ids of turns, keys. No I/O here.

A session's row, with its document, stays in memory. Measured: 1.5 KB for a session with a document of 400 bytes and one
turn. Some 250 bytes of it are the turn's, for its id must be found without knowing its session. Messages take nothing
here; where they are in the file is in `offsets.py`, for sessions in use.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..api import ApprovalState, KeyRow, SessionQuery, SessionRow
from ..spending import Spending
from . import rows
from .layout import REALM_LOG, session_file
from .offsets import Offsets

# Greater than every character of an id.
_AFTER_ANY = "\U0010ffff"

# What `apply` takes in: all but the first line of a log, and messages, which the last line of their write counts.
KINDS = frozenset({"turn", "tool", "turn_end", "append", "events", "change", "key", "prune", "charge", "approval"})

Undo = Callable[[], object]


@dataclass(slots=True, kw_only=True)
class Log:
    """How far a file is written; as it is, the realm's own. `size` is in bytes, `crc` of the last line."""

    size: int = 0
    records: int = 0
    crc: str = ""

    @property
    def name(self) -> str:
        """Of the file, within the realm's folder."""
        return REALM_LOG


@dataclass(slots=True, kw_only=True)
class Session(Log):
    """One session, and its file.

    Attributes:
        running: ordinals of its running turns; mostly none.
        indexed_ns: the file's time of change when the index was written; None when it was written to since.
        offsets: None while they are not loaded.
        spending: None while there are no charges.
        lineage: of a fork: which of its messages are in other sessions' files.
    """

    row: SessionRow
    running: tuple[int, ...] = ()
    indexed_ns: int | None = None
    offsets: Offsets | None = None
    spending: Spending | None = None
    lineage: rows.Lineage = ()

    @property
    def session_id(self) -> str:
        return self.row.session_id

    @property
    def name(self) -> str:
        return session_file(self.row.session_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldKey:
    """A key, the session in whose file it stands, and how often keys had been pruned before."""

    row: KeyRow
    home: str
    prunes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldApproval:
    """An approval, but for what only its reader needs: that is at byte `offset` of the file of session `home`."""

    home: str
    state: ApprovalState
    created_ms: int
    offset: int


class Catalog:
    """Attributes:
    realm: the realm's own log.
    sessions: by id.
    turns: where a turn is: `(session_id, ordinal)`.
    keys: those that are recorded and not pruned.
    approvals: by id.
    prunes: `before_ms` of every prune, in order.
    """

    def __init__(self, realm: Log) -> None:
        self.realm = realm
        self.sessions: dict[str, Session] = {}
        self.turns: dict[str, tuple[str, int]] = {}
        self.keys: dict[str, HeldKey] = {}
        self.approvals: dict[str, HeldApproval] = {}
        self.prunes: list[int] = []
        self._ids: list[str] = []
        self._newest: list[tuple[int, str]] = []

    # -- building --------------------------------------------------------------------------------------------------

    def fill(self, sessions: Sequence[Session]) -> None:
        """Take all sessions of a realm that is being opened."""
        self.sessions = {session.session_id: session for session in sessions}
        self._ids = sorted(self.sessions)
        self._newest = sorted(_place(session.row) for session in sessions)

    def apply(self, log: Log, kind: str, fields: Mapping[str, Any], offset: int) -> Undo | None:
        """Take in a record that begins at byte `offset` of its file. Returns what takes it back, but for the row of
        the session, which its caller keeps.

        Raises:
            ValueError: the record contradicts what is known.
        """
        if kind == "prune" and log is self.realm:
            return self._prune(fields["before_ms"])
        if not isinstance(log, Session) or kind not in KINDS:
            raise ValueError(f"{kind} does not belong here")
        undo: Undo | None = None
        if kind == "turn":
            undo = self._add_turn(log, fields)
        elif kind == "key":
            undo = self._add_key(log, fields)
        elif kind == "charge":
            undo = _add_charge(log, fields)
        elif kind == "approval":
            undo = self._add_approval(log, fields, offset)
        elif kind == "turn_end":
            log.running = tuple(ordinal for ordinal in log.running if ordinal != fields["ordinal"])
        log.row = rows.changed_row(log.row, kind, fields)
        return undo

    def _add_turn(self, session: Session, fields: Mapping[str, Any]) -> Undo:
        turn_id, ordinal = fields["turn_id"], fields["ordinal"]
        if turn_id in self.turns or ordinal != session.row.turn_count:
            raise ValueError(f"turn {turn_id} is out of order")
        self.turns[turn_id] = (session.session_id, ordinal)
        if fields["state"] == "running":
            session.running += (ordinal,)
        return lambda: self.turns.pop(turn_id)

    def _add_key(self, session: Session, fields: Mapping[str, Any]) -> Undo | None:
        return self.hold_key(HeldKey(row=rows.key_row(fields), home=session.session_id, prunes=fields["prunes"]))

    def _add_approval(self, session: Session, fields: Mapping[str, Any], offset: int) -> Undo:
        approval_id = fields["approval_id"]
        earlier = self.approvals.get(approval_id)
        if earlier is not None and earlier.home != session.session_id:
            raise ValueError("an approval is there twice")
        self.approvals[approval_id] = HeldApproval(
            home=session.session_id, state=fields["state"], created_ms=fields["created_ms"], offset=offset
        )

        def undo() -> None:
            if earlier is None:
                del self.approvals[approval_id]
            else:
                self.approvals[approval_id] = earlier

        return undo

    def hold_key(self, held: HeldKey) -> Undo | None:
        """Take in a key, unless it was pruned since."""
        if any(held.row.created_ms < before_ms for before_ms in self.prunes[held.prunes :]):
            return None
        key = held.row.key
        if key in self.keys:
            raise ValueError("an idempotency key is there twice")
        self.keys[key] = held
        return lambda: self.keys.pop(key)

    def _prune(self, before_ms: int) -> Undo:
        stale = {key: held for key, held in self.keys.items() if held.row.created_ms < before_ms}
        for key in stale:
            del self.keys[key]
        self.prunes.append(before_ms)

        def undo() -> None:
            self.prunes.pop()
            self.keys.update(stale)

        return undo

    # -- changing --------------------------------------------------------------------------------------------------

    def add(self, session: Session) -> None:
        """Take a new session."""
        self.sessions[session.session_id] = session
        insort(self._ids, session.session_id)
        insort(self._newest, _place(session.row))

    def remove(self, session: Session) -> None:
        del self.sessions[session.session_id]
        del self._ids[bisect_left(self._ids, session.session_id)]
        del self._newest[bisect_left(self._newest, _place(session.row))]

    def reorder(self, before: SessionRow, after: SessionRow) -> None:
        """Keep the order of the list when a row was replaced."""
        if before.updated_ms != after.updated_ms:
            del self._newest[bisect_left(self._newest, _place(before))]
            insort(self._newest, _place(after))

    # -- asking ----------------------------------------------------------------------------------------------------

    def page(self, query: SessionQuery) -> Sequence[SessionRow]:
        if query.limit <= 0:
            return []
        found: list[SessionRow] = []
        skip = query.offset
        for row in self._matching(query):
            if skip > 0:
                skip -= 1
                continue
            found.append(row)
            if len(found) == query.limit:
                break
        return found

    def _matching(self, query: SessionQuery) -> Iterator[SessionRow]:
        wanted = query.labels.items()
        for _, session_id in reversed(self._newest):
            row = self.sessions[session_id].row
            if (query.include_archived or row.archived_ms is None) and wanted <= row.labels.items():
                yield row

    def by_prefix(self, prefix: str, *, limit: int) -> Sequence[str]:
        start = bisect_left(self._ids, prefix)
        end = bisect_left(self._ids, prefix + _AFTER_ANY)
        return self._ids[start : min(end, start + limit)]


def _add_charge(session: Session, fields: Mapping[str, Any]) -> Undo:
    charge = rows.charge_row(session.session_id, fields)
    if session.spending is None:
        session.spending = Spending()
    return session.spending.add(charge)


def _place(row: SessionRow) -> tuple[int, str]:
    return (row.updated_ms, row.session_id)
