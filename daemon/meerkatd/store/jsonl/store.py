"""`RealmStore` over one worker: every method is one job."""

from collections.abc import Sequence
from functools import partial

from ..api import (
    ApprovalRow,
    ApprovalState,
    ChargeRow,
    KeyRow,
    MessagePage,
    NewMessage,
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
from . import reads, writes
from .files import RealmFiles
from .worker import Worker


class JsonlStore:
    """One realm. See `RealmStore` for the promises; what this backend adds to them:

    A write that is cancelled and ends with `trio.Cancelled` has not happened. Once it is in a batch, it is waited for
    and its outcome returned, whatever the scope says.

    After `StorageUnknown` the next call cuts off what was being written; when that succeeds, it has not happened.

    Beyond the port it refuses, with ValueError, a session id that cannot be a file's name (lower-case letters, digits,
    "-" and "_", at most 100), and tool rows of more than one session in one call.
    """

    backend = "jsonl"

    def __init__(self, worker: Worker, *, folder: str, disk: Disk) -> None:
        self._worker = worker
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

    async def info(self) -> StoreInfo:
        return await self._worker.read(reads.info)

    async def prune_keys(self, *, before_ms: int) -> int:
        count: int = await self._worker.write(partial(writes.prune_keys, before_ms=before_ms))
        return count

    async def tidy(self) -> None:
        await self._worker.read(RealmFiles.tidy)

    async def aclose(self) -> None:
        await self._worker.aclose()
