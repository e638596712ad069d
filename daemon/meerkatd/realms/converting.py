"""Giving a realm another backend: its store is copied into a new one, compared session by session, and replaced."""

from contextlib import aclosing

import trio

from .. import store as backends
from ..contract.connection import BackendName
from ..contract.realm import RealmCopied
from ..errors import InvalidParams, RealmDamaged
from ..store.api import RealmStore
from ..store.blobs import MemoryBlobs
from ..store.digest import digests
from ..store.parts import parts_of, take
from .backup import proven
from .incoming import Incoming, as_fault
from .realm import Realm
from .switching import switch
from .trash import Trash, bytes_below


class Conversions:
    """Converts realms, one after another."""

    def __init__(self, incoming: Incoming, trash: Trash) -> None:
        self._incoming = incoming
        self._trash = trash

    async def convert(self, realm: Realm, to: BackendName, *, own_calls: int) -> RealmCopied:
        """Give `realm` the backend `to`. The files of before go to the trash. Requests of the realm are refused with
        REALM_IN_USE meanwhile.

        Args:
            own_calls: requests of the caller that are under way in this realm.

        Raises:
            RealmInUse: turns are running, or requests do not end in time.
            InvalidParams: it has that backend, or one of the two is memory.
            RealmNotFound, BackendUnavailable, RealmDamaged, StorageFull, StorageFailed. Nothing is changed.
        """
        kind = backends.backend(to)
        async with self._incoming.turn, self._incoming.fresh() as folder:
            async with realm.held(own_calls=own_calls) as (manifest, store):
                if to in (manifest.backend, "memory") or manifest.backend == "memory":
                    raise InvalidParams(
                        f"to: a realm of the backend {manifest.backend!r} cannot be converted to {to!r}.",
                        details={"field": "to", "backend": manifest.backend},
                    )
                with as_fault("convert the realm"):
                    await _fill(await kind.open(folder, create=True, bulk=True), store)
                    copied = await proven(await kind.open(folder, create=False, bulk=True), realm_id=realm.realm_id)
                    if copied["digests"] != dict(await digests(store)):
                        raise RealmDamaged(
                            "The converted sessions are not those of before; nothing was changed.",
                            details={"realm_id": realm.realm_id},
                        )
                    copied["blobs"] = len(await store.blobs.ids())
                    await store.aclose()
                    with trio.CancelScope(shield=True):
                        await trio.to_thread.run_sync(switch, realm.folder, folder, manifest, to, self._trash)
            copied["path"] = realm.folder
            copied["bytes"] = await trio.to_thread.run_sync(bytes_below, realm.folder)
            return copied


async def _fill(target: RealmStore, source: RealmStore) -> None:
    try:
        # Blobs stay where they are: every backend has them in the same place.
        async with aclosing(parts_of(source, blobs=MemoryBlobs())) as parts:
            async for part in parts:
                await take(target, part)
    finally:
        with trio.CancelScope(shield=True):
            await target.aclose()
