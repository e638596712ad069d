"""Forks: a new session that begins with the first messages of another one, built the same way."""

from collections.abc import Callable
from dataclasses import replace

import trio

from ..errors import InvalidParams, StorageUnknown
from ..ids import SessionId, new_session_id
from ..store.api import RealmStore, SessionRow
from .keys import Keys
from .live import LiveSessions
from .recovery import Unsettled, not_written
from .request import Caller, KeyedRequest
from .session import Session


class Forking:
    """Forks the sessions of one realm. Arguments are those of `Admission`."""

    def __init__(self, *, live: LiveSessions, keys: Keys, unsettled: Unsettled, now_ms: Callable[[], int]) -> None:
        self._live = live
        self._keys = keys
        self._unsettled = unsettled
        self._now_ms = now_ms

    async def fork(
        self, store: RealmStore, source_id: SessionId, count: int, *, caller: Caller, keyed: KeyedRequest | None
    ) -> SessionId:
        """Store a session with messages 0 to `count` - 1 of another one, its build and its labels.

        Neither session knows of the other afterwards. An archived one can be forked, for that does not change it.

        Raises:
            SessionBusy: a turn is running in the source, so that where its history ends is not settled.
            InvalidParams: the source has fewer messages.
            SessionNotFound.
            DuplicateInput: the key belongs to a different request.
        """
        if keyed is None:
            return await self._fork(store, source_id, count, caller, None)
        async with self._keys.claim(store, keyed.key, digest=keyed.digest) as earlier:
            if earlier is not None:
                return SessionId(earlier.session_id or "")
            return await self._fork(store, source_id, count, caller, keyed)

    async def _fork(
        self, store: RealmStore, source_id: SessionId, count: int, caller: Caller, keyed: KeyedRequest | None
    ) -> SessionId:
        async with self._live.hold(source_id) as source, source.changing:
            source.check_unused()
            with trio.CancelScope(shield=True):
                await self._unsettled.settle(store, source)
                there = source.row.message_count
                if count > there:
                    raise InvalidParams(
                        f"message_index: {count} lies past the end; the session has {there} messages.",
                        details={"field": "message_index", "message_count": there},
                    )
                at_ms = self._now_ms()
                row = _fork_row(source, count, caller, at_ms)
                key = keyed.row(session_id=row.session_id, turn_id=None, at_ms=at_ms) if keyed else None
                try:
                    await store.fork_session(row, source_id=source_id, count=count, key=key)
                except StorageUnknown as unknown:
                    if await store.session(row.session_id) is None:
                        raise not_written(unknown) from unknown
            return SessionId(row.session_id)


def _fork_row(source: Session, count: int, caller: Caller, at_ms: int) -> SessionRow:
    compaction = source.meta.compaction
    meta = replace(
        source.meta,
        staged=None,
        injected=(),
        tasks=(),
        # A summary of more than what is taken would tell the fork what it never had.
        compaction=compaction if compaction is not None and compaction.through <= count else None,
        surface=caller.holder["surface"],
        instance_id=caller.holder.get("instance_id"),
    )
    return SessionRow(
        session_id=new_session_id(),
        created_ms=at_ms,
        updated_ms=at_ms,
        labels=dict(source.row.labels),
        meta=meta.dump(),
    )
