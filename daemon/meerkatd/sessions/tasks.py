"""The task list of a session, kept in its document: durable with each change, also while a turn runs."""

from collections.abc import Sequence
from dataclasses import replace

import trio

from ..contract.tool import Task
from ..errors import StorageUnknown
from ..store.api import RealmStore, SessionChange
from .recovery import not_written
from .session import Session


class SessionTasks:
    """`agent.tools.builtin.tasks.TaskList` of one session, for the length of a turn."""

    def __init__(self, store: RealmStore, session: Session) -> None:
        self._store = store
        self._session = session

    def tasks(self) -> Sequence[Task]:
        return self._session.meta.tasks

    async def keep(self, tasks: Sequence[Task]) -> None:
        """Replace the list. Raises StorageFull, StorageFailed."""
        session = self._session
        async with session.changing:
            meta = replace(session.meta, tasks=tasks).dump()
            # The time stays: a plan that changes is no change of the session that a list would show.
            change = SessionChange(updated_ms=session.row.updated_ms, meta=meta)
            with trio.CancelScope(shield=True):
                try:
                    await self._store.change_session(session.session_id, change)
                except StorageUnknown as unknown:
                    row = await self._store.session(session.session_id)
                    if row is None or row.meta != meta:
                        raise not_written(unknown) from unknown
                session.replace_row(replace(session.row, meta=meta))
