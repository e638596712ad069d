"""The storage port: what a realm asks of any backend.

One `RealmStore` holds one realm. Its owner is the only process that has it open. Rules that every backend keeps, and
that the conformance suite checks:

* A method that writes returns after the write is durable, and is all or nothing.
* Writes are visible to the next read. Writes of one session happen in the order in which they were asked for.
* `seq` of a session's messages is dense: 0, 1, 2, ... without gaps, so that a page by offset is a key look-up.
* Documents (`body`, `meta`, `detail`, ...) are opaque JSON text. Backends never look inside.
* Cancelling a write leaves its outcome open: it was either handed over and will be carried out, or not at all. Callers
  that must know shield themselves.

Errors: `StorageFull` and `StorageFailed` mean that nothing was written; `StorageUnknown` that the commit itself
failed: the store opens its files again on the next call, and only what is read then tells whether it happened.

Writes check what they build on, and change nothing when it is not so: `KeyError` when the session or turn that they
name does not exist; `ValueError` when an id is taken, a turn's `ordinal` is not its session's `turn_count`, or the
turn to be ended is not running; `DuplicateInput` when the idempotency key is recorded already. After `aclose` every
method raises `trio.ClosedResourceError`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .approval import ApprovalRow as ApprovalRow
from .approval import ApprovalState as ApprovalState
from .blobs import Blobs
from .spending import ChargeRow as ChargeRow
from .spending import UsageRow as UsageRow
from .spending import UsageTotals as UsageTotals

TurnState = Literal["running", "completed", "interrupted", "failed", "lost"]
ToolState = Literal["declared", "started", "ran", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One session.

    Attributes:
        created_ms, updated_ms: Unix time in milliseconds. Lists are ordered by `updated_ms` and then `session_id`,
            newest first.
        message_count: number of committed messages; the next message gets this `seq`.
        turn_count: number of turns begun; the next turn gets this `ordinal`.
        event_seq: number of the last event; while a turn runs, and after one that was lost, an upper bound of it.
        archived_ms: when it was archived; None while it is not.
        meta: JSON document of what the session was built with (model, provider, system prompt, ...).
    """

    session_id: str
    created_ms: int
    updated_ms: int
    message_count: int = 0
    turn_count: int = 0
    event_seq: int = 0
    archived_ms: int | None = None
    usage: UsageTotals = field(default_factory=UsageTotals)
    labels: Mapping[str, str] = field(default_factory=dict)
    meta: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRow:
    """One turn: written ahead when it is admitted (`state` "running"), completed when it ends.

    Attributes:
        ordinal: 0, 1, 2, ... within the session.
        prompt: JSON document of the prompt as it was given; "" once messages hold it (see `keeps_prompt`).
        holder: JSON document of who started it (surface, client name, pid).
        detail: JSON document of how it ended (result or error); None while it runs.
        usage: what the turn cost.
    """

    turn_id: str
    session_id: str
    ordinal: int
    state: TurnState
    started_ms: int
    ended_ms: int | None = None
    prompt: str
    holder: str = "{}"
    detail: str | None = None
    usage: UsageTotals = field(default_factory=UsageTotals)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRow:
    """One tool call of a turn, written before it runs.

    `state` is "declared" when the model asked for it, "started" right before it runs, "ran" or "failed" after. After a
    crash these read as: never ran, may have run, ran.

    Attributes:
        position: order within the turn.
        arguments: JSON document.
        detail: JSON document of the outcome, None until there is one.
    """

    turn_id: str
    call_id: str
    position: int
    name: str
    arguments: str
    state: ToolState
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message to append. `role` is repeated outside of `body` so that backends can count without parsing."""

    role: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """An idempotency key and what its first request did.

    Attributes:
        key: unique within the realm.
        digest: of method and params: the same key with another digest is a different request.
        result: JSON document of a reply that no row can give back; None when session or turn tell it.
    """

    key: str
    method: str
    digest: str
    session_id: str | None = None
    turn_id: str | None = None
    result: str | None = None
    created_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChange:
    """What `change_session` sets; None leaves a field as it is.

    `archived` True/False sets or clears the mark; setting it again keeps its first time.
    """

    updated_ms: int
    archived: bool | None = None
    labels: Mapping[str, str] | None = None
    meta: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnd:
    """The one transaction at the end of a turn: outcome, messages, usage, counters, charges of this turn that are not
    recorded yet."""

    turn_id: str
    session_id: str
    state: TurnState
    ended_ms: int
    detail: str
    messages: Sequence[NewMessage]
    usage: UsageTotals
    event_seq: int
    meta: str | None = None
    charges: Sequence[ChargeRow] = ()


def keeps_prompt(end: TurnEnd) -> bool:
    """Whether a turn's row keeps its prompt after `end`: when no message has it, and when the turn was lost.

    Backends drop it otherwise, for it would double the bytes of every user message.
    """
    return end.state == "lost" or not end.messages


def one_session(rows: Sequence[TurnRow]) -> str | None:
    """The session that all these turns are of; None when there are no turns. ValueError when they are of several."""
    homes = {row.session_id for row in rows}
    if len(homes) > 1:
        raise ValueError("turns of several sessions cannot be restored at once")
    return homes.pop() if homes else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQuery:
    """A page of the list: newest `updated_ms` first, all `labels` must match."""

    offset: int = 0
    limit: int = 100
    include_archived: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    """Bodies of messages `offset`, `offset + 1`, ...; fewer than asked for when they would exceed the byte limit.

    `total` is the session's message count in the same snapshot.
    """

    offset: int
    total: int
    bodies: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """For `realm/show` and the doctor."""

    backend: str
    sessions: int
    messages: int
    bytes_on_disk: int
    format_version: int


class RealmStore(Protocol):
    """One realm's durable state. All methods are async and may be called by many tasks at once.

    Raises (any method): StorageFull, StorageFailed, StorageUnknown.
    """

    @property
    def backend(self) -> str: ...

    @property
    def blobs(self) -> Blobs: ...

    # -- writes ---------------------------------------------------------------------------------------------------

    async def create_session(
        self, session: SessionRow, *, turn: TurnRow | None = None, key: KeyRow | None = None
    ) -> None:
        """Insert a session, and with it the write-ahead row of its first turn and its key.

        The store counts: `message_count` starts at 0, and `turn_count` at 1 with `turn` and at 0 without, whatever
        `session` says.
        """
        ...

    async def begin_turn(
        self, turn: TurnRow, *, event_seq: int, meta: str | None = None, key: KeyRow | None = None
    ) -> None:
        """Write a turn ahead: its row in state "running", the session's `turn_count`, `event_seq`, and `updated_ms`
        (= `turn.started_ms`); with `meta` also the session's document."""
        ...

    async def put_tools(self, rows: Sequence[ToolRow], *, charges: Sequence[ChargeRow] = ()) -> None:
        """Insert or replace tool-call rows by (turn_id, call_id), and record `charges` as `put_charges` does, in one
        transaction."""
        ...

    async def put_charges(self, rows: Sequence[ChargeRow]) -> None:
        """Record charges; those that are recorded already are left out. The turn that a charge names may have ended.

        ValueError when they are not all of one session, or a turn is not of the session that its charge names.
        """
        ...

    async def put_approval(self, row: ApprovalRow) -> None:
        """Insert or replace an approval by its id.

        ValueError when its turn is not of the session that it names, or one of that id is there for another session.
        """
        ...

    async def end_turn(self, end: TurnEnd) -> None:
        """Append the turn's messages and settle its row and the session's counters, in one transaction.

        `event_seq` becomes the session's, also when it is below what was reserved: numbering goes on from there.
        """
        ...

    async def reserve_events(self, session_id: str, event_seq: int) -> None:
        """Raise the bound of event numbers given out. One below the present one changes nothing, here as in
        `begin_turn`."""
        ...

    async def append(
        self, session_id: str, messages: Sequence[NewMessage], *, updated_ms: int, key: KeyRow | None = None
    ) -> None:
        """Append messages that no turn has made. KeyError when there is no such session."""
        ...

    async def fork_session(self, session: SessionRow, *, source_id: str, count: int, key: KeyRow | None = None) -> None:
        """Insert a session that begins with the first `count` messages of another one.

        As `create_session` without a turn; `message_count` becomes `count`. The messages are shared, not copied, so it
        costs the same however many there are (see `lineage.py`). KeyError when there is no such source, ValueError
        when it has fewer messages.
        """
        ...

    async def restore_session(
        self, session: SessionRow, *, lineage: Sequence[tuple[str, int]] = (), keys: Sequence[KeyRow] = ()
    ) -> None:
        """Insert a session as it was in another store, with its keys. Its turns and messages follow.

        `lineage` says which of its messages are other sessions', as `lineage` told it. The store counts:
        `message_count` begins with those, `turn_count` at 0. Besides what `create_session` raises, KeyError when a
        source does not exist, ValueError when it has fewer messages.
        """
        ...

    async def restore_turns(self, rows: Sequence[TurnRow]) -> None:
        """Insert the next turns of one session as they were in another store, in whatever state. Changes nothing of
        the session but `turn_count`. ValueError when they are not all of one session."""
        ...

    async def change_session(self, session_id: str, change: SessionChange, *, key: KeyRow | None = None) -> SessionRow:
        """Apply `change` and return the row as it is then. KeyError when there is no such session."""
        ...

    # -- reads ----------------------------------------------------------------------------------------------------

    async def session(self, session_id: str) -> SessionRow | None: ...

    async def sessions(self, query: SessionQuery) -> Sequence[SessionRow]: ...

    async def sessions_by_prefix(self, prefix: str, *, limit: int) -> Sequence[str]:
        """Ids, archived ones too, that begin with `prefix` (lower-case hex and dashes), in no special order."""
        ...

    async def messages(self, session_id: str, *, offset: int, limit: int, max_bytes: int) -> MessagePage:
        """A page, at least one message long unless it lies past the end. `max_bytes` counts the bodies in UTF-8.
        KeyError when there is no such session."""
        ...

    async def turn(self, turn_id: str) -> TurnRow | None: ...

    async def last_turn(self, session_id: str) -> TurnRow | None: ...

    async def turns(self, session_id: str, *, offset: int = 0, limit: int) -> Sequence[TurnRow]:
        """A session's turns by ordinal. An unknown session has none."""
        ...

    async def lineage(self, session_id: str) -> Sequence[tuple[str, int]]:
        """Which of a session's messages are other sessions' (see `lineage.py`). An unknown session has none."""
        ...

    async def running_turns(self) -> Sequence[TurnRow]:
        """Turns in state "running". Right after opening these are the lost ones."""
        ...

    async def tools(self, turn_id: str) -> Sequence[ToolRow]:
        """The ledger of a turn, by position."""
        ...

    async def approval(self, approval_id: str) -> ApprovalRow | None: ...

    async def approvals(
        self, *, session_id: str | None = None, states: Sequence[ApprovalState] = (), limit: int
    ) -> Sequence[ApprovalRow]:
        """The newest `limit` approvals, newest first: of one session or of all, in one of `states` or in any. An
        unknown session has none."""
        ...

    async def charges(self, session_id: str, *, offset: int = 0, limit: int) -> Sequence[ChargeRow]:
        """A session's charges in the order of recording. An unknown session has none."""
        ...

    async def usage(
        self, *, since_ms: int | None = None, until_ms: int | None = None, session_id: str | None = None
    ) -> Sequence[UsageRow]:
        """Sums of the charges of every day of which `[since_ms, until_ms)` has a part (whole days of UTC, for there
        are no smaller sums), ordered by day, session, provider and model. An unknown session has none."""
        ...

    async def key(self, key: str) -> KeyRow | None: ...

    async def keys(self) -> Sequence[KeyRow]:
        """Every key, in no special order."""
        ...

    async def info(self) -> StoreInfo: ...

    # -- the whole ------------------------------------------------------------------------------------------------

    async def copy_to(self, folder: str) -> "RealmStore":
        """A copy as of one moment, opened, in `folder`, which exists and is empty; the caller closes it. Others are
        served meanwhile. Blobs are not copied, and no file is synced.

        A copy of a store in memory is in memory. What is left after an error is the caller's to remove.
        """
        ...

    async def problems(self) -> Sequence[str]:
        """What contradicts itself in the store, one sentence each. Reads all of it, and nobody else is served
        meanwhile: ask a copy.
        """
        ...

    # -- life -----------------------------------------------------------------------------------------------------

    async def prune_keys(self, *, before_ms: int) -> int:
        """Forget keys older than that; returns how many."""
        ...

    async def tidy(self) -> None:
        """Called when the realm is idle: give back memory, fold logs. May do nothing."""
        ...

    async def aclose(self) -> None:
        """Finish pending writes and release every file. Idempotent; shielded from cancellation."""
        ...


class Backend(Protocol):
    """How a backend is opened; one object per backend name, registered in `store/__init__.py`."""

    @property
    def name(self) -> str: ...

    async def open(self, folder: str, *, create: bool, bulk: bool = False) -> RealmStore:
        """Open the realm in `folder`; with `create`, make what is not there yet.

        `bulk` is for filling a store that nobody uses yet: nothing is synced, so that it takes a tenth of the time, and
        what was written is durable when the caller has closed the store and synced all files below the folder.

        Raises:
            RealmNotFound: there is nothing in the folder, and `create` is False.
            StorageFailed, StorageFull: the files cannot be opened or made.
            RealmTooNew: a newer program wrote it; `details.written_by` names the version.
            RealmDamaged: the files contradict each other.
            BackendUnavailable: the backend is not installed; the message has the command that installs it.
        """
        ...
