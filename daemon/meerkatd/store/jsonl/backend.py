"""How a realm of JSON lines is opened."""

from functools import partial

import trio

from ..api import RealmStore
from ..disk import Disk, UnsyncedDisk
from .commit import Committer
from .opening import open_realm
from .store import JsonlStore
from .worker import Worker


class JsonlBackend:
    """See `Backend`.

    Args:
        disk: what does the I/O; None is the system's files. Tests put faults in there.
    """

    name = "jsonl"

    def __init__(self, *, disk: Disk | None = None) -> None:
        self._disk = disk or Disk()

    async def open(self, folder: str, *, create: bool, bulk: bool = False) -> RealmStore:
        disk = UnsyncedDisk() if bulk else self._disk
        await trio.lowlevel.checkpoint_if_cancelled()
        # Shielded: a realm that was opened for nobody would keep its lock.
        with trio.CancelScope(shield=True):
            files = await trio.to_thread.run_sync(partial(open_realm, folder, create=create, disk=disk))
        return JsonlStore(Worker(Committer(files)), folder=folder, disk=disk, open_copy=self._open_copy)

    async def _open_copy(self, folder: str) -> RealmStore:
        return await self.open(folder, create=False)
