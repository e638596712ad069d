"""How a realm in SQLite is opened."""

import trio

from ..api import RealmStore
from .connection import Database
from .store import SqliteStore


class SqliteBackend:
    """See `Backend`.

    Args:
        vfs: name of the SQLite VFS that does the I/O; None is the system's. Tests put faults in there.
    """

    name = "sqlite"

    def __init__(self, *, vfs: str | None = None) -> None:
        self._vfs = vfs

    async def open(self, folder: str, *, create: bool, bulk: bool = False) -> RealmStore:
        store = SqliteStore(Database(folder, create=create, vfs=self._vfs, bulk=bulk), open_copy=self._open_copy)
        try:
            await store.ready()
        except BaseException:
            with trio.CancelScope(shield=True):
                await store.aclose()
            raise
        return store

    async def _open_copy(self, folder: str) -> RealmStore:
        return await self.open(folder, create=False)
