"""Realms in the making: folders of a state root in which a realm is put together before it is one.

Nothing in there is a realm to anybody. What a crash left is removed before the next one is made, which is safe because
one daemon owns the state root.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from ..errors import InvalidParams, RealmExists, RealmNotFound, from_os_error
from ..ids import uuid7
from ..store.api import RealmStore
from .durable import removed, sync_below, sync_folder
from .realm import Realm
from .registry import Registry


class Incoming:
    """The folder `incoming` of a state root, and what is done with whole realms, one after another.

    Args:
        registry: the realms.
    """

    def __init__(self, registry: Registry, state_root: str) -> None:
        self.registry = registry
        self.folder = os.path.join(state_root, "incoming")
        # One at a time: each reads or writes as fast as the disk does, and turns need the disk as well.
        self.turn = trio.Lock()

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[str]:
        """An empty folder; what is still there at the end of the block is removed. Within `turn`."""
        path = os.path.join(self.folder, uuid7())
        with as_fault("prepare a folder"):
            await trio.to_thread.run_sync(_remade, self.folder, path)
        try:
            yield path
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(removed, path)

    async def move_in(self, folder: str, realm: Realm) -> None:
        """Make a finished folder the realm's. Durable when it returns.

        Raises:
            RealmExists: there is a realm of this id. StorageFull, StorageFailed.
        """

        def move() -> None:
            os.makedirs(os.path.dirname(realm.folder), mode=0o700, exist_ok=True)
            os.rename(folder, realm.folder)
            sync_folder(os.path.dirname(realm.folder))

        with as_fault("put the realm in its place"):
            await trio.to_thread.run_sync(sync_below, folder)
            await realm.come_back(move)


async def store_of(realm: Realm) -> RealmStore:
    """The store of a realm that exists. Raises RealmNotFound, and what `Realm.store` raises."""
    store = await realm.store(False)
    if store is None:
        raise RealmNotFound(f"There is no realm {realm.realm_id!r}.", details={"realm_id": realm.realm_id})
    return store


def check_absent(realm: Realm) -> None:
    """Raises RealmExists when the realm exists."""
    if realm.manifest() is not None:
        raise RealmExists(
            f"There is a realm {realm.realm_id!r} already.",
            details={"realm_id": realm.realm_id},
            hint="Choose another id for the one that comes, or delete that one first; it goes to the trash.",
        )


def check_target(path: str) -> str:
    """A path at which something is to be made, and the one beside it at which it grows.

    Raises:
        InvalidParams: it is not absolute, there is something, or its folder is not there.
    """
    if not os.path.isabs(path) or "\0" in path:
        raise _bad_path("must be absolute")
    if os.path.lexists(path):
        raise _bad_path(f"there is something at {path} already, and nothing is overwritten")
    if not os.path.isdir(os.path.dirname(path)):
        raise _bad_path(f"there is no folder {os.path.dirname(path)}")
    return f"{path}.partial"


def _bad_path(what: str) -> InvalidParams:
    return InvalidParams(f"path: {what}.", details={"field": "path"})


@contextmanager
def as_fault(doing: str) -> Iterator[None]:
    """Tells an OSError as the domain error that it is."""
    try:
        yield
    except OSError as error:
        raise from_os_error(error, doing=doing) from error


def _remade(folder: str, path: str) -> None:
    removed(folder)
    os.makedirs(path, mode=0o700)
    os.chmod(folder, 0o700)
