"""`RealmStore` over one worker: every method is one job."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from ..api import (
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
)
from ..blobs import Blobs, FileBlobs
from ..disk import Disk
from ..file_faults import storage_fault
from . import copying, reads, writes
from .files import RealmFiles
from .worker import Worker

_COPIED_AT_ONCE = 64


class JsonlStore:
    """One realm. See `RealmStore` for the promises; what this backend adds to them:

    A write that is cancelled and ends with `trio.Cancelled` has not happened. Once it is in a batch, it is waited for
    and its outcome returned, whatever the scope says.

    After `StorageUnknown` the next call cuts off what was being written; when that succeeds, it has not happened.

    Beyond the port it refuses, with ValueError, a session id that cannot be a file's name (lower-case letters, digits,
    "-" and "_", at most 100), and tool rows of more than one session in one call.
    """

    backend = "jsonl"

    def __init__(
        self, worker: Worker, *, folder: str, disk: Disk, open_copy: Callable[[str], Awaitable[RealmStore]]
    ) -> None:
        self._worker = worker
        self._folder = folder
        self._open_copy = open_copy
        self.blobs: Blobs = FileBlobs(folder, disk=disk)

    async def create_session(
        self, session: SessionRow, *, turn: TurnRow | None = None, key: KeyRow | None = None
    ) -> None:
        await self._worker.write(partial(writes.create_session, session=session, turn=turn, key=key))

    async def begin_turn(
        self, turn: TurnRow, *, event_seq: int, meta: str | None = None, key: KeyRow | None = None
    ) -> None:
        await self._worker.write(partial(writes.begin_turn, turn=turn, event_seq=event_seq, meta=meta, key=key))

    async def put_tools(self, rows: Sequence[ToolRow], *, charges: Sequence[ChargeRow] = ()) -> None:
        await self._worker.write(partial(writes.put_tools, tools=rows, charges=charges))

    async def put_charges(self, rows: Sequence[ChargeRow]) -> None:
        await self._worker.write(partial(writes.put_charges, charges=rows))

    async def put_approval(self, row: ApprovalRow) -> None:
        await self._worker.write(partial(writes.put_approval, approval=row))

    async def end_turn(self, end: TurnEnd) -> None:
        await self._worker.write(partial(writes.end_turn, end=end))

    async def reserve_events(self, session_id: str, event_seq: int) -> None:
        await self._worker.write(partial(writes.reserve_events, session_id=session_id, event_seq=event_seq))

    async def append(
        self, session_id: str, messages: Sequence[NewMessage], *, updated_ms: int, key: KeyRow | None = None
    ) -> None:
        work = partial(writes.append, session_id=session_id, messages=messages, updated_ms=updated_ms, key=key)
        await self._worker.write(work)

    async def fork_session(self, session: SessionRow, *, source_id: str, count: int, key: KeyRow | None = None) -> None:
        work = partial(writes.fork_session, session=session, source_id=source_id, count=count, key=key)
        await self._worker.write(work)

    async def restore_session(
        self, session: SessionRow, *, lineage: Sequence[tuple[str, int]] = (), keys: Sequence[KeyRow] = ()
    ) -> None:
        work = partial(writes.restore_session, session=session, lineage=tuple(lineage), keys=keys)
        await self._worker.write(work)

    async def restore_turns(self, rows: Sequence[TurnRow]) -> None:
        await self._worker.write(partial(writes.restore_turns, turns=rows))

    async def change_session(self, session_id: str, change: SessionChange, *, key: KeyRow | None = None) -> SessionRow:
        work = partial(writes.change_session, session_id=session_id, change=change, key=key)
        row: SessionRow = await self._worker.write(work)
        return row

    async def session(self, session_id: str) -> SessionRow | None:
        return await self._worker.read(partial(reads.session, session_id=session_id))

    async def sessions(self, query: SessionQuery) -> Sequence[SessionRow]:
        return await self._worker.read(partial(reads.sessions, query=query))

    async def sessions_by_prefix(self, prefix: str, *, limit: int) -> Sequence[str]:
        return await self._worker.read(partial(reads.sessions_by_prefix, prefix=prefix, limit=limit))

    async def messages(self, session_id: str, *, offset: int, limit: int, max_bytes: int) -> MessagePage:
        return await self._worker.read(
            partial(reads.messages, session_id=session_id, offset=offset, limit=limit, max_bytes=max_bytes)
        )

    async def turn(self, turn_id: str) -> TurnRow | None:
        return await self._worker.read(partial(reads.turn, turn_id=turn_id))

    async def last_turn(self, session_id: str) -> TurnRow | None:
        return await self._worker.read(partial(reads.last_turn, session_id=session_id))

    async def turns(self, session_id: str, *, offset: int = 0, limit: int) -> Sequence[TurnRow]:
        return await self._worker.read(partial(reads.turns, session_id=session_id, offset=offset, limit=limit))

    async def lineage(self, session_id: str) -> Sequence[tuple[str, int]]:
        return await self._worker.read(partial(reads.lineage, session_id=session_id))

    async def running_turns(self) -> Sequence[TurnRow]:
        return await self._worker.read(reads.running_turns)

    async def tools(self, turn_id: str) -> Sequence[ToolRow]:
        return await self._worker.read(partial(reads.tools, turn_id=turn_id))

    async def approval(self, approval_id: str) -> ApprovalRow | None:
        return await self._worker.read(partial(reads.approval, approval_id=approval_id))

    async def approvals(
        self, *, session_id: str | None = None, states: Sequence[ApprovalState] = (), limit: int
    ) -> Sequence[ApprovalRow]:
        return await self._worker.read(partial(reads.approvals, session_id=session_id, states=states, limit=limit))

    async def charges(self, session_id: str, *, offset: int = 0, limit: int) -> Sequence[ChargeRow]:
        return await self._worker.read(partial(reads.charges, session_id=session_id, offset=offset, limit=limit))

    async def usage(
        self, *, since_ms: int | None = None, until_ms: int | None = None, session_id: str | None = None
    ) -> Sequence[UsageRow]:
        work = partial(reads.usage, since_ms=since_ms, until_ms=until_ms, session_id=session_id)
        return await self._worker.read(work)

    async def key(self, key: str) -> KeyRow | None:
        return await self._worker.read(partial(reads.key, text=key))

    async def keys(self) -> Sequence[KeyRow]:
        return await self._worker.read(reads.keys)

    async def info(self) -> StoreInfo:
        return await self._worker.read(reads.info)

    async def copy_to(self, folder: str) -> RealmStore:
        logs = await self._worker.read(copying.committed)
        # A few at a time, so that a copy that nobody wants any more ends soon.
        for first in range(0, len(logs), _COPIED_AT_ONCE):
            some = logs[first : first + _COPIED_AT_ONCE]
            try:
                await trio.to_thread.run_sync(copying.copy, self._folder, folder, some)
            except OSError as error:
                raise storage_fault(error, folder) from error
        return await self._open_copy(folder)

    async def problems(self) -> Sequence[str]:
        return await self._worker.read(reads.problems)

    async def prune_keys(self, *, before_ms: int) -> int:
        count: int = await self._worker.write(partial(writes.prune_keys, before_ms=before_ms))
        return count

    async def tidy(self) -> None:
        await self._worker.read(RealmFiles.tidy)

    async def aclose(self) -> None:
        await self._worker.aclose()
